"""Commits to and from other homes: export, import, and what keeps a foreign one from starting."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from core.engine.change import Change
from core.engine.context import Engine
from core.engine.operations import operation
from core.errors import Conflict
from core.model import Commit, CommitState, Imported, Origin
from core.startable import foreign
from core.store.values import Manifest

PIECE_BYTES = 1 << 20


@asynccontextmanager
async def export(engine: Engine, ref: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """A commit as one self-contained file, in pieces; a branch stands for its head."""
    wanted = engine.resolve(ref).commit
    await engine.tasks.sealer.sealed(wanted)
    commit = engine.catalog.commit(wanted)
    engine.check_there(commit)
    with engine.store.staging() as path:
        await asyncio.to_thread(engine.store.export, commit.id, path)
        yield _pieces(path)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while data := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield data


async def import_(engine: Engine, request_id: str, file: AsyncIterable[bytes], *, trust: bool) -> Imported:
    """Store a commit from an exported file, as foreign unless trusted. On failure nothing of it is left."""
    async with operation(engine, request_id, "import", "import a commit") as record:
        with engine.store.staging() as path:
            async for piece in file:
                await asyncio.to_thread(engine.store.append, path, piece)
            await asyncio.to_thread(engine.store.append, path, b"")  # an empty file is one, too
            manifest, stored = await asyncio.to_thread(engine.store.import_, path)
        added = not any(commit.id == manifest.id for commit in engine.catalog.commits())
        with engine.catalog.transaction():
            commit = restored_row(engine, manifest, stored) if added else engine.catalog.commit(manifest.id)
            engine.catalog.put_commit(commit)
            engine.catalog.mark_commit(commit.id, None)
            if trust:
                commit = trusted(engine, commit.id)
        record.summary = f"import {commit.id[:12]}" + ("" if added else ": it is here already")
        record.inverse = Change(hide=(commit.id,)) if added else None
    engine.events.publish("commit", commit.id, record.summary)
    return Imported(commit, added, stored)


def restored_row(engine: Engine, manifest: Manifest, stored_bytes: int = 0) -> Commit:
    """The catalog's row of a commit, as far as its manifest tells."""
    return Commit(
        id=manifest.id,
        state_id=manifest.state_id,
        parents=manifest.parents,
        branch=manifest.label.branch,
        image=manifest.image,
        message=manifest.label.message,
        created=manifest.label.created,
        state=CommitState.SEALED,
        quiesced=manifest.quiesced,
        changed_pages=manifest.page_count,
        stored_bytes=stored_bytes or engine.store.size_bytes(manifest.id),
        origin=Origin.FOREIGN if manifest.foreign else Origin.HERE,
    )


def trusted(engine: Engine, commit: str) -> Commit:
    """Let a foreign commit start from now on; its row."""
    row = engine.catalog.commit(commit)
    if row.origin is Origin.FOREIGN:
        row = replace(row, origin=Origin.TRUSTED)
        engine.catalog.put_commit(row)
    return row


def check_trusted(commit: Commit) -> None:
    """Refuse to start what was made elsewhere and nobody has said to trust."""
    if commit.origin is Origin.FOREIGN:
        raise Conflict(foreign(commit))
