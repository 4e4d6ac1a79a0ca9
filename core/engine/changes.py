"""Changes made: applying one gives the one that takes it back."""

import asyncio
import time
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from core.catalog_values import BranchRow
from core.engine import capture, egress, links, start
from core.engine.change import Change, Judgement, Was
from core.engine.context import Engine
from core.engine.exchange import exchange
from core.engine.lost import is_a_step, why_lost
from core.engine.suspend import fall_asleep
from core.engine.tally import DoneCount
from core.errors import Conflict
from core.graph import Graph
from core.links import ends_of
from core.model import BranchState, Commit
from core.startable import starting

WITH_MACHINE = (BranchState.RUNNING, BranchState.PAUSED)
RUNS = Was(BranchState.RUNNING, "")


async def apply(engine: Engine, change: Change, *, again: bool = False, lost: bool = False) -> Change:
    """Make a change and return its inverse. Refused whole, with the reason, before anything is changed.

    `again` is for undo and redo. They commit the machines they end only to keep their state; these commits are nobody's
    work, and go into the trash. What branches that are taken back had done is `lost` where it is to be replayed.
    """
    _check(engine, change)
    change = replace(change, heads=_steps(engine, change))
    ending = (*change.prune, *change.back, *change.suspend)
    heads = {branch: engine.catalog.branch(branch).head for branch in ending}
    in_trash = {commit.id for commit in engine.catalog.commits(deleted=True)}
    states = {branch: _state(engine, branch) for branch in ending}
    await _commit_first(engine, change.prune)
    if change.prune:
        engine.reach("prune.committed")
        _check(engine, change)  # again: a branch that had no machine may have been resumed meanwhile
    back = {branch: await _take_back(engine, change, branch) for branch in change.back}
    for branch in change.suspend:
        await fall_asleep(engine, engine.machines.live[branch])
    reaches = await egress.move_all(engine, change.reaches)
    async with links.moved(engine, change):
        with engine.catalog.transaction():
            inverse = replace(_apply_rows(engine, change), back=back, states=states, reaches=reaches)
            saved = {branch: engine.catalog.branch(branch).head for branch in ending} | back
            inverse = replace(inverse, lead={b: head for b, head in heads.items() if head != saved[b]})
    await engine.tasks.ports.settle()
    engine.tasks.weights.settle()
    await _end_pruned(engine, change.prune)
    if change.prune:
        engine.reach("prune.ended")
    await _start_restored(engine, change)
    for branch in change.wake:
        await engine.machines.sleepers.settled(branch)
        if branch not in engine.machines.live:  # else somebody has needed it meanwhile
            paused = branch in change.states and change.states[branch].state is BranchState.PAUSED
            await start.start_again(engine, engine.catalog.branch(branch), paused=paused)
    slept_as = {engine.catalog.branch(branch).head for branch in change.wake}  # redo makes others
    with engine.catalog.transaction():
        left = _lead(engine, change, list(back.values()) if again else [])
    for branch in change.pause:
        await capture.pause_live(engine, engine.machines.live[branch])
    for branch in change.resume:
        await capture.resume_live(engine, engine.machines.live[branch])
    for branch, commit in change.back.items():
        await engine.journals.went_back(branch, engine.catalog.commit(commit), how="restored to", lost=lost)
    _tell(engine, change, inverse)
    shown_again = (commit for commit in left if commit not in in_trash | slept_as)
    return replace(inverse, show=(*inverse.show, *shown_again))


def _state(engine: Engine, branch: str) -> Was:
    row = engine.catalog.branch(branch)
    return Was(row.state, row.reason)


def _lead(engine: Engine, change: Change, saved: list[str]) -> list[str]:
    """Give branches that run again the heads that `change.lead` names. Of the commits they were started from and of
    `saved`, those that nothing needs then go into the trash; returned are those they were started from.

    A branch that did not start keeps its head, which alone holds its state; so does a branch that was committed since.
    """
    left = []
    for branch, head in change.lead.items():
        kept = engine.catalog.commit(engine.catalog.branch(branch).head)
        if branch in engine.machines.live and head in kept.parents:
            engine.catalog.change_branch(branch, head=head)
            left.append(kept.id)
    loose = {commit.id for commit in unreachable(engine, change.keep)} if left or saved else set()
    for commit in (*left, *saved):
        if commit in loose:
            engine.catalog.mark_commit(commit, time.time())
            engine.events.publish("commit", commit, f"commit {commit[:12]}")
    return [commit for commit in left if commit in loose]


def _check(engine: Engine, change: Change) -> None:
    """Everything named must still be there and as it was left, and every name needed free."""
    if reason := why_lost(engine, change):
        raise Conflict(reason)
    for branch in (*change.prune, *change.restore, *change.back, *change.suspend, *change.wake):
        check_started(engine.catalog.branch(branch))
    taken = {row.name: row.id for row in engine.catalog.branches()}
    wanted = change.names | {branch: engine.catalog.branch(branch).name for branch in change.restore}
    for branch, name in wanted.items():
        if taken.get(name, branch) != branch:
            raise Conflict(f"the name '{name}' is taken by another branch: rename that one first")
    for branch in (*change.pause, *change.resume, *change.suspend):
        if branch not in engine.machines.live:
            raise Conflict(f"branch {engine.catalog.branch(branch).name} has no machine any more")


