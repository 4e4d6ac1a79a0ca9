"""The operation log around a verb: intent first, outcome last, each request once.

A request happens once, by its id: what happened is answered again to whoever asks again, and so is what the death of a
daemon left in doubt. A refusal is no such thing, for nothing of it happened: who asks again is answered as it is now.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from core.catalog_values import BranchRow, Intent
from core.codec import encode
from core.engine.change import Change
from core.engine.context import Engine
from core.engine.tally import REQUEST
from core.errors import Conflict, NoRoom, VertuiError, by_kind
from core.model import OperationState, Plan, new_key
from core.room import no_room

T = TypeVar("T")
CATALOG_BYTES = 1 << 20  # of its log, for a verb that writes little

logger = logging.getLogger(__name__)


@dataclass
class RunningOperation:
    """The operation in progress. What the verb sets here is written with its outcome, in one transaction."""

    id: int
    summary: str
    inverse: Change | None = None


@asynccontextmanager
async def operation(
    engine: Engine,
    request_id: str,
    verb: str,
    summary: str,
    names: Sequence[str] = (),
    plan: Plan | None = None,
    wakes: Sequence[str] = (),
    replayed: BranchRow | None = None,
) -> AsyncIterator[RunningOperation]:
    """Log the body as one operation: done with its inverse if it ends well, failed with the reason if not. `names` are
    of what it means to make, `plan` what it carries out, `wakes` suspended branches, by id, that it is to start,
    `replayed` a branch in which it runs again what was done.
    """
    branch, machine = (replayed.id, replayed.machine) if replayed else ("", None)
    intent = Intent(tuple(names), plan, engine.verbs.asked.get(request_id, ""), tuple(wakes), branch, machine)
    try:
        record = RunningOperation(
            engine.catalog.begin(request_id, verb, summary, intent, time.time()), summary
        )
    except NoRoom as error:
        raise no_room("the catalog", engine.home.catalog, CATALOG_BYTES) from error
    try:
        yield record
    except BaseException as error:
        _finish(engine, record, OperationState.FAILED, **_failure(error))
        raise
    _finish(
        engine,
        record,
        OperationState.DONE,
        inverse=encode(record.inverse or Change()),
        undoable=record.inverse is not None,
    )


def refuse(engine: Engine, record: RunningOperation, error: VertuiError) -> None:
    """Mark an operation that was done as failed, because what it did was taken back."""
    _finish(engine, record, OperationState.FAILED, undoable=False, **_failure(error))


def _failure(error: BaseException) -> dict[str, object]:
    """What is written of how an operation failed: of a refusal its kind, which nothing else has."""
    if isinstance(error, VertuiError):
        return {"error": str(error), "result": {"kind": type(error).__name__}}
    if isinstance(error, asyncio.CancelledError):
        return {"error": "interrupted", "result": {"kind": VertuiError.__name__}}
    return {"error": type(error).__name__}


def note(engine: Engine, verb: str, summary: str) -> None:
    """Log what cannot be undone and has no outcome of its own, such as a command that was started."""
    now = time.time()
    with engine.catalog.transaction():
        number = engine.catalog.begin(new_key(), verb, summary, Intent(), now)
        engine.catalog.change_operation(number, state=OperationState.DONE, finished=now)
    engine.events.publish("operation", str(number), f"{verb} {summary}")


async def once(engine: Engine, request_id: str, asked: str, run: Callable[[], Awaitable[T]]) -> Any:
    """`run()` encoded as JSON values; for a request id seen before, the answer it gets or got, unless it was refused.
    `asked` is the verb.

    The run goes on when its client hangs up: a verb is not left half done because nobody waits for it.
    """
    if engine.verbs.asked.get(request_id, asked) != asked:
        raise Conflict(
            f"request id {request_id} is that of a {engine.verbs.asked[request_id]} at work: take another"
        )
    if (at_work := engine.verbs.answers.get(request_id)) is not None:
        return await asyncio.shield(at_work)
    earlier = engine.catalog.requested(request_id)
    if earlier is not None and earlier.was_refused:
        engine.catalog.change_operation(earlier.id, request_id=f"{request_id}/{earlier.id}")
        earlier = None
    if earlier is None:
        answer = asyncio.create_task(_answered(engine, request_id, asked, run))
        engine.verbs.answers[request_id] = answer
        answer.add_done_callback(lambda _: engine.verbs.answers.pop(request_id, None))
        return await asyncio.shield(answer)
    if earlier.intent.asked not in ("", asked):
        raise Conflict(
            f"request id {request_id} is that of operation {earlier.id}, {earlier.summary}: take another"
        )
    if earlier.state is OperationState.FAILED:
        raise by_kind(earlier.refused, earlier.error)
    if earlier.state is OperationState.INTENT:
        raise Conflict(f"operation {earlier.id} ({earlier.summary}) is still at work")
    if earlier.result is None:
        raise Conflict(
            f"operation {earlier.id} ({earlier.summary}) was done; its answer went with the daemon"
        )
    return earlier.result


async def _answered(engine: Engine, request_id: str, asked: str, run: Callable[[], Awaitable[T]]) -> Any:
    REQUEST.set(request_id)  # of this task alone, and what it starts
    with engine.verbs.working(request_id, asked):
        result = json.loads(json.dumps(encode(await run())))
    begun = engine.catalog.requested(request_id)
    if begun is not None:
        with contextlib.suppress(NoRoom):  # only a repeated request would miss it
            engine.catalog.change_operation(begun.id, result=result)
    return result


def _finish(engine: Engine, record: RunningOperation, state: OperationState, **changes: Any) -> None:
    with engine.catalog.transaction():
        if changes.get("undoable"):
            engine.catalog.forget_undone()
        engine.catalog.change_operation(
            record.id, state=state, summary=record.summary, finished=time.time(), **changes
        )
    outcome = record.summary + (f": {changes['error']}" if "error" in changes else "")
    logger.info("operation %d %s: %s", record.id, state, outcome)
    engine.events.publish("operation", str(record.id), outcome)
