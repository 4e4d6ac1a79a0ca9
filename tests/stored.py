"""What the store holds of a commit and what is read of it, beside the product's own accounts: for tests, benchmarks."""

import time

import numpy as np
import psutil

from core.holder.held import HolderLine
from core.holder.warden import KEY as DAEMON
from core.home import Home
from core.model import PAGE_BYTES
from core.store.index import split
from core.store.reader import PageReader
from core.store.values import MEMORY
from core.store.views.keeper import KEY


def memory_bytes(home: Home, commit: str) -> int:
    """What a commit's memory takes where it is stored: its share of frames, and pages of the image's files."""
    reader = PageReader(home.root)
    try:
        ids = np.unique(reader.table(commit, MEMORY))
        packs, rows = split(reader.index.locate(ids[ids != 0]))
        total = 0.0
        for number in set(packs.tolist()):
            outline, mine = reader.shelf.pack(number).outline, packs == number
            shares = outline.frame_bytes / (outline.frame_sizes / PAGE_BYTES)
            total += (
                PAGE_BYTES * mine.sum() if outline.source else shares[rows[mine] // outline.frame_pages].sum()
            )
        return round(total)
    finally:
        reader.close()


def read_bytes(home: Home) -> int:
    """What the view server and the daemon, which reads ahead, have read so far, by the kernel's account (rchar)."""
    held = HolderLine(home)
    try:
        children = held.holdings().children
    finally:
        held.close()
    return sum(_rchar(children[key]) for key in (KEY, DAEMON))


def settled(home: Home) -> int:
    """The same, once they have imported themselves."""
    now, same = read_bytes(home), 0
    while same < 3:
        time.sleep(0.3)
        last, now = now, read_bytes(home)
        same = same + 1 if now == last else 0
    return now


def _rchar(pid: int) -> int:
    return psutil.Process(pid).io_counters().read_chars
