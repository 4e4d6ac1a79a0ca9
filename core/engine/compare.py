"""What differs between two REFs' disks: commits as stored, live branches as of one instant."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from core.diff.entry import FilesystemDiff
from core.diff.filesystem import diff_disks
from core.diff.index import PathIndex
from core.diff.shape import as_json
from core.diff.text import patch as patch_lines
from core.engine.context import Engine, new_id
from core.errors import Conflict
from core.machine.qcow2 import ChainDisk

T = TypeVar("T")


async def diff(engine: Engine, a: str, b: str) -> dict[str, Any]:
    """The files that differ from REF a to REF b, and notes on anything that limits what this says."""

    def compare(before: ChainDisk, after: ChainDisk, index: PathIndex) -> dict[str, Any]:
        return as_json(diff_disks(before, after, index))

    found, notes = await _compared(engine, a, b, compare)
    return found | {"a": a, "b": b, "notes": notes}


async def patch(engine: Engine, a: str, b: str, path: str | None) -> bytes:
    """The unified text diff from REF a to REF b, of one path if given."""

    def compare(before: ChainDisk, after: ChainDisk, index: PathIndex) -> bytes:
        found = diff_disks(before, after, index)
        wanted = [entry for entry in found.entries if path is None or _below(entry.path, path.encode())]
        return b"".join(patch_lines(FilesystemDiff(tuple(wanted)), before, after))

    return (await _compared(engine, a, b, compare))[0]


async def _compared(
    engine: Engine, a: str, b: str, compare: Callable[[ChainDisk, ChainDisk, PathIndex], T]
) -> tuple[T, list[str]]:
    notes: list[str] = []
    async with AsyncExitStack() as stack:
        before = await stack.enter_async_context(_disk(engine, a, notes))
        after = await stack.enter_async_context(_disk(engine, b, notes))
        if before[0] != after[0]:
            raise Conflict(
                f"{a} and {b} come from different images: their disks have nothing in common to compare"
            )

        def run() -> T:
            with ChainDisk(before[0], before[1]) as one, ChainDisk(after[0], after[1]) as other:
                return compare(one, other, _index(engine, before[0]))

        return await asyncio.to_thread(run), notes


@asynccontextmanager
async def _disk(engine: Engine, ref: str, notes: list[str]) -> AsyncIterator[tuple[Path, list[Path]]]:
    """A REF's root disk and layers. A live branch's written layer is copied at one quiesced instant, then removed."""
    found = engine.resolve(ref)
    row = engine.branch(found.branch) if found.branch else None
    live = engine.live.get(row.id) if row else None
    path = engine.store.layer_path
    if row is None or live is None:
        manifest = await asyncio.to_thread(engine.store.manifest, found.commit)
        if not manifest.quiesced:
            notes.append(f"{ref} was not quiesced: its latest writes may be missing")
        yield engine.home.images / manifest.image / "root.raw", [path(layer) for layer, _ in manifest.layers]
        return
    copy = path(f"point-{new_id()}")
    try:
        async with live.lock, live.held() as quiesced:
            frozen = await live.machine.copy_disk(copy)
        if not quiesced:
            notes.append(f"{ref} could not be frozen: its latest writes may be missing")
        yield engine.home.images / row.image / "root.raw", [*(path(layer) for layer in frozen), copy]
    finally:
        copy.unlink(missing_ok=True)


def _index(engine: Engine, root: Path) -> PathIndex:
    """The paths of an image's root disk, walked once: what every diff between its branches starts from."""
    if root not in engine.indexes:
        engine.indexes[root] = PathIndex(ChainDisk(root))
    return engine.indexes[root]


def _below(path: bytes, top: bytes) -> bool:
    """Is a path that path, or below it? Leading and trailing slashes do not matter."""
    parts, wanted = path.strip(b"/"), top.strip(b"/")
    return not wanted or parts == wanted or parts.startswith(wanted + b"/")
