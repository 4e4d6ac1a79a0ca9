"""What verbs say of egress, carried out: rules with groups in them, what was refused, and siblings of a branch."""

from collections.abc import Sequence

from core.catalog_values import BranchRow
from core.engine import egress, groups, marks
from core.engine.change import Change
from core.engine.context import Engine
from core.errors import Conflict
from core.model import Operation
from core.reach import Reach, ReachMode, added, destination, in_words, is_group, of_mode, spelled

ADD = "add"


async def let(
    engine: Engine, request_id: str, name: str, mode: str, rules: Sequence[str], *, siblings: bool
) -> Operation:
    """Say what of the outside a branch may reach, at once; with `siblings` all branches of its fork. `add` adds rules
    to what each may reach, or what was refused last. On failure nothing changed.
    """
    row = engine.branch(name)
    if mode == ADD and not rules:
        rules = (_refused(engine, row),)
    rows = siblings_of(engine, row) if siblings else (row,)
    reaches = {one.id: await _reach(engine, one, mode, rules) for one in rows}
    if mode == ADD and all(one.egress.mode is ReachMode.OPEN for one in rows):
        raise Conflict(f"{row.name} may reach everything already: `vertui egress {row.name} show` tells")
    named = row.name if len(rows) == 1 else f"{row.name} and {len(rows) - 1} more"
    summary = f"egress {named} {in_words(reaches[row.id])}"
    return await marks.changed(engine, request_id, "egress", summary, Change(reaches=reaches))


def siblings_of(engine: Engine, row: BranchRow) -> tuple[BranchRow, ...]:
    """The branches that one fork made, this one among them; it alone when none did."""
    others = (one for one in engine.catalog.branches() if one.fork == row.fork and one.id != row.id)
    return (row, *others) if row.fork is not None else (row,)


async def settle_default(engine: Engine, row: BranchRow) -> None:
    """Let a branch that has just been started reach what its image's groups are in its guest."""
    await settle(engine, row, engine.image(row.image).egress)


async def settle(engine: Engine, row: BranchRow, wanted: Reach | None) -> None:
    """Let a branch that has just been started reach what groups are in its guest, if any are wanted."""
    if wanted is not None and any(map(is_group, wanted.to)):
        rules = await groups.expanded(engine, row.name, tuple(map(spelled, wanted.to)))
        await egress.move(engine, row.id, of_mode(ReachMode.ALLOW, rules))


def _refused(engine: Engine, row: BranchRow) -> str:
    live = engine.machines.live.get(row.id)
    if live is None or live.refused.newest is None:
        raise Conflict(
            f"{row.name} was refused nothing that is still refused: name what it is to reach, HOST[:PORT[/udp]]"
        )
    return spelled(live.refused.newest.to)


async def _reach(engine: Engine, row: BranchRow, mode: str, rules: Sequence[str]) -> Reach:
    expanded = await groups.expanded(engine, row.name, rules)
    if mode == ADD:
        return added(row.egress, tuple(map(destination, expanded)))
    return of_mode(mode, expanded)
