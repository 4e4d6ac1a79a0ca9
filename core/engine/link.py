"""Link and unlink: branches that may talk to each other, and that may no more."""

import time
from collections.abc import Sequence
from itertools import combinations

from core.catalog_values import BranchRow
from core.engine.change import Change
from core.engine.changes import apply, check_started
from core.engine.context import Engine, new_id
from core.engine.operations import operation
from core.links import Linked, LinkRow


async def link(engine: Engine, request_id: str, names: Sequence[str]) -> Linked:
    """Let each of these branches talk to each other one from now on. On failure nothing changed.

    None of them may be starting: should that fail, its row goes, and the next branch gets its address.
    """
    async with engine.verbs.changing:
        rows, linked = _rows(engine, names), {row.ends for row in engine.catalog.links()}
        for row in rows:
            check_started(row)
        added = tuple(
            LinkRow(new_id(), one.id, other.id, time.time())
            for one, other in combinations(rows, 2)
            if frozenset((one.id, other.id)) not in linked
        )
        return await _changed(engine, request_id, "link", rows, Change(link=added), added)


async def unlink(engine: Engine, request_id: str, names: Sequence[str]) -> Linked:
    """Let none of these branches talk to another one of them any more, or one alone to nobody: what is open between
    them is cut. On failure nothing changed.
    """
    async with engine.verbs.changing:
        rows = _rows(engine, names)
        ids = {row.id for row in rows}
        left = tuple(row for row in engine.catalog.links() if len(row.ends & ids) == min(len(ids), 2))
        change = Change(unlink=tuple(row.id for row in left))
        return await _changed(engine, request_id, "unlink", rows, change, left)


async def _changed(
    engine: Engine,
    request_id: str,
    verb: str,
    rows: Sequence[BranchRow],
    change: Change,
    pairs: Sequence[LinkRow],
) -> Linked:
    summary = " ".join((verb, *(row.name for row in rows)))
    async with operation(engine, request_id, verb, summary) as record:
        record.inverse = await apply(engine, change)
    names = {row.id: row.name for row in engine.catalog.branches()}
    told = [(names[row.one], names[row.other]) for row in pairs if row.ends <= names.keys()]
    return Linked(tuple(told), record.id, open=bool(change.link))


def _rows(engine: Engine, names: Sequence[str]) -> list[BranchRow]:
    """Each of these branches once."""
    return list({row.id: row for row in map(engine.branch, names)}.values())
