"""A swarm's winner made the trunk, unless that would leave behind what the trunk did since the swarm began."""

from collections.abc import Callable

from msgspec.structs import replace

from core.errors import Conflict, GuestFailed, NotFound
from core.model import Branch, Plan, Tree
from core.startable import nearest_asked
from core.verbs.promote import Promote
from vertui.swarm.beginning import SwarmOrigin
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.steps import Swarm
from vertui.text import counted, short

REBASED, MOST_REBASED = "on-trunk", 20
Agree = Callable[[Plan], None]
"""Shows a plan, and raises what keeps it from being carried out."""


def promote(swarm: Swarm, outcome: SwarmOutcome, agree: Agree, *, rebase: bool) -> SwarmOutcome:
    """Promote the winner, once `agree` has been shown the plan. When it is stale, as the trunk is another one or has
    done something since, that is a Conflict; with `rebase` what it changed is brought to a fork of the trunk, and that
    is promoted.
    """
    winner = outcome.winner
    if not winner:
        raise Conflict(f"nothing of {swarm.name} can be promoted: {outcome.why}")
    tree, rebased = swarm.tree(), ""
    if tree.trunk in (winner, *_names(swarm)):
        return replace(outcome, promoted=True, rebased="" if tree.trunk == winner else tree.trunk or "")
    if why := stale(swarm, tree):
        if not rebase:
            raise Conflict(
                f"{winner} won and is stale: {why}; nothing was promoted. `vertui swarm resume {swarm.name} --rebase`"
                f" brings its changes to the trunk; `vertui promote {winner}` says what it lacks, and asks"
            )
        swarm.say(f"{winner} is stale: {why}")
        rebased = _rebased(swarm, winner, tree)
    plan = swarm.hands.plan(Promote(rebased or winner))
    agree(plan)
    swarm.hands.execute(plan, swarm.record.key(f"promote {plan.id}"))
    return replace(outcome, promoted=True, rebased=rebased)


def _names(swarm: Swarm) -> list[str]:
    """What forks of the trunk to which a winner is brought were called until now."""
    named = [f"{swarm.name}-{REBASED}{at}" for at in range(1, MOST_REBASED + 1)]
    return [name for name in named if f"fork {name}" in swarm.record.steps]


def _rebased(swarm: Swarm, winner: str, tree: Tree) -> str:
    """A fork of the trunk as it is now, with what the winner changed of its files. Conflict where both changed the
    same.
    """
    trunk = next((branch for branch in tree.branches if branch.trunk), None)
    if trunk is None:
        raise Conflict(f"there is no trunk that {winner} could be brought to")
    for at in range(1, MOST_REBASED + 1):
        name = f"{swarm.name}-{REBASED}{at}"
        is_older = f"fork {name}" in swarm.record.steps
        forked = swarm.fork(trunk.name, prefix=name, egress=())
        if forked.failed:
            raise GuestFailed(f"{name} did not start: {forked.failed[name]}")
        began = SwarmOrigin(forked.commit, trunk.id, forked.commit, is_trunk=True)
        if is_older and _since(swarm, began, tree):
            swarm.prune([name])
            continue
        if not (why := swarm.apply(winner, name)):
            return name
        swarm.prune([name])
        raise Conflict(
            f"{winner} won, is stale and cannot be brought to {trunk.name}: {why}; nothing was promoted"
        )
    raise Conflict(f"{winner} was brought to {trunk.name} {MOST_REBASED} times: `vertui promote {winner}`")


def stale(swarm: Swarm, tree: Tree) -> str:
    """What became of the trunk since the swarm began; nothing when it is as it was."""
    began = swarm.record.answer("origin", SwarmOrigin)
    return "" if began is None or not began.trunk else _since(swarm, began, tree)


def _since(swarm: Swarm, began: SwarmOrigin, tree: Tree) -> str:
    """What became of the trunk since then; nothing when it is as it was."""
    trunk = next((branch for branch in tree.branches if branch.trunk), None)
    if trunk is None or trunk.id != began.trunk:
        return f"the trunk is {tree.trunk or 'none'} now, and was another branch when the swarm began"
    if nearest_asked(trunk.head, tree.commits, began.head) != began.head:
        return f"{trunk.name} has commits since {short(began.head)}, on which the swarm began"
    return _changed(swarm, began, trunk) if began.is_trunk else ""


def _changed(swarm: Swarm, began: SwarmOrigin, trunk: Branch) -> str:
    changed = swarm.hands.changed(began.head, trunk.name)
    if changed is None:
        raise NotFound(f"what {trunk.name} did since the swarm began cannot be told: nothing was promoted")
    return (
        f"{trunk.name} changed {counted(changed.paths, 'file')} since the swarm began"
        if changed.paths
        else ""
    )
