"""The daemon's side of the views: one mount a home and one server, which the holder gives a successor when it dies."""

import asyncio
import contextlib
import os
import socket
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import VertuiError
from core.files import read_error
from core.holder.protocol import Held, Holdings
from core.holder.services import PAUSE_S
from core.home import Home
from core.model import PAGE_BYTES
from core.pages import runs_of
from core.progress import Told, nobody
from core.python import program
from core.store.values import MEMORY
from core.store.views import nodes, questions, wire
from core.store.views.damage import Damage, Damages
from core.store.views.mount import mount
from core.store.views.protocol import ReadPages

KEY = "views"  # the server among the holder's children, and /dev/fuse among its descriptors
NODES_KEY = "views-nodes"
QUESTIONS_KEY = "views-questions"
NURSERY_KEY = "views-nursery"  # who forks the server's successors, and the holder's socket to it
SOURCE = "core.store.views.source:StoredPages"
HYDRATE_BYTES = 1 << 20  # read at once in the background: a cancel is felt after some milliseconds
AHEAD_PAGES = 512  # read and stored at once ahead of need, the first needed first


class FuseViews:
    """`Views` by a server behind /dev/fuse. `source` names what the server reads from, `root` what that is given."""

    def __init__(self, home: Home, held: Held, source: str = SOURCE, root: Path | None = None) -> None:
        self._home = home
        self._held = held
        self._damages = Damages(home.damage)
        self._arguments = [source, str(root or home.root), str(home.damage)]
        self._ahead: set[str] = set()

    @property
    def log(self) -> Path:
        """What the servers say."""
        return self._home.log / "views.log"

    def start(self, holdings: Holdings) -> None:
        """Mount and serve, or adopt what an earlier daemon left. Blocks for some ms. Unsupported without /dev/fuse."""
        self._damages.shorten()
        if KEY not in holdings.kept:
            self._mount()
        elif QUESTIONS_KEY not in holdings.kept:  # mounted by a vertui that had none
            self._keep(QUESTIONS_KEY, questions.make())
        self._held.serve(KEY, self._argv("server"), self.log, (KEY, NODES_KEY, QUESTIONS_KEY), NURSERY_KEY)
        if NURSERY_KEY not in holdings.children:
            self._start_nursery()

    async def nursery_ended(self) -> None:
        """Start another: to be called when the holder tells of the exit of `NURSERY_KEY`."""
        await asyncio.sleep(PAUSE_S)
        await asyncio.to_thread(self._start_nursery)

    def path(self, commit: str, medium: str) -> Path:
        """The file that is a commit's `memory` or `disk`. To open it is to wait for the server."""
        return self._home.views / commit / medium

    async def hydrate(self, commit: str, medium: str, told: Told = nobody) -> None:
        """Fill the page cache with a whole view; cancel the task to stop. Damaged pages are left to who needs them.
        `told` hears how many bytes were read.
        """
        descriptor = await asyncio.to_thread(_open, self.path(commit, medium))
        try:
            room, size = bytearray(HYDRATE_BYTES), os.fstat(descriptor).st_size
            for offset in range(0, size, HYDRATE_BYTES):
                await asyncio.to_thread(_fill, descriptor, room, offset)
                told(min(offset + HYDRATE_BYTES, size), size)
        finally:
            os.close(descriptor)

    def store_ahead(self, commit: str, pages: NDArray[np.int64], read: ReadPages) -> None:
        """Begin to put these pages of a commit's memory into the page cache, in this order: once a commit, in a thread
        nobody waits for. `read` gives their contents, verified. To ask the server for scattered pages one by one costs
        ten times the processor time.
        """
        if commit not in self._ahead and len(pages):
            self._ahead.add(commit)
            threading.Thread(target=self._store_all, args=(commit, pages, read), daemon=True).start()

    def _store_all(self, commit: str, pages: NDArray[np.int64], read: ReadPages) -> None:
        """Not in the server: the kernel lets who stores a page wait for whoever reads it, and a server that is killed
        while it waits for itself would never end. What fails here is left to who needs it.
        """
        with contextlib.suppress(OSError, VertuiError), self.path(commit, MEMORY).open("rb") as view:
            node = os.fstat(view.fileno()).st_ino - wire.FIRST_INODE
            if (fuse := self._held.get(KEY)) is None:
                return
            try:
                for at in range(0, len(pages), AHEAD_PAGES):
                    part = pages[at : at + AHEAD_PAGES]
                    _store(fuse, node, part, read(part))
            finally:
                os.close(fuse)

    def damage(self, commit: str) -> Damage | None:
        """The last damaged page of a commit that a reader wanted; None when there is none."""
        return self._damages.newest(commit)

    def _mount(self) -> None:
        """Mount, and have the holder keep what is needed. The descriptor of /dev/fuse is kept last: it is the proof
        that all else is there.
        """
        fuse = mount(self._home.views)
        try:
            self._keep(NODES_KEY, nodes.make())
            self._keep(QUESTIONS_KEY, questions.make())
            self._held.keep(KEY, fuse)
        finally:
            os.close(fuse)

    def _keep(self, key: str, made: int) -> None:
        try:
            self._held.keep(key, made)
        finally:
            os.close(made)

    def _start_nursery(self) -> None:
        """After the server, which is needed first. The holder forks no server by a socket with nobody behind."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            self._held.keep(NURSERY_KEY, ours.fileno())
            argv = self._argv("nursery")
            self._held.spawn(NURSERY_KEY, argv, self.log, [theirs.fileno()])

    def _argv(self, module: str) -> list[str]:
        return program(f"core.store.views.{module}", *self._arguments)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise read_error(error, f"the {path.name} of commit {path.parent.name[:12]}") from error


def _store(fuse: int, node: int, pages: NDArray[np.int64], contents: NDArray[np.uint8]) -> None:
    """Put pages into the page cache, a run at a time. Where they are already they are the same."""
    at = 0
    for first, count in runs_of(pages).tolist():
        head = wire.store(node, first * PAGE_BYTES, count * PAGE_BYTES)
        os.writev(fuse, [head, contents[at : at + count].data])
        at += count


def _fill(descriptor: int, room: bytearray | memoryview, offset: int) -> None:
    try:
        os.preadv(descriptor, [room], offset)
    except OSError:
        return  # a damaged page: reading goes on after this piece
