"""The view server: answers /dev/fuse from a `PageSource`. It may be killed at any instant without hurting a reader.

Every thread takes a request, answers it, and takes the next. Nothing the process knows is its own: node numbers and the
requests being answered lie in memory files, and the first thing a thread does is to answer what its forerunner left.

Why it may be killed: the kernel copies requests and answers to and from this process's memory. When it meets a page
that is not there while the process is being killed, it gives up, and the reader gets EIO. So both pass through buffers
whose pages are there.
Why no answer is short: to the kernel it would mean that the file ends there, and it would fill up with zeros. What a
source leaves out is an error.
"""

import errno
import functools
import importlib
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.errors import NoRoom, VertuiError
from core.log import log_as
from core.model import PAGE_BYTES
from core.store.views import wire
from core.store.views.damage import Damage, Damages
from core.store.views.nodes import EXACT, MEDIA, NAME, Nodes
from core.store.views.questions import SLOTS, Questions, left
from core.store.views.wire import Attributes, Opcode, Request

if TYPE_CHECKING:  # its module imports the store, which only a server on the store needs
    from core.store.views.source import PageSource

FUSE_FD, NODES_FD, QUESTIONS_FD = 3, 4, 5
WORKERS = max(
    2, min(SLOTS, os.cpu_count() or 1)
)  # two, so that one slow read holds up nobody; each decompresses on its own
READAHEAD_BYTES = 32 * 1024
"""Read around a fault: 64 KiB reads a fifth more of a commit and starts it no faster."""
LARGEST_READ_BYTES = 128 * 1024
"""The kernel's own limit for reading ahead; only O_DIRECT would ask for more at once."""
BACKGROUND = 12  # reads ahead of need that may wait at once
AGAIN_S = 0.25  # until a source that lacked means is asked again
Answer = TypeVar("Answer")
GONE, TRY_AGAIN = {errno.ENODEV}, {errno.ENOENT, errno.EINTR, errno.EAGAIN}

logger = logging.getLogger("core.store.views")


