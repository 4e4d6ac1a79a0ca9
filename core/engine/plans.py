"""Promote and prune: a Plan that says exactly what goes, and its execution, once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.catalog import BranchRow
from core.codec import encode
from core.engine import compare, start
from core.engine.changes import Change, apply, check_started, unreachable
from core.engine.context import Engine, new_id
from core.engine.images import remove_image
from core.engine.operations import operation
from core.engine.trash import empty, purge
from core.engine.warm import let_go
from core.errors import Conflict
from core.graph import Graph
from core.model import Commit, CommitState, Operation, Plan

SHOWN_FILES = 20  # of what a plan lists one by one; the rest are counted
PLANS_KEPT = 100  # shown and neither executed nor refused


@dataclass(frozen=True)
class Wanted:
    """What a prune plan was made from."""

    branches: tuple[BranchRow, ...]
    commits: tuple[Commit, ...]
    now: bool


async def plan_promote(engine: Engine, name: str, prune_losers: bool) -> Plan:
    """What promoting a branch changes: the trunk, and what the old trunk did since the fork that the winner lacks."""
    winner, old = engine.branch(name), engine.catalog.setting("trunk")
    if winner.id == old:
        raise Conflict(f"{winner.name} is the trunk already")
    lines, files = [f"the trunk moves to {winner.name}"], tuple[str, ...]()
    if old:
        old_row = engine.catalog.branch(old)
        lines[0] = f"the trunk moves from {old_row.name} to {winner.name}; {old_row.name} stays a branch"
        missing, files = await _lacks(engine, winner, old_row)
        lines += missing
    losers = losers_of(engine, winner) if prune_losers else []
    lines += [f"{row.name} is pruned: {row.state}, can be undone" for row in losers]
    ids = tuple(row.name for row in losers)
    return kept(
        engine, Plan(new_id(), "promote", (winner.name, *ids), (), 0, True, tuple(lines), tuple(files))
    )


async def _lacks(engine: Engine, winner: BranchRow, old: BranchRow) -> tuple[list[str], tuple[str, ...]]:
    """Commits and files of the old trunk since the merge base that the winner does not have."""
    graph = Graph(engine.catalog.commits())
    base = graph.merge_base(winner.head, old.head)
    if base is None:
        return [f"{winner.name} and {old.name} have no commit in common"], ()
    commits = graph.between(winner.head, old.head)
    if old.id not in engine.live and engine.catalog.commit(old.head).state is CommitState.GONE:
        return [f"{old.name} is gone with what it did: it was still in memory when the host died"], ()
    changed = await compare.diff(engine, base, old.name)
    files = tuple(str(entry["path"]) for entry in changed["entries"])
    if not commits and not files:
        return [f"{old.name} did nothing since the fork that {winner.name} lacks"], ()
    lines = [
        f"{winner.name} lacks commit {commit.id[:12]} of {old.name}: {commit.message}" for commit in commits
    ]
    lines += [f"{winner.name} lacks a change of {old.name}: {path}" for path in files[:SHOWN_FILES]]
    if len(files) > SHOWN_FILES:
        lines.append(f"… and {len(files) - SHOWN_FILES} more files")
    return lines, files


def losers_of(engine: Engine, winner: BranchRow) -> list[BranchRow]:
    """The other branches of the winner's own fork and what descends from them; never the old trunk."""
    rows, old = engine.catalog.branches(), engine.catalog.setting("trunk")
    losing = {row.id for row in rows if row.fork is not None and row.fork == winner.fork}
    losing -= {winner.id, old}
    while more := {row.id for row in rows if row.parent_branch in losing} - losing - {winner.id, old}:
        losing |= more
    return [row for row in rows if row.id in losing]


def plan_prune(engine: Engine, targets: list[str], now: bool) -> Plan:
    """What pruning branches and commits removes: into the trash, or with `now` for good."""
    wanted = _wanted(engine, targets, now)
    orphans = unreachable(engine, frozenset(row.id for row in wanted.branches)) if wanted.branches else []
    commits = {commit.id: commit for commit in (*wanted.commits, *orphans)}
    end = "for good: nothing brings it back" if now else "into the trash: undo brings it back"
    lines = [f"branch {row.name} ({row.state}) goes {end}" for row in wanted.branches]
    lines += [
        f"commit {c.id[:12]} of {c.branch or c.image} ({c.message or 'no message'}) goes {end}"
        for c in commits.values()
    ]
    frees = sum(commit.stored_bytes for commit in commits.values())
    names = tuple(row.name for row in wanted.branches)
    return kept(
        engine,
        Plan(
            new_id(), "prune --now" if now else "prune", names, tuple(commits), frees, not now, tuple(lines)
        ),
    )


