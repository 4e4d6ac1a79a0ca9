"""A client following a command: cursors into its output, and how much may be under way."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from . import wire
from .spawn import BadRequest

if TYPE_CHECKING:
    from .command import Command

STREAM_FRAMES = (wire.STDOUT, wire.STDERR)


class Attachment:
    """Pulls frames for one channel; at most a window of output is sent and not yet consumed by the client.

    Its owner is the client that started it: when the line to that breaks it is waited for, `owner_s` long. `taken` is
    what the client has of each output: a lossless command's ring keeps what follows, for when it is back.
    """

    def __init__(self, channel: int, command: Command, offsets: tuple[int, int], owner_s: float) -> None:
        self.channel = channel
        self.command = command
        self.owner_s = owner_s
        self.cursors = list(offsets)
        self.taken = list(offsets)
        if any(at > stream.ring.end or at < 0 for at, stream in zip(offsets, command.streams, strict=True)):
            raise BadRequest(f"command {command.number} has no output at {offsets[0]} or {offsets[1]}")
        self._sent = 0
        self._consumed = 0
        self._under_way: deque[tuple[int, int, int]] = deque()
        self.over = False
        self._stdin_acked = command.stdin.written
        self._shut_told = False

    def consumed(self, total: int) -> None:
        """The client has used up this much output in all, each frame counted with FRAME_COST."""
        self._consumed = max(self._consumed, min(total, self._sent))
        while self._under_way and self._under_way[0][0] <= self._consumed:
            _, index, self.taken[index] = self._under_way.popleft()
        self._resume()

    def leave(self) -> None:
        """Follow no more; a lossless command no longer waits for this client."""
        self.over = True
        self.command.attachments.remove(self)
        self._resume()

    def _resume(self) -> None:
        for stream in self.command.streams:
            stream.resume()

    def next_frame(self) -> bytes | None:
        """What to send next, None when there is nothing (or the window is full)."""
        return self._input_frame() or self._next_output() or self._exit_frame()

    def _input_frame(self) -> bytes | None:
        stdin = self.command.stdin
        if stdin.shut and not self._shut_told:
            self._shut_told = True
            return wire.frame(wire.STDIN_SHUT, self.channel)
        if stdin.written - self._stdin_acked < wire.ACK_EVERY_BYTES:
            return None
        self._stdin_acked = stdin.written
        return wire.frame(wire.STDIN_ACK, self.channel, wire.OFFSET.pack(stdin.written))

    def _next_output(self) -> bytes | None:
        room = wire.WINDOW_BYTES - (self._sent - self._consumed) - wire.FRAME_COST
        for index, stream in enumerate(self.command.streams):
            start = max(self.cursors[index], stream.ring.start)
            if room > 0 and start < stream.ring.end:
                data = stream.ring.read(start, min(wire.CHUNK_BYTES, room))
                self.cursors[index] = start + len(data)
                self._sent += len(data) + wire.FRAME_COST
                self._under_way.append((self._sent, index, self.cursors[index]))
                return wire.frame(STREAM_FRAMES[index], self.channel, wire.OFFSET.pack(start) + data)
        return None

    def _exit_frame(self) -> bytes | None:
        """The end, once all output up to it is sent; the attachment is over with it."""
        end = self.command.end
        if end is None or any(at < total for at, total in zip(self.cursors, end["bytes"], strict=True)):
            return None
        self.leave()
        return wire.json_frame(wire.EXIT, self.channel, end)
