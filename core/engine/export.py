"""Files out of a REF: its tree, or a part of it, as a tar stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.diff.archive import Archive, archive
from core.diff.filesystem import index_of
from core.diff.select import PathFilter
from core.engine.compare import in_pieces, require_paths
from core.engine.context import Engine
from core.engine.mounts import require_disk
from core.engine.points import known_paths, states_of


@asynccontextmanager
async def export_files(
    engine: Engine, ref: str, path: bytes, *, attributes: bool
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The file or tree at an absolute path of a REF (`core.diff.archive.archive`), `attributes` in pax headers."""
    async with states_of(engine, [ref]) as (state,):
        await require_disk([state], [path])

        def begin() -> Archive:
            require_paths(PathFilter((path,)), state)
            index = index_of(state.disk, known_paths(engine, state))
            return archive(state.disk, path, index, attributes=attributes)

        yield in_pieces(iter(await asyncio.to_thread(begin)))
