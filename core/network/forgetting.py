"""What a hub knows of a branch's egress, removed when the branch ends: of several that end together at once.

To take elements out of a rule set takes the kernel 20 ms, and whoever changes the rules meanwhile waits for that.
"""

import threading

from core.network import cut, nft, pairs, rules
from core.network.addresses import address_of, index_at


class Forgetting:
    """Of one hub. Whoever's turn it is takes along all who wait for theirs."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: set[int] = set()
        self._lock = threading.Lock()  # of the latter

    def forget(self, index: int) -> None:
        """Remove a branch's rule and what was counted, and cut its connections, in the hub the thread is in. Who is
        linked with it stays: it may get a machine again.
        """
        with self._lock:
            self._waiting.add(index)
        with self._turn:
            with self._lock:
                mine = index in self._waiting
                together, self._waiting = (self._waiting, set()) if mine else (set(), self._waiting)
            _forget(together)


def remembered() -> set[int]:
    """The branches that the hub the thread is in has egress or counters of."""
    counted = [element["val"] for name in ("traffic", "refusals") for element in nft.elements("set", name)]
    return {
        index_at(address)
        for address in (*counted, *(address for address, _ in nft.elements("map", "egress")))
    }


def _forget(indexes: set[int]) -> None:
    addresses = {index: address_of(index) for index in indexes & remembered()} if indexes else {}
    if addresses:
        keys = [element["val"]["concat"] for element in nft.elements("set", "refused")]
        attempts = [" . ".join(map(str, key)) for key in keys if key[0] in addresses.values()]
        nft.apply(rules.forgotten(addresses, attempts))
    for index in addresses:
        cut.cut(index, lambda flow: True)
    if indexes:
        pairs.part(indexes)
