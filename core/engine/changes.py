"""A Change is what a verb, its undo and its redo have in common: applying one gives the one that takes it back."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from core.catalog import BranchRow
from core.daemon.codec import decode
from core.engine import capture, start
from core.engine.context import Engine
from core.errors import Conflict, NotFound, VertuiError
from core.graph import Graph
from core.model import BranchState, Commit

WITH_MACHINE = (BranchState.RUNNING, BranchState.PAUSED)


@dataclass(frozen=True)
class Change:
    """What to change; branches and commits by id. `trunk` is None for "as it is", "" for none at all.

    `back` takes a branch's machine to a commit in place: same name, network and address.
    """

    trunk: str | None = None
    prune: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    heads: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    scores: dict[str, list[Any]] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    pause: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    back: dict[str, str] = field(default_factory=dict)


async def apply(engine: Engine, change: Change) -> Change:
    """Make a change and return its inverse. Refused whole, with the reason, before anything is changed."""
    _check(engine, change)
    await _commit_first(engine, change.prune)
    if change.prune:
        engine.reach("prune.committed")
    back = {branch: await _take_back(engine, branch, commit) for branch, commit in change.back.items()}
    with engine.catalog.transaction():
        inverse = replace(_apply_rows(engine, change), back=back)
    await _end_pruned(engine, change.prune)
    if change.prune:
        engine.reach("prune.ended")
    await _start_restored(engine, change.restore)
    for branch in change.pause:
        await engine.live[branch].pause()
        engine.set_branch(branch, state=BranchState.PAUSED)
    for branch in change.resume:
        await engine.live[branch].resume()
        engine.set_branch(branch, state=BranchState.RUNNING)
    _tell(engine, change)
    return inverse


def _check(engine: Engine, change: Change) -> None:
    """Everything named must still be there, and every name needed free."""
    try:
        for branch in (
            *change.prune, *change.restore, *change.heads, *change.names, *change.scores, *change.back
        ):  # fmt: skip
            engine.catalog.branch(branch)
        for commit in (
            *change.hide, *change.show, *change.heads.values(), *change.tags, *change.back.values()
        ):  # fmt: skip
            engine.catalog.commit(commit)
    except NotFound as error:
        raise Conflict(f"{error}: it was removed for good, so this cannot be taken back") from error
    taken = {row.name: row.id for row in engine.catalog.branches()}
    wanted = change.names | {branch: engine.catalog.branch(branch).name for branch in change.restore}
    for branch, name in wanted.items():
        if taken.get(name, branch) != branch:
            raise Conflict(f"the name '{name}' is taken by another branch: rename that one first")
    for branch in (*change.pause, *change.resume):
        if branch not in engine.live:
            raise Conflict(f"branch {engine.catalog.branch(branch).name} has no machine any more")


async def _commit_first(engine: Engine, branches: tuple[str, ...]) -> None:
    """Commit what is about to be pruned, so that nothing of it is lost; one failure prunes none."""

    async def one(branch: str) -> None:
        live = engine.live.get(branch)
        if live is not None:
            async with live.lock:
                await capture.save(engine, live, "before prune")

    await _each(one(branch) for branch in branches)


async def _take_back(engine: Engine, branch: str, commit: str) -> str:
    """Put a commit's state in place of a branch's machine; the commit that this machine was, or the head without one.

    What cannot be started is refused before anything ends; if it fails later the branch goes on from what it was.
    """
    await start.source_of(engine, commit).devices
    live = engine.live.get(branch)
    if live is not None:
        async with live.lock:
            await capture.save(engine, live, "before restore")
            engine.reach("restore.committed")
            await start.end(engine, live)
    before = engine.catalog.branch(branch).head
    reason = "its machine ended to be restored"
    engine.set_branch(branch, state=BranchState.STOPPED, reason=reason, machine=None, head=commit)
    engine.reach("restore.ended")
    try:
        await start.start_again(engine, engine.catalog.branch(branch))
    except VertuiError:
        await start.start_again(engine, engine.catalog.change_branch(branch, head=before))
        raise
    return before


async def _each(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it side by side to its end, then raise the first failure."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _apply_rows(engine: Engine, change: Change) -> Change:
    catalog, now = engine.catalog, time.time()
    trunk = catalog.setting("trunk")
    inverse: dict[str, Any] = {"heads": {}, "names": {}, "scores": {}, "tags": {}}
    if change.trunk is not None:
        inverse["trunk"] = trunk or ""
        catalog.set_setting("trunk", change.trunk or None)
    for branch, head in change.heads.items():
        inverse["heads"][branch] = catalog.branch(branch).head
        catalog.change_branch(branch, head=head)
    for branch, name in change.names.items():
        inverse["names"][branch] = catalog.branch(branch).name
        catalog.change_branch(branch, name=name)
    for branch, (score, note) in change.scores.items():
        row = catalog.branch(branch)
        inverse["scores"][branch] = [row.score, row.note]
        catalog.change_branch(branch, score=score, note=note)
    for commit, tags in change.tags.items():
        inverse["tags"][commit] = list(catalog.commit(commit).tags)
        catalog.set_tags(commit, tags)
    inverse["hide"] = _show(engine, change)
    inverse["show"] = _hide(engine, change, now)
    if catalog.setting("trunk") in change.prune:
        inverse["trunk"] = catalog.setting("trunk")
        catalog.set_setting("trunk", None)
    inverse |= {
        "prune": change.restore,
        "restore": change.prune,
        "pause": change.resume,
        "resume": change.pause,
    }
    return decode(Change, inverse)


def _hide(engine: Engine, change: Change, now: float) -> list[str]:
    """Put branches and, with them, the commits only they have into the trash; the commits."""
    for branch in change.prune:
        engine.catalog.change_branch(branch, deleted=now)
    orphans = [commit.id for commit in unreachable(engine)] if change.prune else []
    hidden = list(dict.fromkeys((*change.hide, *orphans)))
    for commit in hidden:
        engine.catalog.mark_commit(commit, now)
    return hidden


def _show(engine: Engine, change: Change) -> list[str]:
    """Take branches, and the commits that went with them, out of the trash. Commits hide again with their branches."""
    deleted = {commit.id: commit for commit in engine.catalog.commits(deleted=True)}
    graph = Graph((*engine.catalog.commits(), *deleted.values()))
    for branch in change.restore:
        row = engine.catalog.branch(branch)
        engine.catalog.change_branch(branch, deleted=None)
        for commit in graph.ancestors(row.head) & deleted.keys():
            if engine.catalog.deleted_at(commit) == row.deleted or commit == row.head:
                engine.catalog.mark_commit(commit, None)
    for commit in change.show:
        engine.catalog.mark_commit(commit, None)
    return [] if change.restore else list(change.show)


def unreachable(engine: Engine, without: frozenset[str] = frozenset()) -> list[Commit]:
    """Commits outside the trash that no branch (but those `without`), tag or image needs."""
    commits = engine.catalog.commits()
    roots = {row.head for row in engine.catalog.branches() if row.id not in without}
    roots |= {commit.id for commit in commits if commit.tags or commit.origin} | {
        image.golden for image in engine.catalog.images()
    }
    graph = Graph((*commits, *engine.catalog.commits(deleted=True)))
    needed = graph.reachable(roots)
    return [commit for commit in commits if commit.id not in needed]


async def _end_pruned(engine: Engine, branches: tuple[str, ...]) -> None:
    machines = [engine.live[branch] for branch in branches if branch in engine.live]
    await asyncio.gather(*(start.end(engine, live) for live in machines))
    for branch in branches:
        engine.catalog.change_branch(branch, machine=None)


async def _start_restored(engine: Engine, branches: tuple[str, ...]) -> None:
    """Start what ran when it was pruned; one that does not start again is there, lost, with the reason."""

    async def one(row: BranchRow) -> None:
        engine.set_branch(row.id, state=BranchState.LOST, reason="its machine ended when it was pruned")
        await start.start_again(engine, engine.catalog.branch(row.id))

    rows = [engine.catalog.branch(branch) for branch in branches]
    await _each(one(row) for row in rows if row.state in WITH_MACHINE)


def _tell(engine: Engine, change: Change) -> None:
    if change.trunk is not None or change.prune:
        engine.publish("trunk", change.trunk or "", "the trunk moved")
    for branch in (*change.prune, *change.restore, *change.heads, *change.names, *change.scores):
        row = engine.catalog.branch(branch)
        engine.publish("trash" if row.deleted else "branch", row.name, row.name)
    for commit in (*change.hide, *change.show, *change.tags):
        engine.publish("commit", commit, f"commit {commit[:12]}")
