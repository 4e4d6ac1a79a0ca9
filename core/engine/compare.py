"""What differs between two REFs: files from their disks, and on request what else tells them apart."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain

from msgspec.structs import replace as changed

from core.diff.entry import FilesystemDiff
from core.diff.ext4 import Volume
from core.diff.filesystem import diff_disks, is_there
from core.diff.multi import matrix
from core.diff.packages import compare_packages, installed_packages
from core.diff.pages import differing_pages, heat_map
from core.diff.result import (
    ConnectionsDiff,
    Diff,
    DiffSize,
    FileDiff,
    HeatMap,
    PackagesDiff,
    PortsDiff,
    ProcessesDiff,
    SiblingRow,
    Siblings,
)
from core.diff.select import ALL_FILES, PathFilter, absolute, is_below
from core.diff.shape import counted, shown
from core.diff.text import changed_lines
from core.diff.text import patch as patch_lines
from core.diff.walked import Walked, compare_walks, patch_walks
from core.engine import guests, mounts
from core.engine.context import Engine
from core.engine.points import State, known_paths, states_of
from core.engine.tally import counting_each
from core.errors import Damaged, NotFound, Unsupported, UsageError
from core.graph import Graph
from core.names import spelled
from core.progress import Begin, uncounted
from core.refs import Ref
from core.store.hashing import Hashes, page_hashes

MOST_COUNTED = 2000  # files whose lines are counted for a figure: a second's work, mostly
PIECE_BYTES = 256 * 1024  # of a streamed answer


@dataclass(frozen=True)
class DiffOptions:
    """What a diff is to tell of; `fallback` lets guests be asked when a disk cannot be read from outside."""

    files: PathFilter = ALL_FILES
    times: bool = False
    lines: bool = False
    processes: bool = False
    ports: bool = False
    connections: bool = False
    packages: bool = False
    memory: bool = False
    fallback: bool = True


EVERYTHING = DiffOptions()


async def diff(engine: Engine, a: str, b: str, asked: DiffOptions = EVERYTHING) -> Diff:
    """What differs from REF a to REF b."""
    a, b = ends(engine, a, b)
    async with states_of(engine, (a, b)) as (before, after):
        notes = [state.note for state in (before, after) if state.note]
        looking = asyncio.ensure_future(_unseen(engine, before, after, asked))
        try:
            entries, fallbacks = await _files(engine, before, after, asked, notes)
        finally:
            unseen = await looking
        notes += unseen
        packages = await asyncio.to_thread(_packages, before, after) if asked.packages else None
        memory = await _memory(engine, before, after) if asked.memory else None
        processes, ports, connections = await _guests(before, after, asked, notes)
    return Diff(
        entries=entries, counts=counted(entries), fallbacks=fallbacks, packages=packages, memory=memory,
        processes=processes, ports=ports, connections=connections, a=a, b=b, notes=tuple(notes),
    )  # fmt: skip


def ends(engine: Engine, a: str, b: str) -> tuple[str, str]:
    """The two REFs of a comparison. `x...y` alone stands for two: the merge base of x and y, and y."""
    if not b and "..." in a:
        left, _, right = a.partition("...")
        return merge_base(engine, [left, right]), right
    if not b:
        raise UsageError(f"'{a[:60]}' names one state: give two REFs, or A...B for what B did")
    return a, b


def merge_base(engine: Engine, refs: Sequence[str]) -> str:
    """The nearest commit that all REFs come from."""
    graph = Graph(engine.commits())
    base = engine.resolve_disk(refs[0]).commit
    for ref in refs[1:]:
        common = graph.merge_base(base, engine.resolve_disk(ref).commit)
        if common is None:
            raise NotFound(f"{refs[0]} and {ref} have no commit in common")
        base = common
    return base


async def _unseen(engine: Engine, before: State, after: State, asked: DiffOptions) -> list[str]:
    """Notes on filesystems in guests' memory, when the diff asked for covers a directory above one of them."""
    tops = asked.files.paths or (b"/",)
    if not any(
        is_below(point, top) and not is_below(top, point) for point in mounts.OF_EVERY_IMAGE for top in tops
    ):
        return []
    commits = [engine.catalog.commit(state.commit) for state in (before, after) if state.commit]
    return await mounts.unseen(before, after, max((commit.created for commit in commits), default=0.0))


