"""What the filesystem reader asks of a disk: whatever lies under it, a chain of files or a page table."""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 4096

Blocks = NDArray[np.int64]
"""Block numbers, in units the context names (disk blocks of 4 KiB unless it says filesystem blocks)."""

Bytes = NDArray[np.uint8]


class Disk(Protocol):
    """A readable disk of whole 4 KiB blocks that never changes while it is open."""

    @property
    def name(self) -> str:
        """What error messages call it."""

    @property
    def size(self) -> int:
        """Length in bytes, a multiple of 4096."""

    @property
    def torn(self) -> bool:
        """Did whoever wrote it die meanwhile, so that what was not synced may be there in part?"""

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; Damaged beyond the end or when they cannot be read."""

    def read_blocks(self, block_numbers: Blocks) -> Bytes:
        """The named 4 KiB blocks as an array of shape (n, 4096); Damaged as for `read`."""

    def changed_blocks(self, other: Self) -> Blocks:
        """Numbers, ascending, of the 4 KiB blocks that differ from `other`'s; both of one size."""
