"""Which tries a round has: what each is forked from, and with whose files."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, cycle, islice
from statistics import mean

from vertui.swarm.results import SwarmResult
from vertui.swarm.spec import SwarmSpec

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Try:
    """A branch to be: its name, its round and its number there; what it is forked from, and its place among these.
    Before its command starts, the files of the branch `crossed` are applied to it, if there is one.
    """

    name: str
    round: int
    number: int
    parent: str
    prefix: str
    place: int
    command: str
    crossed: str = ""


def tries_of(
    spec: SwarmSpec, swarm: str, round: int, parents: Sequence[str], results: Mapping[str, SwarmResult]
) -> list[Try]:
    """Of a round, in the order in which they begin. Its parents come best first."""
    pairs = list(islice(cycle(combinations(range(len(parents)), 2)), spec.crossed if round > 1 else 0))
    alone = spec.tries - len(pairs)
    shares = shared if spec.bandit and round > 1 else evenly
    chosen = [(which, "") for which in shares(spec, parents, results, alone)]
    chosen += [(better, parents[other]) for better, other in pairs]
    places, made = Counter[int](), list[Try]()
    for at, (which, crossed) in enumerate(chosen):
        places[which] += 1
        prefix = f"{swarm}-" if round == 1 else f"{swarm}-{round}{LETTERS[which]}"
        name, command = f"{prefix}{places[which]}", spec.variants[at] if spec.variants else spec.command
        made.append(Try(name, round, at + 1, parents[which], prefix, places[which], command, crossed))
    return made


def evenly(
    spec: SwarmSpec, parents: Sequence[str], results: Mapping[str, SwarmResult], count: int
) -> list[int]:
    """Which parent each of so many tries has: all by turns."""
    return [at % len(parents) for at in range(count)]


def shared(
    spec: SwarmSpec, parents: Sequence[str], results: Mapping[str, SwarmResult], count: int
) -> list[int]:
    """Which parent each of so many tries has, as a bandit with many arms is played: more have one from which good
    scores came, its own and its children's, and those of which little is known are not forgotten. UCB1 of Auer,
    Cesa-Bianchi and Fischer, 2002, over scores that are scaled to 0 … 1; a try without a score counts as the worst.
    """
    values = {name: _value(spec, one) for name, one in results.items()}
    known = [value for value in values.values() if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def worth(name: str) -> float:
        value = values[name]
        return 0.0 if value is None else (value - low) / (high - low) if high > low else 1.0

    families = [[name for name in results if parent in (name, results[name].parent)] for parent in parents]
    means = [mean(map(worth, family)) for family in families]
    drawn, chosen = [len(family) for family in families], list[int]()
    for _ in range(count):
        everything = math.log(sum(drawn))
        bounds = [means[at] + math.sqrt(2 * everything / drawn[at]) for at in range(len(parents))]
        chosen.append(best := bounds.index(max(bounds)))
        drawn[best] += 1
    return chosen


def _value(spec: SwarmSpec, one: SwarmResult) -> float | None:
    return None if one.score is None else -one.score if spec.lowest else one.score
