"""The trash: what was pruned and can come back, until it is emptied or its grace period ends."""

import asyncio
import time
from collections.abc import Iterable

from core.engine.change import Change
from core.engine.changes import apply
from core.engine.context import Engine, new_id
from core.engine.operations import operation
from core.engine.tally import counting
from core.engine.warm import let_go
from core.errors import Ambiguous, NotFound
from core.model import Operation, Plan, TrashEntry

GRACE_S = 24 * 3600.0


def entries(engine: Engine) -> list[TrashEntry]:
    """Everything in the trash, newest first: branches, and commits pruned by themselves."""
    listed = []
    branches = engine.catalog.branches(deleted=True)
    for row in branches:
        deleted = row.deleted or 0.0
        size = row.crash.size_bytes if row.crash else 0
        listed.append(TrashEntry(row.id, "branch", row.name, size, deleted, deleted + GRACE_S))
    for commit in engine.catalog.commits(deleted=True):
        deleted = engine.catalog.deleted_at(commit.id) or 0.0
        whose = f" of {commit.branch}" if commit.branch else ""
        name = f"{commit.id[:12]}{whose} {commit.message}".strip()
        listed.append(TrashEntry(commit.id, "commit", name, commit.stored_bytes, deleted, deleted + GRACE_S))
    return sorted(listed, key=lambda entry: -entry.deleted)


async def restore(engine: Engine, request_id: str, wanted: str) -> Operation:
    """Bring a branch (by name or id) or a commit (by id prefix) back; a branch that ran runs again."""
    matching = [e for e in entries(engine) if wanted in (e.id, e.name) or e.id.startswith(wanted)]
    matching = [e for e in matching if e.name == wanted][:1] or matching
    if not matching:
        raise NotFound(
            f"nothing in the trash is called '{wanted[:40]}': `vertui trash ls` lists what there is"
        )
    if len(matching) > 1:
        raise Ambiguous(
            f"'{wanted[:40]}' may be any of {', '.join(e.id[:12] for e in matching[:8])}: give more digits"
        )
    entry = matching[0]
    change = Change(restore=(entry.id,)) if entry.kind == "branch" else Change(show=(entry.id,))
    async with (
        engine.verbs.changing,
        operation(engine, request_id, "trash restore", f"restore {entry.name}") as record,
    ):
        record.inverse = await apply(engine, change)
    return engine.catalog.operation(record.id).shown()


def plan_empty(engine: Engine) -> Plan:
    """What emptying the trash removes for good."""
    trash = entries(engine)
    lines = tuple(f"{entry.kind} {entry.name} goes for good: nothing brings it back" for entry in trash)
    branches = tuple(entry.id for entry in trash if entry.kind == "branch")
    commits = tuple(entry.id for entry in trash if entry.kind == "commit")
    size = sum(entry.size_bytes for entry in trash)
    return Plan(new_id(), "trash empty", branches, commits, size, False, lines or ("the trash is empty",))


async def empty(engine: Engine, branches: Iterable[str], commits: Iterable[str]) -> None:
    """Remove for good what of these branches and commits is still in the trash."""
    branches = {row.id for row in engine.catalog.branches(deleted=True)} & set(branches)
    commits = {commit.id for commit in engine.catalog.commits(deleted=True)} & set(commits)
    await engine.tasks.sealer.drop(commits)
    with engine.catalog.transaction():
        for branch in branches:
            engine.catalog.delete_branch(branch)
        for commit in commits:
            engine.catalog.delete_commit(commit)
    await purge(engine, commits)
    engine.events.publish("trash", "", "the trash was emptied")


async def purge(engine: Engine, commits: Iterable[str]) -> None:
    """Free what commits without a row took: rows are gone first, so a crash leaves only what the next sweep takes.

    What a machine lies on goes by the first `free` after its end.
    """
    await let_go(engine)
    for commit in commits:
        engine.store.release(commit)
    await free(engine)


async def free(engine: Engine) -> int:
    """Free what no machine and no commit, in the trash or not, needs, and what is known of branches that are gone, such
    as their journals; bytes freed.
    """
    await let_go(engine)
    there = {row.id for deleted in (False, True) for row in engine.catalog.branches(deleted=deleted)}
    engine.acting.keep(there)
    engine.unattended.keep(there)
    freed = engine.journals.sweep() + engine.collect_layers()
    keep = {row.id for deleted in (False, True) for row in engine.catalog.commits(deleted=deleted)}
    with counting(engine, "freeing what nothing needs") as told:
        return freed + await asyncio.to_thread(engine.store.gc, frozenset(keep | engine.bases()), told)


async def free_thinned(engine: Engine) -> None:
    """Free what commits took that were thinned out, if any were since."""
    if thinned := engine.acting.thinned:
        await free(engine)
        engine.acting.thinned -= thinned


async def expire(engine: Engine) -> None:
    """Remove what has been in the trash longer than the grace period."""
    old = [entry for entry in entries(engine) if entry.expires < time.time()]
    branches = [entry.id for entry in old if entry.kind == "branch"]
    commits = [entry.id for entry in old if entry.kind == "commit"]
    if old:
        with engine.reserve.lent():
            await empty(engine, branches, commits)
