"""The shortest way out of a maze: at each junction the machine of the explorer is forked, and goes on all ways at once.

Those who come to a dead end are pruned, and so is whoever was forked; of those who come out the one that walked least
is left.
"""

from vertui.swarm.results import SwarmOutcome

AT_ONCE = 3  # junctions


def drive(swarm, base):
    """Play the swarm: its answer is the way out."""
    numbers = iter(range(1, 1_000_000))
    junctions, outs = [(base, next(numbers), told(swarm, base, "look")[1])], {}
    while junctions:
        some = [junctions.pop() for _ in range(min(AT_ONCE, len(junctions)))]
        for came in swarm.each(lambda junction: explore(swarm, *junction), some, AT_ONCE):
            for name, (what, ways) in came.items():
                if what == "on":
                    junctions.append((name, next(numbers), ways))
                elif what == "out":
                    outs[name] = ways
    winner = min(outs, key=lambda name: (len(outs[name]), name))
    swarm.prune([name for name in outs if name != winner], now=True)
    return SwarmOutcome(winner=winner, answer=outs[winner])


def explore(swarm, branch, number, ways):
    """Where each way leads, by the branch that went it; those that lead nowhere are gone."""
    single = len(ways) == 1
    forked = swarm.fork(branch, len(ways), f"{swarm.name}-{number}-{'1' if single else ''}")
    if forked.failed:
        raise RuntimeError(f"{forked.failed}")
    came = {name: told(swarm, name, way) for name, way in zip(forked.names, ways)}
    dead = [name for name, (what, _) in came.items() if what == "dead"]
    swarm.prune([branch, *dead], now=True)
    swarm.say(
        f"junction {number}: {', '.join(f'{way} {what}' for way, (what, _) in zip(ways, came.values()))}"
    )
    return came


def told(swarm, branch, way):
    """What the explorer in a branch says of a way: a word, and ways."""
    said = swarm.run(branch, f"echo {way} >/dev/shm/go; cat /dev/shm/told").text.split()
    return said[0], said[1] if len(said) > 1 else ""
