"""Commits that were made by themselves, and are kept no longer: they go for good, as they were nobody's work.

Kept are a branch's newest, the newest of each of the last hours, and whatever else is named: by a tag, as a branch's
head or where one was forked from, by a crash disk, by an operation that can still be undone. What they took is freed by
the next collection.
"""

import json
import re
import time
from collections.abc import Sequence

from core.catalog_values import BranchRow
from core.checkpoints import CheckpointPolicy, Trigger
from core.engine.context import Engine
from core.model import Commit, CommitState, OperationState

HOUR_S = 3600.0
UNDOABLE = 100  # operations that can still be undone, or done again, after that
ID = re.compile(r"[0-9a-f]{40}")


def thin(engine: Engine, row: BranchRow, policy: CheckpointPolicy) -> int:
    """Remove those of a branch's commits that its policy does not keep; how many."""
    going = not_kept(made_by_itself(engine, row), policy, time.time())
    named = _named(engine) if going else set[str]()
    going = [c for c in going if c.id not in named and c.state is not CommitState.HOT]
    if not going:
        return 0
    with engine.catalog.transaction():
        for commit in going:
            engine.catalog.delete_commit(commit.id)
    for commit in going:
        engine.store.release(commit.id)
        engine.publish("commit", commit.id, f"{row.name}: commit {commit.id[:12]} was thinned out")
    engine.acting.thinned += len(going)
    return len(going)


def made_by_itself(engine: Engine, row: BranchRow) -> list[Commit]:
    """What was made of it by itself and its head comes from, newest first."""
    commits = {commit.id: commit for commit in engine.catalog.commits()}
    found, id = list[Commit](), row.head
    while (commit := commits.get(id)) is not None and id != row.parent:
        if commit.checkpoint is not Trigger.NONE:
            found.append(commit)
        id = next(iter(commit.parents), "")
    return found


def not_kept(made: Sequence[Commit], policy: CheckpointPolicy, now: float) -> list[Commit]:
    """Those of them, newest first, that a policy does not keep."""
    hours = set[int]()
    going = []
    for place, commit in enumerate(made):
        hour = int(commit.created // HOUR_S)
        hourly = int(now // HOUR_S) - hour < policy.hourly and hour not in hours
        hours.add(hour)
        if place >= policy.keep_last and not hourly:
            going.append(commit)
    return going


def _named(engine: Engine) -> set[str]:
    """The commits that something names."""
    catalog = engine.catalog
    rows = [*catalog.branches(), *catalog.branches(deleted=True)]
    named = {id for row in rows for id in (row.head, row.parent) if id}
    named |= {id for row in rows if row.crash for id in (row.crash.head, row.crash.base)}
    named |= {commit.id for commit in catalog.commits() if commit.tags or commit.origin}
    for state in (OperationState.DONE, OperationState.UNDONE):
        for operation in catalog.operations(UNDOABLE, state):
            named |= {*ID.findall(json.dumps(operation.inverse))} if operation.undoable else set()
    return named
