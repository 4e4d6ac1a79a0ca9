"""Pairs of branches that may talk to each other: which they are is in the hub's rules, and outlives a daemon.

Each branch has an address of its own in the hub, by which linked ones reach it, though all guests believe to have the
same. What comes there leads to the guest, and to nothing else of its namespace.
"""

from collections.abc import Collection

from core.network import cut, nft, rules
from core.network.addresses import Pair, index_at
from core.network.conntrack import Flow


def let(wanted: Collection[Pair]) -> None:
    """Let exactly these pairs talk to each other, in the hub the thread is in. Connections of others are cut."""
    there = paired()
    added, removed = set(wanted) - there, there - set(wanted)
    if added or removed:
        nft.apply(rules.paired(added, removed))
    if removed:
        cut.part(lambda flow: _pair_of(flow) in removed)


def part(indexes: Collection[int]) -> None:
    """Cut the connections that these branches have with others, in the hub the thread is in: their machines ended.

    The rules are asked first: to go through all connections of the hub takes the kernel a hundred times as long.
    """
    theirs = {pair for pair in paired() if not set(pair).isdisjoint(indexes)}
    if theirs:
        cut.part(lambda flow: _pair_of(flow) in theirs)


def paired() -> set[Pair]:
    """The pairs that may talk to each other, in the hub the thread is in."""
    return {_pair(*element["concat"]) for element in nft.elements("set", "linked")}


def _pair_of(flow: Flow) -> Pair:
    return _pair(flow.source[0], flow.target[0])


def _pair(one: str, other: str) -> Pair:
    first, second = sorted(map(index_at, (one, other)))
    return first, second
