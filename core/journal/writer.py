"""Who writes a home's journals: numbers and hashes at once, in order, and the lines of many with one flush."""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from core.errors import Damaged, NoRoom, VertuiError
from core.files import Files, file_bytes, os_files
from core.journal.entry import EntryKind, JournalEntry, JournalHead, NewEntry, PackedBody
from core.journal.record import INLINE_BYTES, entry_line, head_line, laid, with_body
from core.journal.segment import RECENT, Tip, bodies_of, file_of, found_tip, head_of, opened
from core.room import no_room

BATCH_BYTES = 512 * 1024  # of a segment, written at once: what a crash tears is looked for in twice as much
BODIES_KNOWN = 64  # of a segment, the last long ones: one of them that is said again is not stored again
AT_ONCE = 8  # segments that are written side by side: their flushes are one for the filesystem, mostly
WRITERS = ThreadPoolExecutor(AT_ONCE, "journal")
"""No other's threads: what makes machines run must not wait for a disk."""

logger = logging.getLogger(__name__)


@dataclass
class QueuedLine:
    """What is to be written, and who waits for that; `after` is the segment's end once it is. One that is not
    `kept` need not survive the host: what it says is found again.
    """

    data: bytes
    after: Tip
    body: bytes = b""
    kept: bool = True
    waiters: list["asyncio.Future[None]"] = field(default_factory=list)

    def tell(self, error: VertuiError | None) -> None:
        """Whoever waits, and has not left meanwhile."""
        for waiter in self.waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)


