"""What can be read of a filesystem whose machine died while it wrote: what was not synced may be there in part.

What was synced is whole. So an inode that contradicts itself was not, and is left out with the names that lead to it,
as e2fsck would have it.
"""

import numpy as np

from core.diff.directories import Names
from core.diff.ext4 import Volume
from core.diff.stat import read_metas
from core.disk.blocks import Blocks
from core.errors import Damaged, Unsupported

MOST_UNSOUND = 20_000  # reads, some ten for each torn inode: what a guest had not synced is seldom more


def sound(volume: Volume, numbers: Blocks) -> Blocks:
    """Those of `numbers` (ascending, unique) that are of living files and can be read whole. Damaged when too many are
    not.
    """
    inside = numbers[(numbers >= 1) & (numbers <= volume.superblock.inodes)]
    return _readable(volume, volume.living(inside))


def whole_names(volume: Volume, names: dict[int, Names]) -> tuple[dict[int, Names], set[int]]:
    """Directories with those of their entries that lead to something whole, and which of them lack any."""
    children = {child for entries in names.values() for child in entries.values()}
    good = set(sound(volume, np.array(sorted(children), dtype=np.int64)).tolist())
    kept = {
        directory: {name: child for name, child in entries.items() if child in good}
        for directory, entries in names.items()
    }
    return kept, {directory for directory, entries in names.items() if len(kept[directory]) < len(entries)}


def _readable(volume: Volume, numbers: Blocks) -> Blocks:
    """Found by halves: mostly all can be read."""
    if not len(numbers):
        return numbers
    try:
        read_metas(volume, volume.inodes(numbers))
        return numbers
    except (Damaged, Unsupported):
        volume.unsound += 1
        if volume.unsound > MOST_UNSOUND:
            raise
    if len(numbers) == 1:
        return numbers[:0]
    halves = np.array_split(numbers, 2)
    return np.concatenate([_readable(volume, half) for half in halves])