def check_started(row: BranchRow) -> None:
    """Conflict while another verb starts a branch: it makes a machine for it, and says when that runs."""
    if row.deleted is None and (reason := starting(row.shown())):
        raise Conflict(reason)


def _steps(engine: Engine, change: Change) -> dict[str, str]:
    """The heads to set. A branch that got another commit since, by something that cannot be undone such as its
    suspension, keeps its head: that commit's state would be lost.
    """
    return {branch: head for branch, head in change.heads.items() if is_a_step(engine, change, branch)}


async def _commit_first(engine: Engine, branches: tuple[str, ...]) -> None:
    """Commit what is about to be pruned, so that nothing of it is lost; one failure prunes none."""
    tally = DoneCount(engine, "committing what goes", len(branches))

    async def one(branch: str) -> None:
        await engine.machines.sleepers.settled(branch)
        live = engine.machines.live.get(branch)
        if live is not None:
            await engine.tasks.sealer.room(live)
            async with live.lock:
                await capture.save(engine, live, "before prune")
        tally.one()

    await _each(one(branch) for branch in branches)


async def _take_back(engine: Engine, change: Change, branch: str) -> str:
    """Take a branch's machine back to a commit. Returns the commit that holds what the machine was, or the branch's
    head when it had no machine.

    On failure the branch is what it was.
    """
    commit, live = change.back[branch], engine.machines.live.get(branch)
    state, reason = change.states.get(branch, RUNS)
    row, paused = engine.catalog.branch(branch), state is BranchState.PAUSED
    if state in WITH_MACHINE and live is not None:
        return (await exchange(engine, live, commit, paused=paused)).id
    if state in WITH_MACHINE:
        engine.catalog.change_branch(branch, head=commit)
        try:
            await start.start_again(engine, engine.catalog.branch(branch), paused=paused)
        except BaseException:
            engine.set_branch(branch, head=row.head)
            raise
        return row.head
    if live is None:
        saved = row.head
    else:
        await engine.tasks.sealer.room(live)
        async with live.lock:
            saved = (await capture.save(engine, live, "before restore")).id
            await start.end(engine, live)
    engine.set_branch(branch, state=state, reason=reason, machine=None, head=commit)
    return saved


