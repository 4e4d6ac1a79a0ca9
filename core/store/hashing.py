"""BLAKE3 of pages and of page tables.

A table's root is the hash of its size and of its chunks' hashes; a chunk's is the hash of its 1,024 pages' hashes. So a
root says what a table's content is, whatever the ids, and one changed page costs one chunk.
"""

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from core.model import PAGE_BYTES

HASH_BYTES = 32
CHUNK_PAGES = 1024
Hashes = NDArray[np.uint8]
"""Shape (n, 32)."""
Contents = NDArray[np.uint8]
"""Shape (n, 4096)."""

ZERO_HASH: Hashes = np.frombuffer(blake3(bytes(PAGE_BYTES)).digest(), np.uint8)
ZERO_CHUNK: Hashes = np.frombuffer(blake3(ZERO_HASH.tobytes() * CHUNK_PAGES).digest(), np.uint8)


def page_hashes(contents: Contents) -> Hashes:
    """The hash of each page. One thread: a page is too small to gain from being hashed without the GIL."""
    joined = b"".join([blake3(page.data).digest() for page in np.ascontiguousarray(contents)])
    return np.frombuffer(joined, np.uint8).reshape(-1, HASH_BYTES)


def distinct(hashes: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first row of each distinct hash, ascending, and for every row which of those it equals."""
    words = np.ascontiguousarray(hashes).view("<u8")
    order = np.lexsort(words.T)
    starts = np.append(True, (words[order][1:] != words[order][:-1]).any(axis=1))[: len(order)]
    first = order[starts]  # lexsort is stable: the first of its equals
    rank = np.argsort(np.argsort(first))
    inverse = np.empty(len(hashes), np.int64)
    inverse[order] = rank[np.cumsum(starts) - 1]
    return np.sort(first), inverse


def chunk_hashes(pages: Hashes) -> Hashes:
    """The hash of each chunk of whole 1,024 pages."""
    joined = b"".join([blake3(chunk.data).digest() for chunk in pages.reshape(-1, CHUNK_PAGES * HASH_BYTES)])
    return np.frombuffer(joined, np.uint8).reshape(-1, HASH_BYTES)


def root_hash(page_count: int, chunks: Hashes) -> str:
    """The root of a table of that many pages; pages beyond the end of the last chunk count as zero."""
    hasher = blake3(page_count.to_bytes(8, "little"))
    hasher.update(chunks.tobytes())
    return hasher.hexdigest(length=20)
