"""Restore: a branch taken back in place."""

from core.catalog_values import BranchRow
from core.engine.change import Change
from core.engine.changes import apply, check_started
from core.engine.context import Engine
from core.engine.operations import operation
from core.errors import Conflict
from core.startable import nearest_asked


async def restore(engine: Engine, request_id: str, name: str, ref: str | None) -> BranchRow:
    """Take a branch back to a commit, without one to the last that somebody asked for: same name, network and address.

    Requires a commit of the branch's image. Its machine now is committed first, and undo brings that back. On success
    the branch runs. On failure it goes on as it was.
    """
    row = engine.branch(name)
    check_started(row)
    last = nearest_asked(row.head, engine.commits(), row.parent or "")
    commit = engine.catalog.commit(engine.resolve(ref or last).commit)
    if commit.image != row.image:
        raise Conflict(f"commit {commit.id[:12]} is of another image than {row.name}: fork it instead")
    summary = f"restore {row.name} to {commit.id[:12]}"
    async with engine.verbs.changing, operation(engine, request_id, "restore", summary) as record:
        record.inverse = await apply(engine, Change(back={row.id: commit.id}))
    return engine.catalog.branch(row.id)
