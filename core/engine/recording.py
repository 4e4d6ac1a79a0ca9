"""A command that is run in a branch, written into its journal once it has ended or its client is gone.

Of its output the beginning and the end are kept, of its input and of all its output hashes. What a terminal shows is
not kept at all: it is a picture that was drawn over and over, and may show what was typed.
"""

import time

from blake3 import blake3

from core.commands import Recorded
from core.engine.journals import AUTHOR, Journals
from core.guest.streams import CommandExit, CommandOutput, StreamName
from core.journal.entry import EntryKind, JournalExec, NewEntry
from core.model import Command, ExecRequest

LONGEST_AUTHOR = 200  # characters
KEPT_BYTES: dict[Recorded, tuple[int, int]] = {
    "some": (16 * 1024, 48 * 1024),  # what went wrong stands at the end
    "all": (512 * 1024, 512 * 1024),  # as much as is packed in some milliseconds
    "none": (0, 0),
}
"""Of output, from its beginning and from its end."""


class Excerpt:
    """The beginning and the end of bytes that come piece by piece."""

    def __init__(self, begin_bytes: int, end_bytes: int) -> None:
        self._begin_bytes, self._end_bytes = begin_bytes, end_bytes
        self._begin, self._end = bytearray(), bytearray()
        self._count = 0

    def add(self, data: bytes) -> None:
        """Take more of them."""
        self._count += len(data)
        room = self._begin_bytes - len(self._begin)
        self._begin += data[:room]
        self._end += data[room:]
        if len(self._end) > 2 * self._end_bytes:
            del self._end[: len(self._end) - self._end_bytes]

    def text(self) -> str:
        """What is kept, and how much is not."""
        end = self._end[max(0, len(self._end) - self._end_bytes) :]
        left_out = self._count - len(self._begin) - len(end)
        between = f"\n[{left_out} bytes more]\n" if left_out and self._end_bytes else ""
        return self._begin.decode(errors="replace") + between + end.decode(errors="replace")


class CommandRecord:
    """One command: what it is given and says is shown to this as it passes. It is written down once: when it ends, so
    that whoever is told of its end finds that in the journal, or else by `close`.
    """

    def __init__(
        self, journals: Journals, branch: str, head: str, request: ExecRequest, command: int
    ) -> None:
        self._journals, self._branch, self._head = journals, branch, head
        self._request, self._command = request, command
        self._began = time.time()
        self._stdin, self._stdin_bytes = blake3(), 0
        self._output = {name: blake3() for name in StreamName}
        self._bytes = dict.fromkeys(StreamName, 0)
        self._excerpt = Excerpt(*KEPT_BYTES["none" if request.tty else request.recorded])
        self._missed, self._written = False, False
        self._exit: CommandExit | None = None

    @classmethod
    def taken_up(cls, journals: Journals, branch: str, head: str, begun: Command) -> "CommandRecord":
        """Of a command that was begun under an earlier daemon: how it was asked for, and what it said until now, is not
        known.
        """
        record = cls(journals, branch, head, ExecRequest(branch, begun.argv, recorded="none"), begun.id)
        record._began, record._missed = begun.started, True
        return record

    def given(self, data: bytes) -> None:
        """It is given input."""
        self._stdin.update(data)
        self._stdin_bytes += len(data)

    def said(self, item: CommandOutput | CommandExit) -> None:
        """It printed something, or ended."""
        if isinstance(item, CommandExit):
            self._exit = item
            self.close()
            return
        self._missed |= bool(item.dropped)
        self._bytes[item.stream] = item.offset + len(item.data)
        self._output[item.stream].update(item.data)
        self._excerpt.add(item.data)

    def close(self) -> None:
        """Write it down, unless that was done; idempotent."""
        if self._written:
            return
        self._written = True
        author = self._request.author[:LONGEST_AUTHOR] or AUTHOR
        new = NewEntry(EntryKind.EXEC, self._excerpt.text(), author, self._head, exec=self._done())
        self._journals.writer.note(self._branch, new)

    def _done(self) -> JournalExec:
        request, end = self._request, self._exit
        out, err = self._output.values()
        whole = end is not None and not self._missed
        return JournalExec(
            argv=request.argv,
            command=self._command,
            cwd=request.cwd or "",
            env=tuple(sorted({*request.env, *request.secrets})),
            user=request.user or "",
            tty=request.tty,
            exit=end.code if end else None,
            timed_out=end is not None and end.timed_out,
            duration_ms=round(max(0.0, time.time() - self._began) * 1000, 2),
            stdin_bytes=self._stdin_bytes,
            stdin_hash=self._stdin.hexdigest() if self._stdin_bytes else "",
            stdout_bytes=self._bytes[StreamName.STDOUT],
            stderr_bytes=self._bytes[StreamName.STDERR],
            output_hash=blake3(out.digest() + err.digest()).hexdigest() if whole else "",
        )
