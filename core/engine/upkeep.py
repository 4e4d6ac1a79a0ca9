"""The store's own verbs: what it holds, whether it is whole, and getting space back."""

import asyncio

from core.daemon.codec import encode
from core.engine.context import Engine
from core.engine.operations import operation
from core.engine.trash import free
from core.errors import UsageError
from core.model import CommitSpace, StoreProblem, StoreSpace


async def du(engine: Engine) -> StoreSpace:
    """What every commit takes in the store, and what pruning it would free."""
    found = await asyncio.to_thread(engine.store.du)
    commits = tuple(CommitSpace(commit, **encode(space)) for commit, space in found.commits.items())
    totals = (found.packs_bytes, found.index_bytes, found.records_bytes)
    return StoreSpace(commits, *totals, round(found.dedup, 3), round(found.compression, 3))


async def check(engine: Engine, read_data_percent: float) -> list[StoreProblem]:
    """Everything that is not as it was written; nothing is changed."""
    if not 0 <= read_data_percent <= 100:
        raise UsageError(f"{read_data_percent:g} is no percentage: give 0 to 100")
    problems = await asyncio.to_thread(engine.store.check, read_data_percent)
    return [StoreProblem(p.what, p.commit, p.medium, p.page) for p in problems]


async def gc(engine: Engine, request_id: str) -> int:
    """Free what no commit, also none in the trash, needs; bytes freed."""
    async with operation(engine, request_id, "store gc", "store gc"):
        return await free(engine)


async def compact(engine: Engine, request_id: str) -> int:
    """Rewrite packs with little live data; bytes freed."""
    async with operation(engine, request_id, "store compact", "store compact"):
        return await asyncio.to_thread(engine.store.compact)