@dataclass
class OpenSegment:
    """A segment: its end on disk, its end with all that waits, by request the entries that were asked for last, and by
    hash where the last long `bodies` lie of those that this process wrote. `named` tells whether that has made its name
    durable.
    """

    head: JournalHead
    durable: Tip
    tip: Tip
    keys: OrderedDict[str, int] = field(default_factory=OrderedDict)
    bodies: OrderedDict[str, PackedBody] = field(default_factory=OrderedDict)
    waiting: list[QueuedLine] = field(default_factory=list)
    named: bool = False
    writing: asyncio.Task[None] | None = None

    def remember(self, key: str, seq: int) -> None:
        """The request that made an entry."""
        self.keys[key] = seq
        while len(self.keys) > RECENT:
            self.keys.popitem(last=False)

    def lies(self, hash_: str, body: PackedBody) -> None:
        """Where the body of that hash lies, once what waits is written."""
        self.bodies[hash_] = body
        self.bodies.move_to_end(hash_)
        while len(self.bodies) > BODIES_KNOWN:
            self.bodies.popitem(last=False)

    def written(self) -> "asyncio.Future[None]":
        """What tells of the line that was queued last: lines are written in order, and fail with those before them."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[-1].waiters.append(waiter)
        return waiter


class JournalWriter:
    """The segments of a home, by their branches' ids. Its methods are called on one event loop; files are written in a
    thread. `origin` says where a branch's chain begins that has no segment yet.
    """

    def __init__(
        self, directory: Path, origin: Callable[[str], JournalHead], files: Files = os_files
    ) -> None:
        self.directory = directory
        self.unwritten = asyncio.Event()
        """Something waits that nobody has asked to be written yet."""
        self._origin, self._files = origin, files
        self._segments: dict[str, OpenSegment] = {}
        self._listeners: dict[asyncio.Event, str] = {}

    def open(self, branch: str) -> OpenSegment:
        """A branch's segment, as it is on disk; what a crash left of its last batch is cut off. Damaged when it cannot
        be told what comes after it.
        """
        known = self._segments.get(branch)
        if known is None:
            found = found_tip(self.directory, branch, self._files)
            if found is None:
                head, left = self._origin(branch), file_bytes(bodies_of(self.directory, branch))
                known = OpenSegment(head, Tip.of(head, 0, left), Tip.of(head, 0, left))
            else:
                known = OpenSegment(found.head, found.tip, found.tip, OrderedDict(found.keys))
            self._segments[branch] = known
        return known

    def head(self, branch: str) -> JournalHead | None:
        """The same head as `end` tells, without a look at the segment's end."""
        if branch not in self._segments:
            path = file_of(self.directory, branch)
            with opened(path) as descriptor:
                if descriptor is not None and (found := head_of(descriptor, file_bytes(path))):
                    return found
        return self.end(branch)[0]

    def end(self, branch: str) -> tuple[JournalHead | None, int]:
        """Head and size of a branch's segment, of one that is damaged as well; no head when that is what is damaged."""
        try:
            segment = self.open(branch)
        except Damaged:
            path = file_of(self.directory, branch)
            with opened(path) as descriptor:
                size = file_bytes(path)
                return (head_of(descriptor, size) if descriptor is not None else None), size
        return segment.head, segment.durable.size

    async def append(self, branch: str, wanted: Sequence[NewEntry]) -> list[JournalEntry | int]:
        """Append entries: they are on disk when this returns. In the place of one whose `key` made one before stands
        that one's number. NoRoom on a full disk: then nothing of them is left, or of very many the first are.
        """
        segment = self.open(branch)
        known = [segment.keys.get(new.key) for new in wanted]
        made = [
            self._add(segment, new) if earlier is None else earlier
            for new, earlier in zip(wanted, known, strict=True)
        ]
        if segment.waiting:
            self._start(branch, segment)
            await segment.written()
        return made

    def note(self, branch: str, new: NewEntry) -> None:
        """Append an entry for which nobody waits: it is written with the next one, or when `unwritten` is heard."""
        with contextlib.suppress(VertuiError):  # of a damaged one, which takes none
            self._add(self.open(branch), new)
            self.unwritten.set()

    def begin(self, head: JournalHead, *, kept: bool) -> None:
        """Have a child's segment begin at an entry of its parent's, unless it has begun; written as notes are. It is
        `kept` if `origin` would not say the same.
        """
        known = self._segments.get(head.journal)
        if known and known.tip.size:
            return
        segment = self._segments[head.journal] = OpenSegment(head, Tip.of(head), Tip.of(head))
        data = head_line(head) + b"\n"
        _queue(segment, QueuedLine(data, Tip.of(head, len(data)), kept=kept))
        self.unwritten.set()

    async def flush(self, branches: Iterable[str] | None = None) -> None:
        """Have all written that waits now, or what does of these branches."""
        waited = []
        for branch in [*self._segments] if branches is None else branches:
            segment = self._segments.get(branch)
            if segment and segment.waiting:
                self._start(branch, segment)
                waited.append(segment.written())
        await asyncio.gather(*waited, return_exceptions=True)

    def forget(self, branches: Iterable[str]) -> None:
        """Of branches whose segments are removed."""
        for branch in branches:
            self._segments.pop(branch, None)

    def listen(self, branch: str) -> asyncio.Event:
        """An event that is set whenever something was written into a branch's segment."""
        event = asyncio.Event()
        self._listeners[event] = branch
        return event

    def wake(self) -> None:
        """Set the events of all who listen."""
        for event in self._listeners:
            event.set()

    def unlisten(self, event: asyncio.Event) -> None:
        """Set it no more; idempotent."""
        self._listeners.pop(event, None)

    # -- the queue -------------------------------------------------------------------------------------------

    def _add(self, segment: OpenSegment, new: NewEntry) -> JournalEntry:
        tip, seq, apart = segment.tip, segment.tip.seq + 1, b""
        wanted = JournalEntry(
            seq, max(time.time(), tip.time), new.kind, new.author, new.body, new.commit, tip.hash, "", key=new.key,
            guest=new.guest, exec=new.exec, tries=new.tries, lost=new.lost,
            mark=seq if new.kind == EntryKind.RESTORE else tip.mark,
        )  # fmt: skip
        if len(body := new.body.encode(errors="surrogatepass")) > INLINE_BYTES:
            wanted, apart = with_body(wanted, body, tip.bodies, segment.bodies)
            if wanted.apart:
                segment.lies(wanted.body_hash, wanted.apart)
        if new.exec and new.given:
            place = tip.bodies + len(apart)
            wanted = replace(wanted, exec=replace(new.exec, given=laid(new.given, place)))
            apart += new.given
        hash_, line = entry_line(wanted)
        data = line + b"\n"
        if tip.size == 0:
            data = head_line(segment.head) + b"\n" + data
        if new.key:
            segment.remember(new.key, seq)
        bodies = tip.bodies + len(apart)
        after = Tip(tip.size + len(data), seq, hash_, wanted.time, wanted.mark, bodies)
        _queue(segment, QueuedLine(data, after, apart))
        return replace(wanted, hash=hash_)

    def _start(self, branch: str, segment: OpenSegment) -> None:
        if segment.writing is None or segment.writing.done():
            segment.writing = asyncio.create_task(self._write(branch, segment))

    async def _write(self, branch: str, segment: OpenSegment) -> None:
        """Write what waits, all that has come meanwhile with the next batch, until nothing does."""
        loop = asyncio.get_running_loop()
        while lines := _batch(segment):
            error = await loop.run_in_executor(WRITERS, self._written, branch, lines, segment)
            self._tell(branch, segment, lines, error)
            for event, listened in self._listeners.items():
                if listened == branch:
                    event.set()

    def _tell(
        self, branch: str, segment: OpenSegment, lines: list[QueuedLine], error: VertuiError | None
    ) -> None:
        if error is None:
            segment.durable = lines[-1].after
            segment.named |= any(line.kept for line in lines)
            del segment.waiting[: len(lines)]
        else:  # what came meanwhile is chained to what was not written: it is refused as well
            lines, segment.waiting = segment.waiting, []
            self.forget([branch])
            logger.warning("journal %s: %d lines were not written: %s", branch, len(lines), error)
        for line in lines:
            line.tell(error)

    # -- in a thread -----------------------------------------------------------------------------------------

    def _written(self, branch: str, lines: list[QueuedLine], segment: OpenSegment) -> VertuiError | None:
        """Write a batch at its segment's end; why that failed, which is then as it was."""
        try:
            self._write_batch(branch, lines, segment)
        except NoRoom:
            return no_room("a journal's entry", self.directory, sum(len(line.data) for line in lines))
        except VertuiError as error:
            return error
        except Exception:  # a mistake of ours must not leave those who wait for it waiting
            logger.exception("journal %s", branch)
            return VertuiError("the journal was not written: `vertui daemon logs` tells why")
        return None

    def _write_batch(self, branch: str, lines: list[QueuedLine], segment: OpenSegment) -> None:
        """Bodies before the lines that name them, files' names before what is in them is told of."""
        files, start = self._files, segment.durable
        path, apart = file_of(self.directory, branch), bodies_of(self.directory, branch)
        if start.size == 0:
            files.mkdir(self.directory)
        try:
            if bodies := b"".join(line.body for line in lines):
                files.append(apart, bodies)
                files.fsync(apart)
            files.append(path, b"".join(line.data for line in lines))
            if any(line.kept for line in lines):
                files.fsync(path)
                if not segment.named or (bodies and not start.bodies):
                    files.fsync(self.directory)
        except VertuiError:
            for file, size in ((path, start.size), (apart, start.bodies)):
                with contextlib.suppress(VertuiError):  # the first of them may not be there yet
                    files.cut(file, size)
            raise


def _queue(segment: OpenSegment, line: QueuedLine) -> None:
    segment.tip = line.after
    segment.waiting.append(line)


def _batch(segment: OpenSegment) -> list[QueuedLine]:
    """The first of what waits: at least one if there is any, and not more than is looked through after a crash."""
    size, lines = 0, list[QueuedLine]()
    for line in segment.waiting:
        size += len(line.data)
        if lines and size > BATCH_BYTES:
            break
        lines.append(line)
    return lines
