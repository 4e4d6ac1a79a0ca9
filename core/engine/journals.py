"""The journals of a home's branches: whose entries a chain has, and what verbs write of themselves."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.engine.unattended import UnattendedCommand
from core.errors import NotFound, UsageError, VertuiError
from core.files import Files, os_files
from core.journal.chain import ChainStretch, entries, entry_at, holding, newest, shared, tries
from core.journal.check import check
from core.journal.entry import (
    EntryKind,
    JournalCheck,
    JournalEntry,
    JournalHead,
    NewEntry,
    Ranges,
)
from core.journal.segment import remove, segments, set_aside, taken_bytes
from core.journal.writer import JournalWriter
from core.model import Commit

AUTHOR = "vertui"  # of entries that verbs make by themselves
LINGER_S = 0.1  # these wait for each other so long: whoever asked for the verb does not wait for them
FIRST, AT_ONCE = 16, 256  # entries of a long answer, read at a time
SOON_S = 0.05  # what is found is told of by then

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forkpoint:
    """What children were made of: the branch whose journal they go on from, its last entry that their machines know of
    (None: the last there is), the last that they get (None: the same), their commit, and a line about it.
    """

    parent: str
    seen: int | None
    last: int | None
    commit: str
    summary: str


class Journals:
    """All journals of a home, by branches' ids."""

    def __init__(self, directory: Path, catalog: Catalog, files: Files = os_files) -> None:
        self.writer = JournalWriter(directory, self._origin, files)
        self._directory, self._catalog = directory, catalog
        self._ending = False

    async def keep(self) -> None:
        """Write what verbs noted, a moment after it was."""
        while True:
            await self.writer.unwritten.wait()
            await asyncio.sleep(LINGER_S)
            self.writer.unwritten.clear()
            await self.writer.flush()

    # -- writing ---------------------------------------------------------------------------------------------

    async def append(self, branch: str, wanted: Sequence[NewEntry]) -> JournalEntry:
        """Append entries, at least one, to a branch's journal; the last one, once they are on disk."""
        *_, last = await self.writer.append(branch, wanted)
        if isinstance(last, JournalEntry):
            return last
        found = await asyncio.to_thread(entry_at, self.chain(branch), last)
        if found is None:
            raise NotFound(f"entry {last} of this journal is not there: `vertui journal verify` tells more")
        return found

    def note(self, branch: str, kind: EntryKind, text: str, commit: str = "") -> None:
        """Write down what a verb did. Nobody waits for it."""
        self.writer.note(branch, NewEntry(kind, text, AUTHOR, commit))

    def last(self, branch: str) -> int:
        """The number of the last entry of a branch's journal, on disk or about to be; 0 for none."""
        with suppress(VertuiError):
            return self.writer.open(branch).tip.seq
        return 0

    def mark(self, branch: str) -> int:
        """The number of the newest entry of kind restore of a branch's journal; 0 for none."""
        with suppress(VertuiError):
            return self.writer.open(branch).tip.mark
        return 0

    def durable(self, branch: str) -> int:
        """The number of the last one that is on disk."""
        with suppress(VertuiError):
            return self.writer.open(branch).durable.seq
        return 0

    def check_last(self, branch: str, last: int) -> None:
        """UsageError for an entry that a branch's journal does not have yet."""
        most = self.last(branch) if branch else 0
        if last > most:
            raise UsageError(f"the journal has no entry {last}: {most} is its last")

    async def forked(self, of: Forkpoint, children: Mapping[str, Sequence[UnattendedCommand]]) -> None:
        """Let children's journals begin where their parent's stood, and tell of the commands that run in them.
        Waits only for what their machines know of and is not on disk yet, and that is rare.
        """
        with _stopping_nobody():
            seen, head = 0, JournalHead("")
            if of.parent:
                await self.writer.flush([of.parent])
                there = self.durable(of.parent)
                seen = there if of.seen is None else min(of.seen, there)
            last = seen if of.last is None else of.last
            if last:
                head = await asyncio.to_thread(_head_at, self.chain(of.parent), last)
            known = self._catalog.commit(of.commit).journal_position
            for child, commands in children.items():
                if last or known:
                    self.writer.begin(replace(head, journal=child), kept=last != known)
                if last > seen:
                    await self._set_back(child, seen, of.commit, "forked from")
                for one in commands:
                    new = NewEntry(EntryKind.EXEC, "", one.author, of.commit, exec=one.begun)
                    self.writer.note(child, new)
            if of.parent:
                self.note(of.parent, EntryKind.FORK, of.summary, of.commit)

    async def went_back(
        self, branch: str, commit: Commit, *, how: str, always: bool = True, lost: bool = False
    ) -> None:
        """Write down `how` a branch's machine is a commit's from now on: the entries after that are *tried*. Unless
        `always` only if there are any. What was `lost` so, and not taken back by anybody, may be replayed.
        """
        with _stopping_nobody():
            await self.writer.flush([branch])
            seen = self.seen(branch, commit)
            if always or self.last(branch) > seen:
                await self._set_back(branch, seen, commit.id, how, lost=lost)

    def seen(self, branch: str, commit: Commit) -> int:
        """The last entry of a branch's chain that a commit's machine knows of."""
        maker = self.maker(commit) or branch
        return shared(self.chain(branch), self.chain(maker), commit.journal_position)

    async def has_run(self, branch: str, commit: Commit) -> bool:
        """Has a branch's machine run a command, as far as its journal tells, that a commit of it does not know of?"""
        with _stopping_nobody():
            chain, seen, tip = self.chain(branch), self.seen(branch, commit), self.writer.open(branch).tip
            return tip.seq > seen and await asyncio.to_thread(_has_run, chain, seen, tip.mark)
        return False

    async def _set_back(self, branch: str, seen: int, commit: str, how: str, *, lost: bool = False) -> None:
        seen, former = await asyncio.to_thread(_tries_at, self.chain(branch), seen, commit)
        last, told = self.last(branch), f"{how} {commit[:12]}"
        now = (*former, (seen + 1, last)) if last > seen else former
        if last > seen:
            told += f": {last} is tried" if last == seen + 1 else f": {seen + 1} to {last} are tried"
        self.writer.note(branch, NewEntry(EntryKind.RESTORE, told, AUTHOR, commit, tries=now, lost=lost))

    def sweep(self) -> int:
        """Remove the journals of branches that are gone for good, unless a chain leads through them; bytes freed."""
        freed = self.left_bytes()
        for branch in self._left():
            remove(self._directory, branch)
        return freed

    def left_bytes(self) -> int:
        """What `sweep` would free."""
        return sum(taken_bytes(self._directory, branch) for branch in self._left())

    def set_aside(self) -> int:
        """Keep the journals of branches that the catalog has lost where no sweep looks; how many."""
        left = self._left()
        for branch in left:
            set_aside(self._directory, branch)
        return len(left)

    def _left(self) -> set[str]:
        """Segments that no branch's chain leads through; none while a head is damaged, as that may lead anywhere."""
        left = set(segments(self._directory))
        for row in self._rows() if left else ():
            left.add(branch := row.id)
            while branch in left:
                if (head := self.writer.head(branch)) is None:
                    return set()
                left.discard(branch)
                branch = head.parent
        self.writer.forget(left)
        return left

    # -- reading ---------------------------------------------------------------------------------------------

    def chain(self, branch: str) -> list[ChainStretch]:
        """What a branch's chain is made of, from its beginning."""
        found, last, seen = list[ChainStretch](), None, set[str]()
        while branch and branch not in seen:
            seen.add(branch)
            head, end = self.writer.end(branch)
            found.insert(0, ChainStretch(self._directory, branch, end, last))
            branch, last = (head.parent, head.seq) if head else ("", None)
        return found

    async def show(
        self, branch: str, first: int, count: int, *, whole: bool, follow: bool
    ) -> AsyncIterator[list[JournalEntry]]:
        """Entries from number `first` on, or the newest `count` of them, some at a time; with `follow` those that come
        as well, until the daemon ends.
        """
        heard = self.writer.listen(branch)
        try:
            await self.writer.flush([branch])
            while True:
                heard.clear()
                stretches = self.chain(branch)
                tried = await self._tried(branch, stretches)
                source = entries(stretches, first, whole=whole)
                if count:
                    found = await asyncio.to_thread(newest, stretches, count, whole=whole)
                    source = iter([entry for entry in found if entry.seq >= first])
                async for some in _pieces(source):
                    yield [replace(entry, tried=True) if entry.seq in tried else entry for entry in some]
                    first = max(first, some[-1].seq + 1)
                count = 0
                if not follow or self._ending:
                    return
                await heard.wait()
        finally:
            self.writer.unlisten(heard)

    async def grep(self, branch: str, text: str) -> AsyncIterator[list[JournalEntry]]:
        """The entries that hold a text, as they are found; now and then none."""
        await self.writer.flush([branch])
        stretches = self.chain(branch)
        tried = await self._tried(branch, stretches)
        async for some in _pieces(holding(stretches, text)):
            yield [replace(entry, tried=entry.seq in tried) for entry in some if entry]

    async def verify(self, rows: Iterable[BranchRow]) -> list[JournalCheck]:
        """What became of these branches' journals."""
        await self.writer.flush()
        asked = [(row.name, self.chain(row.id)) for row in rows]
        return [await asyncio.to_thread(check, name, stretches) for name, stretches in asked]

    def end(self) -> None:
        """Let whoever follows a journal go: the daemon is about to."""
        self._ending = True
        self.writer.wake()

    async def _tried(self, branch: str, stretches: Sequence[ChainStretch]) -> "Numbers":
        mark = 0
        with suppress(VertuiError):
            mark = self.writer.open(branch).durable.mark
        return Numbers(await asyncio.to_thread(tries, stretches, mark))

    # -- where chains begin ----------------------------------------------------------------------------------

    def maker(self, commit: Commit) -> str:
        """The branch that made a commit: the last that had its name then, also one in the trash; "" for none."""
        rows = [row for row in self._rows() if row.name == commit.branch and row.created <= commit.created]
        return max(rows, key=lambda row: row.created).id if rows else ""

    def _origin(self, branch: str) -> JournalHead:
        """Where the chain of a branch begins that has no segment: at the commit that it was forked from."""
        try:
            row = self._catalog.branch(branch)
            commit = self._catalog.commit(row.parent or "")
            parent = self._catalog.branch(row.parent_branch or "")
        except NotFound:
            return JournalHead(branch)
        if commit.journal_position == 0 or commit.created < parent.created:  # of an earlier one of that name
            return JournalHead(branch)
        return replace(_head_at(self.chain(parent.id), commit.journal_position), journal=branch)

    def _rows(self) -> Iterator[BranchRow]:
        return chain(self._catalog.branches(), self._catalog.branches(deleted=True))


