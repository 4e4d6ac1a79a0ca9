"""One process that maps a view as a machine does and compares what it touches with the original.

python -m tests.store.views_reader VIEW ORIGINAL SEED COUNT|forever [PAGE …]: touch these pages, or COUNT random ones.
Exit status 1: a wrong byte. A page that cannot be had is SIGBUS.
"""

import mmap
import os
import random
import signal
import sys
import time
from itertools import count, repeat

from core import linux

PAGE = 4096


def main() -> None:
    """Print "ready" once the view is mapped; end after COUNT pages, or when standard input ends."""
    linux.die_with_parent(signal.SIGKILL)
    view, original, seed, wanted, *pages = sys.argv[1:]
    mapped, expected = map_privately(view), map_privately(original)
    print("ready", flush=True)
    chance = random.Random(int(seed))
    os.set_blocking(0, False)
    for _ in count() if wanted == "forever" else repeat(None, int(wanted)):
        page = chance.randrange(len(mapped) // PAGE)
        check(mapped, expected, page)
        if wanted == "forever":
            time.sleep(chance.random() / 125)
            if ended():
                break
    for text in pages:
        check(mapped, expected, int(text))


def map_privately(path: str) -> mmap.mmap:
    """As QEMU does: opened for writing, mapped privately; one page a fault, so that there are many."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    size = os.fstat(descriptor).st_size
    found = mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    os.close(descriptor)
    found.madvise(mmap.MADV_RANDOM)
    return found


def check(mapped: mmap.mmap, expected: mmap.mmap, page: int) -> None:
    at = slice(page * PAGE, (page + 1) * PAGE)
    if mapped[at] != expected[at]:
        sys.exit(f"page {page} is wrong")


def ended() -> bool:
    """Has standard input ended?"""
    try:
        return os.read(0, 1) == b""
    except BlockingIOError:
        return False


if __name__ == "__main__":
    main()
