"""QEMU opens its memory's file for writing, though it maps it privately. It is given one that can only be read.

A base is a file in the page cache that every machine of it shares. Whoever has it open for writing can map it shared,
and what he writes there the others read, whatever the view's server says. So machines may not open it for writing, but
the kernel tells us of their attempt, and gives them the descriptor that we name as what came of it. QEMU 8.2 and later
would do without (`rom=off`). Sources: seccomp_unotify(2), linux/seccomp.h.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from core.errors import MachineFailed
from core.files import want_of_means

RECEIVE, SEND, ADD_DESCRIPTOR = 0xC050_2100, 0xC018_2101, 0x4018_2103
NOTICE = struct.Struct(
    "=QIIiIQ6Q"
)  # id, pid, flags; of the call: number, architecture, where, and its arguments
ANSWER, GIVEN = struct.Struct("=QqiI"), struct.Struct("=QIIII")
GO_ON = 1
LONGEST_PATH = 64


@contextlib.contextmanager
def answered(path: bytes, file: int) -> Iterator[socket.socket]:
    """During the body, on the running loop, answer the process that is given this socket and sends its listener there:
    to open `path` for writing gives it `file`; of every other the kernel decides. MachineFailed, NoRoom.
    """
    asks, theirs = _pair()
    loop, listeners = asyncio.get_running_loop(), list[int]()

    def hear() -> None:
        loop.remove_reader(asks)
        with contextlib.suppress(OSError):
            listeners.extend(socket.recv_fds(asks, 1, 1)[1])
        for listener in listeners:
            os.set_inheritable(listener, False)
            loop.add_reader(listener, answer, listener)

    def answer(listener: int) -> None:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if _answer(listener, path, file):
                return
        loop.remove_reader(listener)

    loop.add_reader(asks, hear)
    try:
        yield theirs
    finally:
        loop.remove_reader(asks)
        asks.close()
        theirs.close()
        for listener in listeners:
            loop.remove_reader(listener)
            os.close(listener)


def _pair() -> tuple[socket.socket, socket.socket]:
    try:
        return socket.socketpair()
    except OSError as error:
        failure = MachineFailed(f"a machine cannot be started: {error.strerror}")
        raise want_of_means(error, "a machine's socket") or failure from error


def _answer(listener: int, path: bytes, file: int) -> bool:
    """Answer one attempt; False when nobody is left to make another."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    if not any(event & select.POLLIN for _, event in poll.poll(0)):
        return False
    notice = bytearray(NOTICE.size)
    fcntl.ioctl(listener, RECEIVE, notice)
    number, pid, *_, name, _, _, _, _ = NOTICE.unpack(notice)
    if _text(pid, name) == path:
        with contextlib.suppress(OSError):  # a kernel that gives no descriptors: let it open what it may
            given = fcntl.ioctl(
                listener, ADD_DESCRIPTOR, bytearray(GIVEN.pack(number, 0, file, 0, os.O_CLOEXEC))
            )
            fcntl.ioctl(listener, SEND, bytearray(ANSWER.pack(number, given, 0, 0)))
            return True
    fcntl.ioctl(listener, SEND, bytearray(ANSWER.pack(number, 0, 0, GO_ON)))
    return True


def _text(pid: int, address: int) -> bytes:
    """A string in another process's memory; empty when it cannot be read."""
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(LONGEST_PATH).partition(b"\0")[0]
    except OSError:
        return b""
