"""Commits that were made by themselves, and are kept no longer: they go for good, as they were nobody's work.

Kept are a branch's newest, the newest of each of the last hours, and whatever else is named: by a tag, as a branch's
head or where one was forked from, as what several commits come from or a machine lies on, by a crash disk, by an
operation that can still be undone. So is the newest that is on disk of what a head comes from: a replay begins with it
when the host dies. What they took is freed by the next collection.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile

from core.catalog_values import BranchRow
from core.checkpoints import CheckpointPolicy, Trigger
from core.engine.context import Engine
from core.model import Commit, CommitState, OperationState

HOUR_S = 3600.0
UNDOABLE = 100  # operations that can still be undone, or done again, after that
ID = re.compile(r"[0-9a-f]{40}")


def thin(engine: Engine, row: BranchRow, policy: CheckpointPolicy) -> int:
    """Remove those of a branch's commits that its policy does not keep; how many. None while a verb is at work, which
    may have taken note of them: the next time they go.
    """
    if engine.verbs.changing.locked():
        return 0
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
        engine.events.publish("commit", commit.id, f"{row.name}: commit {commit.id[:12]} was thinned out")
    engine.acting.thinned += len(going)
    return len(going)


def made_by_itself(engine: Engine, row: BranchRow) -> list[Commit]:
    """What was made of a branch by itself, newest first: what its head comes from, and what it was taken back from."""
    commits = {commit.id: commit for commit in engine.catalog.commits()}
    own = takewhile(lambda commit: commit.id != row.parent, _line(commits, row.head))
    found = {commit.id: commit for commit in own}
    found |= {id: one for id, one in commits.items() if one.branch == row.name and one.created > row.created}
    made = (commit for commit in found.values() if commit.checkpoint is not Trigger.NONE)
    return sorted(made, key=lambda commit: -commit.created)


def _line(commits: Mapping[str, Commit], id: str) -> Iterator[Commit]:
    """A commit and what it comes from, by first parents."""
    while (commit := commits.get(id)) is not None:
        yield commit
        id = next(iter(commit.parents), "")


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
    commits = {c.id: c for deleted in (False, True) for c in catalog.commits(deleted=deleted)}
    named = {id for row in rows for id in (row.head, row.parent) if id}
    named |= {id for row in rows if row.crash for id in (row.crash.head, row.crash.base)}
    named |= {commit.id for commit in commits.values() if commit.tags or commit.origin}
    children = Counter(parent for commit in commits.values() for parent in commit.parents)
    named |= {id for id, count in children.items() if count > 1}
    named |= engine.bases()
    for row in rows:
        if (head := commits.get(row.head)) and head.state is not CommitState.SEALED:
            named |= {c.id for c in islice(_sealed(commits, head.id), 1)}
    for state in (OperationState.DONE, OperationState.UNDONE):
        for operation in catalog.operations(UNDOABLE, state):
            named |= {*ID.findall(json.dumps(operation.inverse))} if operation.undoable else set()
    return named


def _sealed(commits: Mapping[str, Commit], id: str) -> Iterator[Commit]:
    return (commit for commit in _line(commits, id) if commit.state is CommitState.SEALED)
