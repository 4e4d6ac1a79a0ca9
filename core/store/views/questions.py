"""What the server's threads are answering, in a memory file that outlives them: their successors answer it again.

The kernel gives each request once and waits for its answer for ever. So each thread has its requests copied straight
into a slot of this file: whatever instant it is killed at, a request it took lies there whole, and one that it has
answered already is known to the kernel no more: an answer to that is refused and does nothing. Numbers of requests are
never used twice while a mount lives (Linux fs/fuse/dev.c, fuse_get_unique), so a mount has a file of its own.
"""

import mmap
import os

from core.errors import NoRoom
from core.files import memory_file
from core.store.views import wire

SLOTS = 4


def make() -> int:
    """A new file of empty slots, its pages there; the caller owns the descriptor. NoRoom when it cannot be had."""
    descriptor = memory_file("vertui-questions")
    try:
        os.posix_fallocate(descriptor, 0, SLOTS * wire.REQUEST_BYTES)
    except OSError as error:
        os.close(descriptor)
        raise NoRoom(f"no memory for the views' requests: {error.strerror}") from error
    return descriptor


class Questions:
    """The slots, by a descriptor that stays the caller's."""

    def __init__(self, descriptor: int) -> None:
        size = SLOTS * wire.REQUEST_BYTES
        self._room = memoryview(mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE))

    def slot(self, number: int) -> memoryview:
        """Room for one request, of the thread with that number."""
        return self._room[number * wire.REQUEST_BYTES :][: wire.REQUEST_BYTES]


def left(slot: memoryview) -> memoryview | None:
    """The last request in a slot, answered or not; None before the first."""
    length = wire.IN_HEADER.unpack_from(slot)[0]
    return slot[:length] if wire.IN_HEADER.size <= length <= len(slot) else None