class Server:
    """Answers requests; each thread calls `work`."""

    def __init__(
        self, fuse: int, nodes: Nodes, questions: Questions, source: "PageSource", damages: Damages
    ) -> None:
        self._fuse = fuse
        self._nodes = nodes
        self._questions = questions
        self._source = source
        self._damages = damages
        self._sizes: dict[tuple[str, str], int] = {}

    def run(self) -> None:
        """Answer what a predecessor left, then serve until the mount is gone."""
        for number in range(1, SLOTS):
            threading.Thread(target=self.work, args=(number, number < WORKERS), daemon=True).start()
        self.work(0)

    def work(self, number: int, on: bool = True) -> None:
        """Answer the request that lies in a slot and, if `on`, one after the other. A mistake of ours ends the whole
        process, not only the thread that met it.
        """
        question = self._questions.slot(number)
        answer = touched(wire.OUT_HEADER.size + LARGEST_READ_BYTES)
        try:
            if (request := left(question)) is not None:
                self._serve(wire.parse(request), answer)
            while on and (size := self._next(question)) is not None:
                self._serve(wire.parse(question[:size]), answer)
        except BaseException:
            logger.critical("a mistake of ours", exc_info=True)
            os._exit(1)

    def _next(self, question: memoryview) -> int | None:
        """The size of the next request, now in `question`; None when the mount is gone."""
        while True:
            try:
                return os.readv(self._fuse, [question])
            except OSError as error:
                if error.errno in GONE:
                    return None
                if error.errno not in TRY_AGAIN:
                    raise

    def _serve(self, request: Request, room: memoryview) -> None:
        if request.opcode in wire.SILENT:
            return
        try:
            data = self._answer(request)
            refusal = 0
        except OSError as error:
            data, refusal = b"", -(error.errno or errno.EIO)
        size = wire.OUT_HEADER.size + len(data)
        wire.OUT_HEADER.pack_into(room, 0, size, refusal, request.unique)
        room[wire.OUT_HEADER.size : size] = data
        try:
            os.write(self._fuse, room[:size])
        except OSError as error:
            if error.errno not in GONE | TRY_AGAIN:  # nobody waits for it any more
                raise

    def _answer(self, request: Request) -> bytes | memoryview:
        """What to say; OSError is what the kernel is told instead."""
        match request.opcode:
            case Opcode.READ:
                _, offset, size, *_ = wire.READ_IN.unpack_from(request.body)
                return self._read(request.node, offset, size)
            case Opcode.LOOKUP:
                return wire.entry(self._lookup(request.node, wire.name(request.body)))
            case Opcode.GETATTR:
                return wire.attributes(self._attributes(request.node))
            case Opcode.OPEN:
                return self._open(request.node, wire.OPEN_IN.unpack_from(request.body)[0])
            case Opcode.READDIR:
                _, offset, size, *_ = wire.READ_IN.unpack_from(request.body)
                return wire.listing(self._names(request.node), offset, min(size, LARGEST_READ_BYTES))
            case Opcode.INIT:
                return wire.init(request.body, READAHEAD_BYTES, LARGEST_READ_BYTES, BACKGROUND)
            case Opcode.STATFS:
                return wire.filesystem()
            case Opcode.RELEASE | Opcode.RELEASEDIR | Opcode.DESTROY:
                return b""
            case Opcode.GETXATTR:
                if (value := wire.capability(request.body)) is not None:
                    return value
                raise OSError(errno.ENODATA, "no such attribute")
            case Opcode.WRITE | Opcode.SETATTR | Opcode.SETXATTR | Opcode.REMOVEXATTR:
                raise OSError(errno.EROFS, "views are read only")
        raise OSError(errno.ENOSYS, "not needed")

    def _lookup(self, parent: int, name: str) -> Attributes:
        if parent == wire.ROOT:
            if NAME.fullmatch(name) and any(self._size(name, medium) is not None for medium in MEDIA[1:]):
                return self._attributes(self._nodes.node(name))
        else:
            commit, medium = self._find(parent)
            if not medium and name in MEDIA[1:] and self._size(commit, name) is not None:
                return self._attributes(self._nodes.node(commit, name))
        raise OSError(errno.ENOENT, name)

    def _attributes(self, node: int) -> Attributes:
        if node == wire.ROOT or not (found := self._find(node))[1]:
            return Attributes(node, stat.S_IFDIR | 0o700, 0)
        return Attributes(node, stat.S_IFREG | 0o600, self._size(*found) or 0)

    def _open(self, node: int, flags: int) -> bytes:
        """QEMU opens memory for writing though it maps it privately; a disk is only ever read."""
        if flags & os.O_ACCMODE and self._find(node)[1] not in ("memory", EXACT):
            raise OSError(errno.EROFS, "views are read only")
        return wire.opened()

    def _names(self, node: int) -> list[tuple[str, int, int]]:
        """What a directory lists: the commits asked for so far, or a commit's media."""
        names = [(".", node, stat.S_IFDIR), ("..", wire.ROOT, stat.S_IFDIR)]
        if node == wire.ROOT:
            commits = self._nodes.commits()
            return names + [(commit, self._nodes.node(commit), stat.S_IFDIR) for commit in commits]
        commit, _ = self._find(node)
        media = [medium for medium in ("memory", "disk") if self._size(commit, medium) is not None]
        return names + [(medium, self._nodes.node(commit, medium), stat.S_IFREG) for medium in media]

    def _find(self, node: int) -> tuple[str, str]:
        found = self._nodes.find(node)
        if found is None:
            raise OSError(errno.ESTALE, "no such node")
        return found

    def _size(self, commit: str, medium: str) -> int | None:
        """A medium's size; remembered, for it never changes once there is one."""
        known = self._sizes.get((commit, medium))
        if known is None and (known := self._ask_size(commit, medium)) is not None:
            self._sizes[commit, medium] = known
        return known

    def _ask_size(self, commit: str, medium: str) -> int | None:
        try:
            return patiently(lambda: self._source.size_bytes(commit, _stored(medium)))
        except (VertuiError, OSError) as error:
            self._say(Damage(commit, medium, None, str(error)))
            raise OSError(errno.EIO, "damaged") from error

    def _read(self, node: int, offset: int, size: int) -> bytes | memoryview:
        commit, medium = self._find(node)
        length = min(size, LARGEST_READ_BYTES, (self._size(commit, medium) or 0) - offset)
        if length <= 0:
            return b""
        if medium == EXACT and length > PAGE_BYTES:
            raise OSError(errno.EIO, "page by page")  # the kernel then asks for what is really wanted
        try:
            data = patiently(lambda: self._source.read(commit, _stored(medium), offset, length))
            if len(data) != length:
                raise VertuiError(f"{len(data)} bytes instead of {length}")
        except Exception as error:
            # Whatever it is, one reader fails, not all. The kernel asks again page by page for what is really wanted.
            if length <= PAGE_BYTES:
                self._say(Damage(commit, medium, offset // PAGE_BYTES, str(error)))
            raise OSError(errno.EIO, "damaged") from error
        return data

    def _say(self, damage: Damage) -> None:
        """To the daemon, and to who reads the log."""
        self._damages.note(damage)
        complain(str(damage))


def patiently(ask: Callable[[], Answer]) -> Answer:
    """What a source answers. While it cannot for want of descriptors or memory the reader waits, as for a slow disk."""
    while True:
        try:
            return ask()
        except (NoRoom, MemoryError) as error:
            complain(f"a reader waits: {error}")
            time.sleep(AGAIN_S)


def _stored(medium: str) -> str:
    """What a medium's bytes are stored as."""
    return "memory" if medium == EXACT else medium


def touched(size: int) -> memoryview:
    """Memory of that size that is really there."""
    room = memoryview(bytearray(size))
    for first in range(0, size, PAGE_BYTES):
        room[first] = 1
    return room


@functools.lru_cache(1024)
def complain(line: str) -> None:
    """One line in the log; once, however often a reader tries again."""
    logger.warning("%s", line)


def factory(named: str) -> "Callable[[Path], PageSource]":
    """What makes a source, by MODULE:FACTORY."""
    module, _, name = named.partition(":")
    made: Callable[[Path], PageSource] = getattr(importlib.import_module(module), name)
    return made


def serve(arguments: Sequence[str]) -> None:
    """Serve until the mount is gone, with /dev/fuse as descriptor 3, the nodes as 4, and the questions as 5.

    The arguments are MODULE:FACTORY of the source, the root that it is given, and the file of damage.
    """
    named, root, damage = arguments
    source = factory(named)(Path(root))
    Server(FUSE_FD, Nodes(NODES_FD), Questions(QUESTIONS_FD), source, Damages(Path(damage))).run()


def main() -> None:
    """`python -m core.store.views.server MODULE:FACTORY ROOT DAMAGE`."""
    log_as("views")
    serve(sys.argv[1:])


if __name__ == "__main__":
    main()