async def _files(
    engine: Engine, before: State, after: State, asked: DiffOptions, notes: list[str]
) -> tuple[tuple[FileDiff, ...], int]:
    """The files asked for: from the disks, and from the guests what lies on their other filesystems. Beside them how
    often guests were asked for what is on disks.
    """
    beside = await mounts.beside_the_disk((before, after), asked.files.paths)
    on_disk = asked.files.without(beside)
    entries, fallbacks = tuple[FileDiff, ...](), 0
    if on_disk is not None:
        entries, fallbacks = await _on_disks(engine, before, after, replace(asked, files=on_disk), notes)
    if beside:
        entries += await _in_guests(before, after, asked, beside)
    return entries, fallbacks


async def _on_disks(
    engine: Engine, before: State, after: State, asked: DiffOptions, notes: list[str]
) -> tuple[tuple[FileDiff, ...], int]:
    try:
        with counting_each(engine) as begin:
            return await asyncio.to_thread(_read_files, engine, before, after, asked, begin), 0
    except (Unsupported, Damaged) as error:
        if not asked.fallback or guests.both_live(before, after) is None:
            raise
        notes.append(f"read inside the guests, moved files are removed and added: {error}")
    tops = [absolute(path) for path in asked.files.paths]
    return await _in_guests(before, after, asked, tops), 1


async def _in_guests(
    before: State, after: State, asked: DiffOptions, tops: Sequence[bytes]
) -> tuple[FileDiff, ...]:
    """What differs at or below `tops`, or anywhere without any, as two running guests tell. They count no lines."""
    walks = await _walks(before, after, tops)
    compared = await asyncio.to_thread(lambda: compare_walks(*walks, times=asked.times))
    entries = shown(replace(asked.files, paths=tuple(tops)).of(compared))
    return tuple(changed(entry, lines=None) for entry in entries)


async def _walks(
    before: State, after: State, tops: Sequence[bytes], *, texts: bool = False
) -> tuple[Walked, Walked]:
    lives = [state.live for state in (before, after) if state.live]
    old, new = await asyncio.gather(*(guests.walk_of(live, tops, texts=texts) for live in lives))
    for top in tops:
        if top not in old and top not in new:
            raise _nowhere(top, (before, after))
    return old, new


def _read_files(
    engine: Engine, before: State, after: State, asked: DiffOptions, begin: Begin
) -> tuple[FileDiff, ...]:
    compared = _compared(engine, before, after, asked, begin)
    entries = shown(compared)
    if not asked.lines:
        return entries
    counts = changed_lines(compared, before.disk, after.disk, begin("counting lines"))
    return tuple(changed(entry, lines=count) for entry, count in zip(entries, counts, strict=True))


async def changes(engine: Engine, a: str, b: str, files: PathFilter, *, lines: bool) -> DiffSize:
    """How much differs from REF a to REF b, in figures, as far as their disks tell: no guest is asked anything. A path
    that is in neither does not differ.
    """

    def count(before: State, after: State) -> DiffSize:
        compared = files.of(diff_disks(before.disk, after.disk, known_paths(engine, before)))
        if not lines or len(compared.entries) > MOST_COUNTED:
            return DiffSize(len(compared.entries))
        counts = [found for found in changed_lines(compared, before.disk, after.disk) if found]
        return DiffSize(len(compared.entries), (sum(one[0] for one in counts), sum(one[1] for one in counts)))

    async with states_of(engine, (a, b)) as (before, after):
        return await asyncio.to_thread(count, before, after)


def _compared(
    engine: Engine, before: State, after: State, asked: DiffOptions, begin: Begin = uncounted
) -> FilesystemDiff:
    require_paths(asked.files, before, after)
    known = known_paths(engine, before, begin)
    compared = diff_disks(before.disk, after.disk, known, times=asked.times, begin=begin)
    return asked.files.of(compared)


def require_paths(files: PathFilter, *states: State) -> None:
    """NotFound unless every selected path is there in one of the states: nothing differs where nothing is."""
    for path in files.paths:
        if not any(is_there(Volume(state.disk), path) for state in states):
            raise _nowhere(path, states)


def _nowhere(path: bytes, states: Iterable[State]) -> NotFound:
    refs = " or ".join(dict.fromkeys(state.ref for state in states))
    return NotFound(f"no file {spelled(path)} in {refs} (symlinks are not followed)")


def _packages(before: State, after: State) -> PackagesDiff:
    return compare_packages(*(installed_packages(state.disk) for state in (before, after)))


