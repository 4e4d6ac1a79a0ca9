"""What plans say exactly, and their execution, once: promote, prune, emptying the trash, removing an image."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from core.catalog_values import BranchRow
from core.checkpoints import Trigger
from core.engine import compare, crashes, links, start
from core.engine.change import Change, Draft
from core.engine.changes import apply, check_started, only_of
from core.engine.context import Engine, new_id
from core.engine.images import plan_remove_image, remove_image
from core.engine.operations import operation
from core.engine.trash import GRACE_S, empty, plan_empty, purge
from core.engine.warm import let_go
from core.errors import Conflict, UsageError
from core.graph import Graph
from core.journal.entry import EntryKind
from core.model import Commit, CommitState, Operation, Plan, PlanSection
from core.ports import guest_side, place
from core.refs import CRASH, TRUNK

SHOWN_FILES = 20  # of what a plan lists one by one; the rest are counted
PLANS_KEPT = 100  # shown and neither executed nor refused


Parts = Sequence[tuple[str, Sequence[str]]]  # titles and the lines under each


async def plan_promote(engine: Engine, name: str, prune_losers: bool) -> Plan:
    """What promoting a branch changes: the trunk, and what the old trunk did since the fork that the winner lacks."""
    winner, old = engine.branch(name), engine.catalog.setting("trunk")
    head, moves = f"the trunk: {winner.name}", [f"the trunk moves to {winner.name}"]
    missing, files = list[str](), tuple[str, ...]()
    if old:
        old_row = engine.catalog.branch(old)
        head = f"the trunk: {old_row.name} → {winner.name}"
        moves = [f"the trunk moves from {old_row.name} to {winner.name}; {old_row.name} stays a branch"]
        missing, files = await _lacks(engine, winner, old_row)
    ports = [port for port in engine.tasks.ports.shown() if port.branch == TRUNK]
    moves += [
        f"{place(port)} leads to port {guest_side(port)} of {winner.name} from then on" for port in ports
    ]
    losers = losers_of(engine, winner) if prune_losers else []
    gone = [f"{row.name} is pruned: {row.state}, can be undone" for row in losers]
    lines, sections = _in_parts(
        [
            ("the trunk", moves),
            ("what it lacks of the old one", missing),
            ("losers, into the trash", gone),
            ("ports and links", _closing(engine, losers)),
        ]
    )
    if losers:
        head += f", {_counted(len(losers), 'loser', 'losers')} pruned"
    names = (winner.name, *(row.name for row in losers))
    until = time.time() + GRACE_S if losers else None
    plan = Plan(new_id(), "promote", names, (), 0, True, lines, tuple(files), (), head, sections, until)
    change = Change(trunk=winner.id, prune=tuple(row.id for row in losers))
    pruned = f", prune {' '.join(names[1:])}" if losers else ""

    async def promote() -> Change:
        inverse = await apply(engine, change)
        engine.journals.note(winner.id, EntryKind.PROMOTE, head, winner.head)
        return inverse

    return kept(engine, plan, promote, f"promote {winner.name}{pruned}")


def _in_parts(parts: Parts) -> tuple[tuple[str, ...], tuple[PlanSection, ...]]:
    """All lines, and how many of them stand under which title."""
    there = [(title, lines) for title, lines in parts if lines]
    sections = tuple(PlanSection(title, len(lines)) for title, lines in there)
    return tuple(line for _, lines in there for line in lines), sections


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _closing(engine: Engine, branches: Sequence[BranchRow]) -> list[str]:
    """What is said of the ports and links of branches that are pruned."""
    names, linked = {row.name for row in branches}, links.shown(engine)
    ports = [port for port in engine.tasks.ports.shown() if port.branch in names]
    lines = [
        f"{place(port)}, which leads to port {guest_side(port)} of {port.branch}, closes" for port in ports
    ]
    return lines + [
        f"{row.name} and those it is linked with ({', '.join(linked[row.id])}) reach each other no more"
        for row in branches
        if row.id in linked
    ]


async def _lacks(engine: Engine, winner: BranchRow, old: BranchRow) -> tuple[list[str], tuple[str, ...]]:
    """Commits that somebody asked for and files of the old trunk since the merge base that the winner does not have."""
    graph = Graph(engine.commits())
    base = graph.merge_base(winner.head, old.head)
    if base is None:
        return [f"{winner.name} and {old.name} have no commit in common"], ()
    commits = [c for c in graph.between(winner.head, old.head) if c.checkpoint is Trigger.NONE]
    if old.id not in engine.machines.live and engine.catalog.commit(old.head).state is CommitState.GONE:
        return [f"{old.name} is gone with what it did: it was still in memory when the host died"], ()
    changed = await compare.diff(engine, base, old.name)
    files = tuple(entry.path for entry in changed.entries)
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


def plan_prune(engine: Engine, targets: Sequence[str], now: bool) -> Plan:
    """What pruning branches and commits removes: into the trash, or with `now` for good. Crash disks go for good, and
    so apart from what could be undone.
    """
    branches, wanted, left = _wanted(engine, targets)
    if left and (branches or wanted):
        raise UsageError(f"{left[0].name}{CRASH} goes for good: prune it apart from the rest")
    if left:
        return _plan_forget(engine, left)
    orphans = only_of(engine, {row.id for row in branches})
    commits = {commit.id: commit for commit in (*wanted, *orphans)}
    end = "for good: nothing brings it back" if now else "into the trash: undo brings it back"
    lines, sections = _in_parts(
        [
            ("branches", [_goes(row, end) for row in branches]),
            ("ports and links", _closing(engine, branches)),
            ("commits", [
                f"commit {c.id[:12]} of {c.branch or c.image} ({c.message or 'no message'}) goes {end}"
                for c in commits.values()
            ]),
            ("in the trash", [
                f"branch {row.name}, which is in the trash, goes {end}: its head does"
                for row in _left_without(engine, commits if now else ())
            ]),
        ]
    )  # fmt: skip
    machines = sum(row.id in engine.machines.live for row in branches)
    head = ", ".join(
        _counted(count, one, many)
        for count, one, many in (
            (len(branches), "branch", "branches"),
            (machines, "machine", "machines"),
            (len(commits), "commit", "commits"),
        )
        if count
    )  # fmt: skip
    frees = sum(commit.stored_bytes for commit in commits.values())
    frees += sum(row.crash.size_bytes for row in branches if row.crash)
    names = tuple(row.name for row in branches)
    verb, until = ("prune --now", None) if now else ("prune", time.time() + GRACE_S)
    plan = Plan(new_id(), verb, names, tuple(commits), frees, not now, lines, (), (), head, sections, until)

    async def prune() -> Change:
        return await apply(engine, _still(engine, plan))

    return kept(engine, plan, (lambda: _prune_now(engine, plan)) if now else prune)


def _plan_forget(engine: Engine, left: Sequence[BranchRow]) -> Plan:
    """What pruning the crash disks of branches removes."""
    lines, names = tuple(map(_left, left)), [f"{row.name}{CRASH}" for row in left]
    frees = sum(row.crash.size_bytes for row in left if row.crash)
    head = _counted(len(left), "crash disk", "crash disks")
    plan = Plan(new_id(), "prune", (), (), frees, False, lines, (), (), head)

    async def forget() -> None:
        there = [engine.catalog.named(row.name) for row in left]
        if any(now is None or now.crash != row.crash for now, row in zip(there, left, strict=True)):
            raise Conflict("there is another crash disk since this plan was shown: make it again")
        crashes.forget(engine, tuple(row.id for row in left))

    return kept(engine, plan, forget, f"prune {' '.join(names)}")


def _goes(row: BranchRow, end: str) -> str:
    left = ", with its crash disk" if row.crash else ""
    return f"branch {row.name} ({row.state}{left}) goes {end}"


def _left(row: BranchRow) -> str:
    died = "" if row.crash is None else f" at {time.strftime('%F %T', time.localtime(row.crash.died))}"
    return f"{row.name}{CRASH}, what its disk held when its machine died{died}, goes for good: nothing brings it back"


def plan_empty_trash(engine: Engine) -> Plan:
    """What emptying the trash removes for good."""
    plan = plan_empty(engine)
    return kept(engine, plan, lambda: empty(engine, plan.branches, plan.commits))


def plan_image_rm(engine: Engine, image: str) -> Plan:
    """What removing an image removes."""
    plan = plan_remove_image(engine, image)

    async def remove() -> None:
        await remove_image(engine, plan.images[0])
        await let_go(engine)

    return kept(engine, plan, remove)


def _wanted(engine: Engine, targets: Sequence[str]) -> tuple[list[BranchRow], list[Commit], list[BranchRow]]:
    """Branches, commits, and branches whose crash disks are meant."""
    branches: dict[str, BranchRow] = {}
    commits: dict[str, Commit] = {}
    left: dict[str, BranchRow] = {}
    for target in targets:
        found = engine.resolve_disk(target)
        if found.branch and found.crash:
            row = engine.branch(found.branch)
            left[row.id] = row
        elif found.branch:
            row = engine.branch(found.branch)
            check_started(row)
            branches[row.id] = row
        else:
            commits[found.commit] = engine.catalog.commit(found.commit)
    return list(branches.values()), list(commits.values()), list(left.values())


def kept(
    engine: Engine, plan: Plan, carry_out: Callable[[], Awaitable[Change | None]], summary: str = ""
) -> Plan:
    """Remember a plan, how it is carried out and what the log says of it, until that is done."""
    engine.verbs.plans[plan.id] = Draft(plan, carry_out, summary or _summary(plan))
    while len(engine.verbs.plans) > PLANS_KEPT:
        engine.verbs.plans.pop(next(iter(engine.verbs.plans)))
    return plan


async def execute(engine: Engine, request_id: str, plan_id: str) -> Operation:
    """Carry a plan out, once. Conflict when it was executed, or when what it was made for has changed."""
    draft = engine.verbs.plans.pop(plan_id, None)
    if draft is None:
        raise Conflict("this plan was carried out or forgotten: make it again")
    plan = draft.plan
    with engine.reserve.lent():
        async with (
            engine.verbs.changing,
            operation(engine, request_id, plan.verb, draft.summary, plan=plan) as record,
        ):
            record.inverse = await draft.carry_out()
    return engine.catalog.operation(record.id).shown()


def _summary(plan: Plan) -> str:
    names = [*plan.branches, *(commit[:12] for commit in plan.commits if not plan.branches), *plan.images]
    return f"{plan.verb} {' '.join(names[:8])}" + (" …" if len(names) > 8 else "")


def _left_without(engine: Engine, commits: Collection[str]) -> list[BranchRow]:
    """The branches in the trash whose head is one of these commits: they could not come back without it."""
    return [row for row in engine.catalog.branches(deleted=True) if row.head in commits]


def _still(engine: Engine, plan: Plan) -> Change:
    """The plan's change, when it would be the same plan now. Commits that branches got by themselves since go along; of
    those that were to go with branches some may have been thinned out.
    """
    rows = [engine.branch(name) for name in plan.branches]
    new = {commit.id: commit for commit in only_of(engine, {row.id for row in rows})}
    for commit in plan.commits:
        new.pop(commit, None)
    if any(commit.checkpoint is Trigger.NONE for commit in new.values()):
        raise Conflict("there are new commits since this plan was shown: make it again")
    there = {row.id for deleted in (False, True) for row in engine.catalog.commits(deleted=deleted)}
    if not rows:
        for commit in plan.commits:
            engine.catalog.commit(commit)
    for row in rows:
        check_started(row)
    hide = tuple(commit for commit in plan.commits if commit in there)
    return Change(prune=tuple(row.id for row in rows), hide=(*hide, *new))


async def _prune_now(engine: Engine, plan: Plan) -> None:
    change = _still(engine, plan)
    await engine.tasks.sealer.drop(change.hide)
    with engine.catalog.transaction():
        if engine.catalog.setting("trunk") in change.prune:
            engine.catalog.set_setting("trunk", None)
        machines = [engine.machines.live[branch] for branch in change.prune if branch in engine.machines.live]
        for branch in (*change.prune, *(row.id for row in _left_without(engine, change.hide))):
            engine.catalog.delete_branch(branch)
        for commit in change.hide:
            engine.catalog.delete_commit(commit)
    await engine.tasks.ports.settle()
    await links.settle(engine)
    for live in machines:
        await start.end(engine, live)
    await purge(engine, change.hide)
    for name in plan.branches:
        engine.events.publish("branch", name, f"{name} was pruned for good")
