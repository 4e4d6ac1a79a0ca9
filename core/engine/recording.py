"""A command that is run in a branch, written into its journal once it has ended or its client is gone.

Of its output the beginning and the end are kept, and hashes of its input and of all its output. What a terminal shows
is not kept at all: it is a picture that was drawn over and over, and may show what was typed.
"""

import time

from blake3 import blake3

from core.commands import Recorded
from core.engine.journals import AUTHOR, Journals
from core.engine.unattended import UnattendedCommand
from core.guest.streams import CommandExit, CommandOutput, StreamName
from core.journal.entry import EntryKind, JournalExec, NewEntry
from core.journal.means import MeansPacker
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


class SeenCommand:
    """One command: what it is given and says is shown to this as it passes, and it tells what an entry has of that."""

    def __init__(self, request: ExecRequest, command: int) -> None:
        self._request, self._command = request, command
        self._began = time.time()
        self._stdin, self._stdin_bytes = blake3(), 0
        self._output = {name: blake3() for name in StreamName}
        self._bytes = dict.fromkeys(StreamName, 0)
        self._excerpt = Excerpt(*KEPT_BYTES["none" if request.tty else request.recorded])
        self._missed, self._partial, self._passed_over = False, False, 0
        self._exit: CommandExit | None = None
        self.left = False
        """Did its client leave it running?"""
        self.cut = False
        """Was the line to its guest lost?"""

    def given(self, data: bytes) -> None:
        """It is given input."""
        self._stdin.update(data)
        self._stdin_bytes += len(data)

    def said(self, item: CommandOutput | CommandExit) -> None:
        """It printed something, or ended."""
        if isinstance(item, CommandExit):
            self._exit = item
            return
        self._missed |= bool(item.dropped)
        self._bytes[item.stream] = item.offset + len(item.data)
        self._output[item.stream].update(item.data)
        self._excerpt.add(item.data)

    def told(self) -> JournalExec:
        """What is known of it."""
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
            stdin_bytes=self._passed_over + self._stdin_bytes,
            stdin_hash=self._stdin.hexdigest() if self._stdin_bytes and not self._passed_over else "",
            stdout_bytes=self._bytes[StreamName.STDOUT],
            stderr_bytes=self._bytes[StreamName.STDERR],
            output_hash=blake3(out.digest() + err.digest()).hexdigest() if whole else "",
            timeout_s=request.timeout_s,
            secrets=tuple(sorted(request.secrets.items())),
            left=end is None and self.left,
            partial=self._partial,
            cut=end is None and self.cut and not self.left,
        )


class CommandRecord(SeenCommand):
    """A command that is written down once: when it ends, so that whoever is told of its end finds that in the journal,
    or else by `close`.

    With its entry is kept what a replay gives it again, see `core.journal.means`. That is not what was typed at a
    terminal, passwords maybe, and nothing of a command of whose output nothing is to be kept.
    """

    def __init__(
        self, journals: Journals, branch: str, head: str, request: ExecRequest, command: int
    ) -> None:
        super().__init__(request, command)
        self._journals, self._branch, self._head = journals, branch, head
        self._author = request.author[:LONGEST_AUTHOR] or AUTHOR
        self._means = MeansPacker(request.env) if not request.tty and request.recorded != "none" else None
        self._written = False

    @classmethod
    def taken_up(
        cls, journals: Journals, branch: str, head: str, begun: Command, asked: ExecRequest | None = None
    ) -> "CommandRecord":
        """Of a command that was begun under an earlier daemon: what it said until now is not known, and unless its
        client says how it had `asked`, that neither.
        """
        request = asked or ExecRequest(branch, begun.argv, recorded="none")
        record = cls(journals, branch, head, request, begun.id)
        record._began, record._missed, record._partial = begun.started, True, asked is None
        return record

    def pass_over(self, size_bytes: int) -> None:
        """So much input it was given before."""
        self._passed_over = size_bytes

    def given(self, data: bytes) -> None:
        """It is given input."""
        super().given(data)
        if self._means:
            self._means.add(data)

    def said(self, item: CommandOutput | CommandExit) -> None:
        """It printed something, or ended."""
        super().said(item)
        if isinstance(item, CommandExit):
            self.close()

    def unattended(self) -> UnattendedCommand:
        """The command as one that nobody follows, of whose end nothing is known."""
        request = self._request
        begun = JournalExec(
            request.argv, self._command, request.cwd or "", tuple(sorted({*request.env, *request.secrets})),
            request.user or "", tty=request.tty, timeout_s=request.timeout_s,
            secrets=tuple(sorted(request.secrets.items())), left=True, partial=self._partial,
        )  # fmt: skip
        recorded = "none" if request.tty else request.recorded
        mark = self._journals.mark(self._branch)
        return UnattendedCommand(self._branch, begun, self._author, self._head, mark, recorded)

    def running(self) -> UnattendedCommand | None:
        """The same, until it is written down."""
        return None if self._written else self.unattended()

    def close(self) -> None:
        """Write it down, unless that was done; idempotent."""
        if self._written:
            return
        self._written = True
        given = self._means.finish() if self._means else b""
        text, told = self._excerpt.text(), self.told()
        new = NewEntry(EntryKind.EXEC, text, self._author, self._head, exec=told, given=given)
        self._journals.writer.note(self._branch, new)

    async def kept(self) -> None:
        """Wait until its entry is on disk: whoever hears of its end may count on that, whatever dies next. One that
        cannot be written is logged, and stops no command.
        """
        await self._journals.writer.flush([self._branch])
