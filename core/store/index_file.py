"""The index's file: the large run as arrays that are mapped, after a header, after the BLAKE3 of everything else.

magic (8) | BLAKE3 of the rest (32) | format, n, next id, next pack, packs (u64 each) | pack numbers (u64)
| ids | locations | prefixes (u64) | order (u32) | hashes (32)
"""

import mmap
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from blake3 import blake3

from core.errors import Damaged
from core.files import Files, read_error
from core.store.hashing import HASH_BYTES
from core.store.index import EMPTY, Index, Run

MAGIC = b"vertuiix"
FORMAT = 1
HEADER_BYTES = 8 + 32 + 5 * 8
NONE = Index(EMPTY, EMPTY, 1, 1, frozenset())


@dataclass(frozen=True)
class IndexFile:
    """An index, and the `stamp` of the file it was read from: a file that replaces it has another one."""

    index: Index
    stamp: tuple[int, int, int]


def read_index(path: Path, before: IndexFile | None = None) -> IndexFile:
    """The index in a file, verified whole; an empty one without a file. Damaged when it is not what was written.

    `before` is returned when the file is the one that was read then.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return IndexFile(NONE, (0, 0, 0))
    except OSError as error:
        raise read_error(error, "the index") from error
    try:
        facts = os.fstat(descriptor)
        stamp = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if before and before.stamp == stamp:
            return before
        room = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    except OSError as error:
        raise read_error(error, "the index") from error
    except ValueError as error:  # it is empty
        raise Damaged(f"the index cannot be read: {error}") from error
    finally:
        os.close(descriptor)
    return IndexFile(_verified(room), stamp)


def _verified(room: mmap.mmap) -> Index:
    data = np.frombuffer(room, np.uint8)
    if len(data) < HEADER_BYTES or data[:8].tobytes() != MAGIC:
        raise Damaged("the index is not one")
    if blake3(data[40:].data).digest() != data[8:40].tobytes():
        raise Damaged("the index is not what was written")
    form, n, next_id, next_pack, packs = data[40:HEADER_BYTES].view("<u8").tolist()
    if form != FORMAT:
        raise Damaged(f"the index has format {form}, this vertui reads {FORMAT}")
    sizes = np.cumsum([HEADER_BYTES, packs * 8, n * 8, n * 8, n * 8, n * 4, n * HASH_BYTES]).tolist()
    numbers, ids, where, prefixes, order, hashes = (data[a:b] for a, b in pairwise(sizes))
    run = Run(
        ids.view("<u8"),
        where.view("<u8"),
        hashes.reshape(-1, HASH_BYTES),
        prefixes.view("<u8"),
        order.view("<u4"),
    )
    return Index(run, EMPTY, next_id, next_pack, frozenset(numbers.view("<u8").tolist()))


def write_index(files: Files, path: Path, index: Index) -> Index:
    """Merge both runs into the file, atomically; the index as it is then. `index.packs` must name every pack in use."""
    run = index.everything
    header = np.array([FORMAT, len(run.ids), index.next_id, index.next_pack, len(index.packs)], "<u8")
    packs = np.array(sorted(index.packs), "<u8")
    arrays = (header, packs, run.ids, run.locations, run.prefixes, run.order, run.hashes)
    body = b"".join(array.tobytes() for array in arrays)
    files.replace(path, MAGIC + blake3(body).digest() + body)
    return read_index(path).index
