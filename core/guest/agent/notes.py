"""Notes: what programs of the guest say for its branch's journal, kept until the host has it on disk.

A program connects, says what its note is and how long, and then its text (`note` is that program). The host is told
that there is a note, and asks for it when it likes, a piece at a time: who talks much waits. What notes take of the
agent's memory is bounded, as that is in every fork. One that waits at a fork waits in each child, and is each's own.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .loop import READ, Poller, Timer, Timers
from .note import ADDRESS, LONGEST_AUTHOR, LONGEST_KIND, MOST_BYTES

MOST_WAITING = 32
"""Connections; further ones wait to be accepted."""

MOST_HELD_BYTES = 4 * MOST_BYTES
HEAD_BYTES = 4096
PIECE_BYTES = 32 * 1024
"""Of text in one answer, which is a third longer there: a frame has room for 64 KiB."""

TOLD_S = 30.0
"""A note has been told by then, or its program is cut off."""

GONE = 0
"""Events to watch for who only waits: that it hangs up is told in any case."""


class _Note:
    """One connection, and what has been said on it."""

    def __init__(self, connection: socket.socket, timer: Timer) -> None:
        self.connection = connection
        self.timer: Timer | None = timer
        self.id = os.urandom(8).hex()
        self.head: dict[str, Any] | None = None
        self.text = bytearray()

    @property
    def size(self) -> int:
        """What its text takes, or will."""
        return self.head["size"] if self.head else 0

    @property
    def is_whole(self) -> bool:
        """Has all of it been said?"""
        return self.head is not None and len(self.text) == self.size


class Notes:
    """Listens for notes; `tell` is called when one is whole."""

    def __init__(
        self, poller: Poller, timers: Timers, tell: Callable[[], None], address: str = ADDRESS
    ) -> None:
        self._poller = poller
        self._timers = timers
        self._tell = tell
        self._notes: dict[int, _Note] = {}
        self._waiting: list[_Note] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(address)
        self._socket.listen(MOST_WAITING)
        self._socket.setblocking(False)
        self._heed()

    def __bool__(self) -> bool:
        """Does a note wait for the host?"""
        return bool(self._waiting)

    def first(self, at: int) -> dict[str, Any]:
        """The note that waits longest, with some of its text from a place on; {} for none."""
        if not self._waiting:
            return {}
        note = self._waiting[0]
        piece = bytes(note.text[max(0, at) :][:PIECE_BYTES])
        return {**(note.head or {}), "id": note.id, "data": base64.b64encode(piece).decode()}

    def answer(self, id: str, said: dict[str, Any]) -> None:
        """Tell a note's program what became of it; one that has left is not missed."""
        for note in [note for note in self._waiting if note.id == id]:
            self._reply(note, said)

    def _heed(self) -> None:
        """Accept while there is room."""
        if len(self._notes) < MOST_WAITING:
            self._poller.watch(self._socket.fileno(), READ, self._accept)
        else:
            self._poller.forget(self._socket.fileno())

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # gone again
            return
        connection.setblocking(False)
        fd = connection.fileno()
        self._notes[fd] = _Note(connection, self._timers.after(TOLD_S, lambda: self._close(fd)))
        self._poller.watch(fd, READ, lambda: self._read(fd))
        self._heed()

    def _read(self, fd: int) -> None:
        note = self._notes[fd]
        wanted = HEAD_BYTES if note.head is None else min(note.size - len(note.text), PIECE_BYTES)
        try:
            data = note.connection.recv(wanted)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(fd)
            return
        note.text += data
        if note.head is None and not self._read_head(note):
            return
        if len(note.text) > note.size:
            self._reply(note, {"problem": "more was said than was told of"})
        elif note.is_whole:
            self._take(note)

    def _read_head(self, note: _Note) -> bool:
        """Read what the note is, once all of that is there."""
        line, newline, rest = bytes(note.text).partition(b"\n")
        if not newline:
            if len(note.text) >= HEAD_BYTES:
                self._reply(note, {"problem": "what it is takes too long to say"})
            return False
        try:
            said = json.loads(line)
            size, kind, author = int(said["size"]), str(said["kind"]), str(said["author"])
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            self._reply(note, {"problem": "it does not say what it is"})
            return False
        if not 0 <= size <= MOST_BYTES:
            self._reply(note, {"problem": f"a note has {MOST_BYTES} bytes at most"})
            return False
        if size + sum(other.size for other in self._notes.values()) > MOST_HELD_BYTES:
            self._reply(note, {"problem": "too much is said at once: try again"})
            return False
        note.head = {"kind": kind[:LONGEST_KIND], "author": author[:LONGEST_AUTHOR], "size": size}
        note.text = bytearray(rest)
        return True

    def _take(self, note: _Note) -> None:
        """It is whole: from now on only its end is looked for."""
        self._timers.cancel(note.timer)
        note.timer = None
        fd = note.connection.fileno()
        self._poller.watch(fd, GONE, lambda: self._close(fd))
        self._waiting.append(note)
        self._tell()

    def _reply(self, note: _Note, said: dict[str, Any]) -> None:
        with suppress(OSError):
            note.connection.send(json.dumps(said).encode() + b"\n")
        self._close(note.connection.fileno())

    def _close(self, fd: int) -> None:
        note = self._notes.pop(fd)
        self._timers.cancel(note.timer)
        self._poller.forget(fd)
        note.connection.close()
        if note in self._waiting:
            self._waiting.remove(note)
        self._heed()