async def _guests(
    before: State, after: State, asked: DiffOptions, notes: list[str]
) -> tuple[ProcessesDiff | None, PortsDiff | None, ConnectionsDiff | None]:
    """Processes, ports and connections, which no commit remembers."""
    machines = guests.both_live(before, after)
    wanted = {"processes": asked.processes, "ports": asked.ports, "connections": asked.connections}
    if machines is None and any(wanted.values()):
        dead = next(state.ref for state in (before, after) if state.live is None)
        what = " and ".join(name for name in wanted if wanted[name])
        notes.append(
            f"{what} are compared between running branches only, no commit has them: {dead} does not run"
        )
    processes = await guests.processes(*machines) if machines and asked.processes else None
    ports = await guests.ports(*machines) if machines and asked.ports else None
    connections = await guests.connections(*machines, notes) if machines and asked.connections else None
    return processes, ports, connections


async def _memory(engine: Engine, before: State, after: State) -> HeatMap:
    """Where the pages lie that differ."""
    hashes = [await _hashes(engine, state) for state in (before, after)]
    pages = await asyncio.to_thread(differing_pages, *hashes)
    return heat_map(pages, before.image.spec.memory_bytes)


async def _hashes(engine: Engine, state: State) -> Hashes:
    """The hash of every page of a state's memory."""
    live = state.live
    if live is None and not state.commit:
        raise UsageError(f"{state.ref} is a disk: of the memory it was beside nothing is left")
    if live is None or live.base is None:
        return await asyncio.to_thread(engine.store.memory_hashes, state.commit)
    async with live.lock:
        with engine.needing(live.base):
            below = await asyncio.to_thread(engine.store.memory_hashes, live.base)
            pages, table = await live.machine.read_memory()
    below[pages] = await asyncio.to_thread(page_hashes, table)
    return below


async def diff_siblings(engine: Engine, refs: Sequence[str], asked: DiffOptions, base: str = "") -> Siblings:
    """Which files differ among REFs, each against the commit all come from, or against the REF `base`."""
    named: dict[Ref, str] = {}
    for ref in refs:
        named.setdefault(engine.resolve_disk(ref), ref)
    refs = list(named.values())
    if len(refs) < 2 and not base:
        raise UsageError("name at least two different REFs to compare with each other")
    base = base or merge_base(engine, refs)
    async with states_of(engine, (base, *refs)) as (root, *siblings):
        await mounts.require_disk((root, *siblings), asked.files.paths)

        def run() -> tuple[SiblingRow, ...]:
            require_paths(asked.files, root, *siblings)
            disks = [state.disk for state in siblings]
            return matrix(root.disk, disks, known_paths(engine, root), asked.files, times=asked.times)

        rows = await asyncio.to_thread(run)
        notes = [state.note for state in (root, *siblings) if state.note]
        for unseen in await asyncio.gather(*(_unseen(engine, root, state, asked) for state in siblings)):
            notes += unseen
    return Siblings(base, tuple(refs), rows, tuple(dict.fromkeys(notes)))


@asynccontextmanager
async def patch(
    engine: Engine, a: str, b: str, files: PathFilter, *, whole: bool
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The text diff from REF a to REF b; with `whole` one that `git apply` takes (`core.diff.text.patch`)."""
    a, b = ends(engine, a, b)
    async with states_of(engine, (a, b)) as (before, after):
        beside = await mounts.beside_the_disk((before, after), files.paths)
        if beside and whole:
            raise await mounts.refusal((before, after), beside[0])
        on_disk = files.without(beside)
        walks = await _walks(before, after, beside, texts=True) if beside else None

        def begin() -> Iterator[bytes]:
            if on_disk is not None:
                compared = _compared(engine, before, after, DiffOptions(on_disk))
                yield from patch_lines(compared, before.disk, after.disk, whole=whole)
            if walks:
                told = replace(files, paths=beside).of(compare_walks(*walks))
                yield from patch_walks(told, *walks)

        yield in_pieces(await asyncio.to_thread(_begun, begin()))


async def in_pieces(source: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes of a blocking iterator, joined to larger pieces. A thread takes them, and a caller that is cancelled
    waits for that thread.
    """
    while True:
        taking = asyncio.ensure_future(asyncio.to_thread(_piece, source))
        try:
            piece = await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.gather(taking, return_exceptions=True)
            raise
        if not piece:
            return
        yield piece


def _begun(source: Iterator[bytes]) -> Iterator[bytes]:
    """The same iterator with its first part taken, so that a refusal comes before anything is sent."""
    first = next(source, b"")
    return chain((first,), source)


def _piece(source: Iterator[bytes]) -> bytes:
    piece = bytearray()
    for part in source:
        piece += part
        if len(piece) >= PIECE_BYTES:
            break
    return bytes(piece)
