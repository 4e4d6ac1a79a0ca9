"""A client following a command: cursors into its output, and how much may be under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import wire
from .spawn import BadRequest

if TYPE_CHECKING:
    from .command import Command

STREAM_FRAMES = (wire.STDOUT, wire.STDERR)

ACK_EVERY_BYTES = wire.WINDOW_BYTES // 4


class Attachment:
    """Pulls frames for one channel; at most a window of output is sent and not yet consumed by the client."""

    def __init__(self, channel: int, command: Command, offsets: tuple[int, int]) -> None:
        self.channel = channel
        self.command = command
        self.cursors = list(offsets)
        if any(at > stream.ring.end or at < 0 for at, stream in zip(offsets, command.streams, strict=True)):
            raise BadRequest(f"command {command.number} has no output at {offsets[0]} or {offsets[1]}")
        self._sent = 0
        self._consumed = 0
        self.over = False
        self._stdin_acked = command.stdin.written

    def consumed(self, total: int) -> None:
        """The client has used up this much output in all, each frame counted with FRAME_COST."""
        self._consumed = max(self._consumed, min(total, self._sent))

    def leave(self) -> None:
        """Follow no more; a lossless command no longer waits for this client."""
        self.over = True
        self.command.attachments.remove(self)
        for stream in self.command.streams:
            stream.resume()

    def next_frame(self) -> bytes | None:
        """What to send next, None when there is nothing (or the window is full)."""
        written = self.command.stdin.written
        if written - self._stdin_acked >= ACK_EVERY_BYTES:
            self._stdin_acked = written
            return wire.frame(wire.STDIN_ACK, self.channel, wire.OFFSET.pack(written))
        return self._next_output() or self._exit_frame()

    def _next_output(self) -> bytes | None:
        room = wire.WINDOW_BYTES - (self._sent - self._consumed) - wire.FRAME_COST
        for index, stream in enumerate(self.command.streams):
            start = max(self.cursors[index], stream.ring.start)
            if room > 0 and start < stream.ring.end:
                data = stream.ring.read(start, min(wire.CHUNK_BYTES, room))
                self.cursors[index] = start + len(data)
                self._sent += len(data) + wire.FRAME_COST
                stream.resume()
                return wire.frame(STREAM_FRAMES[index], self.channel, wire.OFFSET.pack(start) + data)
        return None

    def _exit_frame(self) -> bytes | None:
        """The end, once all output up to it is sent; the attachment is over with it."""
        end = self.command.end
        if end is None or any(at < total for at, total in zip(self.cursors, end["bytes"], strict=True)):
            return None
        self.leave()
        return wire.json_frame(wire.EXIT, self.channel, end)