def _wanted(engine: Engine, targets: list[str], now: bool) -> Wanted:
    branches: dict[str, BranchRow] = {}
    commits: dict[str, Commit] = {}
    for target in targets:
        found = engine.resolve(target)
        if found.branch:
            row = engine.branch(found.branch)
            check_started(row)
            branches[row.id] = row
        else:
            commits[found.commit] = engine.catalog.commit(found.commit)
    trunk = engine.catalog.setting("trunk")
    if trunk in branches and len(engine.catalog.branches()) > len(branches):
        raise Conflict(f"{branches[trunk or ''].name} is the trunk: promote another branch before pruning it")
    heads = {row.head: row.name for row in engine.catalog.branches() if row.id not in branches}
    goldens = {image.golden: image.name for image in engine.catalog.images()}
    for commit in commits:
        if commit in heads:
            raise Conflict(f"commit {commit[:12]} is the head of {heads[commit]}: prune that branch instead")
        if commit in goldens:
            raise Conflict(
                f"commit {commit[:12]} is golden: `vertui image rm {goldens[commit]}` removes its image"
            )
    return Wanted(tuple(branches.values()), tuple(commits.values()), now)


def kept(engine: Engine, plan: Plan) -> Plan:
    """Remember a plan until it is executed."""
    engine.plans[plan.id] = plan
    while len(engine.plans) > PLANS_KEPT:
        engine.plans.pop(next(iter(engine.plans)))
    return plan


async def execute(engine: Engine, request_id: str, plan_id: str) -> Operation:
    """Carry a plan out, once. Conflict when it was executed, or when what it was made for has changed."""
    plan = engine.plans.pop(plan_id, None)
    if plan is None:
        raise Conflict("this plan was carried out or forgotten: make it again")
    runs: dict[str, Callable[[Engine, Plan], Awaitable[Change | None]]] = {
        "promote": _promote,
        "prune": _prune,
        "prune --now": _prune_now,
        "trash empty": _empty,
        "image rm": _remove_image,
    }
    with engine.reserve.lent():
        async with (
            engine.changing,
            operation(engine, request_id, plan.verb, _summary(plan), encode(plan)) as record,
        ):
            inverse = await runs[plan.verb](engine, plan)
            record.inverse = encode(inverse) if inverse else None
    return engine.catalog.operation(record.id).shown()


def _summary(plan: Plan) -> str:
    names = [*plan.branches, *(commit[:12] for commit in plan.commits if not plan.branches), *plan.files]
    return f"{plan.verb} {' '.join(names[:8])}" + (" …" if len(names) > 8 else "")


async def _promote(engine: Engine, plan: Plan) -> Change:
    winner, losers = engine.branch(plan.branches[0]), [engine.branch(name) for name in plan.branches[1:]]
    return await apply(engine, Change(trunk=winner.id, prune=tuple(row.id for row in losers)))


def _still(engine: Engine, plan: Plan) -> Change:
    """The plan's change, when it would be the same plan now."""
    rows = [engine.branch(name) for name in plan.branches]
    orphans = (
        {commit.id for commit in unreachable(engine, frozenset(row.id for row in rows))} if rows else set()
    )
    if not orphans <= set(plan.commits):
        raise Conflict("there are new commits since this plan was shown: make it again")
    for commit in plan.commits:
        engine.catalog.commit(commit)
    for row in rows:
        check_started(row)
    return Change(prune=tuple(row.id for row in rows), hide=plan.commits)


async def _prune(engine: Engine, plan: Plan) -> Change:
    return await apply(engine, _still(engine, plan))


async def _prune_now(engine: Engine, plan: Plan) -> None:
    change = _still(engine, plan)
    await engine.sealer.drop(change.hide)
    with engine.catalog.transaction():
        if engine.catalog.setting("trunk") in change.prune:
            engine.catalog.set_setting("trunk", None)
        machines = [engine.live[branch] for branch in change.prune if branch in engine.live]
        for branch in change.prune:
            engine.catalog.delete_branch(branch)
        for commit in change.hide:
            engine.catalog.delete_commit(commit)
    for live in machines:
        await start.end(engine, live)
    await purge(engine, change.hide)
    for name in plan.branches:
        engine.publish("branch", name, f"{name} was pruned for good")


async def _empty(engine: Engine, plan: Plan) -> None:
    await empty(engine, plan)


async def _remove_image(engine: Engine, plan: Plan) -> None:
    await remove_image(engine, plan.files[0])
    await let_go(engine)
