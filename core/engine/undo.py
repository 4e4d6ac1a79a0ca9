"""Undo and redo: the newest operation's inverse, applied; its own inverse is what redo applies."""

from core.catalog_values import OperationRow
from core.codec import decode, encode
from core.engine.change import Change
from core.engine.changes import apply
from core.engine.context import Engine
from core.engine.lost import why_lost
from core.engine.operations import operation
from core.errors import Conflict
from core.model import Operation, OperationState


async def undo(engine: Engine, request_id: str) -> Operation:
    """Take back the newest operation that can be. Refused with the reason when what it needs is gone, once: the next
    undo takes an older one.
    """
    if (row := engine.catalog.turnable(OperationState.DONE)) is None:
        raise Conflict(
            "there is nothing to undo: `vertui log` shows what was done and what can be taken back"
        )
    return await _turn(engine, request_id, "undo", row, OperationState.UNDONE)


async def redo(engine: Engine, request_id: str) -> Operation:
    """Do again what was undone last; gone once something else was done since."""
    if (row := engine.catalog.turnable(OperationState.UNDONE)) is None:
        raise Conflict("there is nothing to redo")
    return await _turn(engine, request_id, "redo", row, OperationState.DONE)


async def _turn(
    engine: Engine, request_id: str, verb: str, row: OperationRow, state: OperationState
) -> Operation:
    summary, change = f"{verb} {row.id}: {row.summary}", decode(Change, row.inverse)
    async with (
        engine.verbs.changing,
        operation(engine, request_id, verb, summary, wakes=change.wake) as record,
    ):
        if reason := why_lost(engine, change):
            engine.catalog.change_operation(row.id, undoable=False)
            raise Conflict(f"{reason}; the next `vertui {verb}` passes over {row.id} ({row.summary})")
        inverse = await apply(engine, change, again=True)
        engine.catalog.change_operation(row.id, state=state, inverse=encode(inverse))
    return engine.catalog.operation(record.id).shown()