@contextmanager
def _stopping_nobody() -> Iterator[None]:
    """What a journal lacks is logged, and stops no verb."""
    try:
        yield
    except (VertuiError, OSError) as error:
        logger.warning("a journal was not gone on with: %s", error)


class Numbers:
    """Numbers, as ranges from … to in order."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._ranges = [range(first, last + 1) for first, last in ranges]

    def __contains__(self, number: int) -> bool:
        return any(number in one for one in self._ranges)


def _head_at(stretches: Sequence[ChainStretch], last: int) -> JournalHead:
    """The head of a segment that goes on from a chain's entry; it is nobody's yet."""
    entry = entry_at(stretches, last)
    if entry is None or not entry.hash:
        return JournalHead("")
    owner = next(one.branch for one in stretches if one.last is None or one.last >= last)
    return JournalHead("", owner, last, entry.hash, entry.mark)


def _has_run(stretches: Sequence[ChainStretch], seen: int, mark: int) -> bool:
    tried = Numbers(tries(stretches, mark) if mark else ())
    after = entries(stretches, seen + 1)
    return any(entry.kind == EntryKind.EXEC and entry.seq not in tried for entry in after)


def _tries_at(stretches: Sequence[ChainStretch], seq: int, commit: str) -> tuple[int, Ranges]:
    """The last entry that a commit's machine knows of, or the one that tells of this commit right behind it; and the
    entries that were tried then.
    """
    entry = entry_at(stretches, seq)
    return with_its_own(stretches, seq, commit), tries(stretches, entry.mark) if entry else ()


def with_its_own(stretches: Sequence[ChainStretch], seq: int, commit: str) -> int:
    """The last entry that a commit's machine knows of, or the one right behind it that tells of this commit."""
    after = entry_at(stretches, seq + 1)
    return seq + 1 if after and (after.kind, after.commit) == (EntryKind.COMMIT, commit) else seq


async def _pieces(source: Iterator[T]) -> AsyncIterator[list[T]]:
    """Some of them at a time, read in a thread; the first ones soon."""
    size = FIRST
    while some := await asyncio.to_thread(_some, source, size):
        yield some
        size = AT_ONCE


def _some(source: Iterator[T], size: int) -> list[T]:
    """At most so many, and fewer when they are rare."""
    some, until = list[T](), time.monotonic() + SOON_S
    for one in source:
        some.append(one)
        if len(some) >= size or time.monotonic() > until:
            break
    return some
