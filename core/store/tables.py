"""Page tables on disk: what differs from the table it leans on.

A table leans on nothing (a full copy), on the root disk of its image, or on the same table of another commit. Chains of
commits are at most 16 long; a table is written again before a commit it leans on goes.
"""

from dataclasses import dataclass

import numpy as np

from core.store import columns
from core.store.pack import Ids

LONGEST_CHAIN = 16
NOTHING, ON_IMAGE = "", "image"
KINDS = {"places": columns.U32, "ids": columns.U64}


@dataclass(frozen=True)
class Difference:
    """A table of `pages` pages as its difference from the one it leans on: `lean` is NOTHING, ON_IMAGE or a commit id.

    `depth` counts the commits it leans on, directly or not; `places` are ascending.
    """

    lean: str
    depth: int
    pages: int
    places: Ids
    ids: Ids

    def encode(self) -> bytes:
        """As stored."""
        facts = {"lean": self.lean, "depth": self.depth, "pages": self.pages}
        return columns.encode(facts, {"places": self.places.astype(np.uint32), "ids": self.ids})

    def over(self, below: Ids) -> Ids:
        """The whole table, given the one it leans on."""
        table = np.zeros(self.pages, np.uint64)
        table[: len(below)] = below[: self.pages]
        table[self.places.astype(np.int64)] = self.ids
        return table


def decode(data: bytes | memoryview, most_bytes: int = columns.LARGEST_BYTES) -> Difference:
    """A difference as stored. ValueError when it is not what was written."""
    facts, arrays = columns.decode(data, KINDS, most_bytes)
    if facts.keys() != {"lean", "depth", "pages"}:
        raise ValueError("it says other things than a table")
    return Difference(
        facts["lean"], facts["depth"], facts["pages"], arrays["places"].astype(np.uint64), arrays["ids"]
    )


def difference(table: Ids, below: Ids, lean: str, depth: int) -> Difference:
    """What to store of a table that leans on `below`."""
    under = np.zeros(len(table), np.uint64)
    under[: len(below)] = below[: len(table)]
    places = np.flatnonzero(table != under)
    return Difference(lean, depth, len(table), places.astype(np.uint64), table[places])
