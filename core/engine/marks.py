"""Score, tag, rename: what people write on branches and commits."""

import math

from core.catalog import BranchRow
from core.codec import encode
from core.engine.changes import Change, apply
from core.engine.context import Engine
from core.engine.operations import operation
from core.errors import Conflict, UsageError
from core.model import Operation, check_name


async def score(engine: Engine, request_id: str, name: str, value: float, note: str) -> BranchRow:
    """Give a branch a score. On failure nothing changed."""
    row = engine.branch(name)
    if not math.isfinite(value):
        raise UsageError(f"{value} is no score: give a finite number")
    await _change(
        engine, request_id, "score", f"score {row.name} {value:g}", Change(scores={row.id: [value, note]})
    )
    return engine.catalog.branch(row.id)


async def rename(engine: Engine, request_id: str, name: str, new: str) -> BranchRow:
    """Give a branch another, free name. Its hostname stays: the guest is not touched."""
    row = engine.branch(name)
    _check_free(engine, new)
    await _change(engine, request_id, "rename", f"rename {row.name} to {new}", Change(names={row.id: new}))
    return engine.catalog.branch(row.id)


async def tag(engine: Engine, request_id: str, ref: str, name: str) -> Operation:
    """Name a commit; the name is a REF from then on, and keeps the commit from being pruned with a branch."""
    commit = engine.catalog.commit(engine.resolve(ref).commit)
    _check_free(engine, name)
    change = Change(tags={commit.id: [*commit.tags, name]})
    return await _change(engine, request_id, "tag", f"tag {commit.id[:12]} {name}", change)


def _check_free(engine: Engine, name: str) -> None:
    check_name(name)
    if engine.catalog.named(name) or any(name in commit.tags for commit in engine.catalog.commits()):
        raise Conflict(f"the name '{name}' is taken: choose another")


async def _change(engine: Engine, request_id: str, verb: str, summary: str, change: Change) -> Operation:
    async with engine.changing, operation(engine, request_id, verb, summary) as record:
        record.inverse = encode(await apply(engine, change))
    return engine.catalog.operation(record.id).shown()