async def _each(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of this concurrently, each to its end, then raise the first failure."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _apply_rows(engine: Engine, change: Change) -> Change:
    catalog, now = engine.catalog, time.time()
    former = catalog.setting("trunk")
    trunk = None if change.trunk is None else former or ""
    if change.trunk is not None:
        catalog.set_setting("trunk", change.trunk or None)
    heads = {branch: catalog.branch(branch).head for branch in change.heads}
    for branch, head in change.heads.items():
        catalog.change_branch(branch, head=head)
    names = {branch: catalog.branch(branch).name for branch in change.names}
    for branch, name in change.names.items():
        catalog.change_branch(branch, name=name)
    scores = {row.id: Judgement(row.score, row.note) for row in map(catalog.branch, change.scores)}
    for branch, told in change.scores.items():
        catalog.change_branch(branch, score=told.score, note=told.note, scoring=None)
    weights = {branch: catalog.branch(branch).weight for branch in change.weights}
    for branch, weight in change.weights.items():
        catalog.change_branch(branch, weight=weight)
    idle = {branch: catalog.branch(branch).idle_s for branch in change.idle}
    for branch, idle_s in change.idle.items():
        catalog.change_branch(branch, idle_s=idle_s)
    policies = {branch: catalog.branch(branch).policy for branch in change.policies}
    for branch, policy in change.policies.items():
        catalog.change_branch(branch, policy=policy)
        engine.acting.tell(branch)
    tags = {commit: catalog.commit(commit).tags for commit in change.tags}
    for commit, given in change.tags.items():
        catalog.set_tags(commit, given)
    unpublished = tuple(map(catalog.delete_port, change.unpublish))
    for port in change.publish:
        catalog.put_port(port)
    unlinked = tuple(map(catalog.delete_link, change.unlink))
    for link in change.link:
        catalog.put_link(link)
    loose = [commit.id for commit in unreachable(engine)] if change.restore else []
    shown, hidden = _show(engine, change), _hide(engine, change, now)
    if catalog.setting("trunk") in change.prune:
        trunk = catalog.setting("trunk")
        catalog.set_setting("trunk", None)
    return Change(
        trunk, change.restore, change.prune, tuple(shown), tuple(hidden), heads, names, scores, tags,
        weights=weights, idle=idle, policies=policies, pause=change.resume, resume=change.pause, suspend=change.wake,
        wake=change.suspend,
        keep=(*loose, *change.back.values()),
        publish=unpublished, unpublish=tuple(port.id for port in change.publish), link=unlinked,
        unlink=tuple(link.id for link in change.link), heads_from=change.heads,
        trunk_from=None if trunk is None else catalog.setting("trunk") or "",
    )  # fmt: skip


def _hide(engine: Engine, change: Change, now: float) -> list[str]:
    """Put branches into the trash, and with them the commits that only they have. Returns these commits."""
    orphans = [commit.id for commit in only_of(engine, change.prune, change.keep)]
    for branch in change.prune:
        engine.catalog.change_branch(branch, deleted=now)
    hidden = list(dict.fromkeys((*change.hide, *orphans)))
    for commit in hidden:
        engine.catalog.mark_commit(commit, now)
    return hidden


def _show(engine: Engine, change: Change) -> list[str]:
    """Take branches out of the trash, with the commits that went there with them. Returns the commits that the inverse
    must name to hide them again: those of a branch go with it.
    """
    for commit in change.show:
        engine.catalog.mark_commit(commit, None)
    if not change.restore:
        return list(change.show)
    deleted = {commit.id: commit for commit in engine.catalog.commits(deleted=True)}
    graph = Graph((*engine.catalog.commits(), *deleted.values()))
    for branch in change.restore:
        row = engine.catalog.branch(branch)
        engine.catalog.change_branch(branch, deleted=None)
        for commit in graph.ancestors(row.head) & deleted.keys():
            if engine.catalog.deleted_at(commit) == row.deleted or commit == row.head:
                engine.catalog.mark_commit(commit, None)
    return []


def only_of(engine: Engine, branches: Collection[str], keep: Iterable[str] = ()) -> list[Commit]:
    """Commits outside the trash that these branches need and no other branch, tag or image does, nor one of `keep`."""
    theirs = {row.head for row in engine.catalog.branches() if row.id in branches}
    return _not_of(engine, _roots(engine, branches).union(keep), theirs) if theirs else []


def unreachable(engine: Engine, keep: Iterable[str] = ()) -> list[Commit]:
    """Commits outside the trash that no branch, tag or image needs, nor one of `keep`."""
    return _not_of(engine, _roots(engine).union(keep), [commit.id for commit in engine.catalog.commits()])


def _not_of(engine: Engine, roots: Iterable[str], others: Iterable[str]) -> list[Commit]:
    """Commits outside the trash that `others` come from, and `roots` do not."""
    commits = engine.catalog.commits()
    graph = Graph((*commits, *engine.catalog.commits(deleted=True)))
    found = graph.reachable(others) - graph.reachable(roots)
    return [commit for commit in commits if commit.id in found]


def _roots(engine: Engine, without: Collection[str] = ()) -> set[str]:
    """What must stay but for branches `without`."""
    heads = {row.head for row in engine.catalog.branches() if row.id not in without}
    named = {commit.id for commit in engine.catalog.commits() if commit.tags or commit.origin}
    return heads | named | {image.golden for image in engine.catalog.images()}


async def _end_pruned(engine: Engine, branches: tuple[str, ...]) -> None:
    machines = [engine.machines.live[branch] for branch in branches if branch in engine.machines.live]
    await asyncio.gather(*(start.end(engine, live) for live in machines))
    for branch in branches:
        engine.catalog.change_branch(branch, machine=None)


async def _start_restored(engine: Engine, change: Change) -> None:
    """Start the branches that ran when they were pruned. One that does not start is lost, and its reason says why; when
    the change is made again it is tried again.
    """

    async def one(branch: str, state: BranchState) -> None:
        lost = "its machine ended when it was pruned"
        row = engine.set_branch(branch, state=BranchState.LOST, reason=lost)
        await start.start_again(engine, row, paused=state is BranchState.PAUSED)
        tally.one()

    rows = [engine.catalog.branch(branch) for branch in change.restore if branch not in engine.machines.live]
    states = {row.id: change.states[row.id].state if row.id in change.states else row.state for row in rows}
    wanted = {branch: state for branch, state in states.items() if state in WITH_MACHINE}
    tally = DoneCount(engine, "starting what comes back", len(wanted))
    await _each(one(branch, state) for branch, state in wanted.items())


def _tell(engine: Engine, change: Change, inverse: Change) -> None:
    if change.trunk is not None or change.prune:
        engine.events.publish("trunk", change.trunk or "", "the trunk moved")
    for branch in (
        *change.prune, *change.restore, *change.heads, *change.names, *change.scores, *change.reaches, *change.weights,
        *change.idle, *change.policies, *ends_of((*change.link, *inverse.link)),
    ):  # fmt: skip
        row = engine.catalog.branch(branch)
        engine.events.publish("trash" if row.deleted else "branch", row.name, row.name)
    for commit in (*change.hide, *change.show, *change.tags):
        engine.events.publish("commit", commit, f"commit {commit[:12]}")
