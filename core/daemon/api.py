"""The API over HTTP. Every answer is a value, every refusal {"kind", "message"}, as `routes` has it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

import core.daemon.requests as body
from core.catalog_past import MOST_OPERATIONS
from core.codec import encode
from core.daemon.comparisons import add_comparisons
from core.daemon.dialling import add_dialling
from core.daemon.journal_routes import add_journals
from core.daemon.request_id import RequestId
from core.daemon.routes import Application, refusal, refused
from core.daemon.store_routes import add_store
from core.daemon.streamed import Octets
from core.daemon.verb_routes import add_verbs
from core.engine import (
    capture,
    doctor,
    images,
    inspect,
    memory,
    past,
    plans,
    publish,
    secrets,
    tokens,
    told_change,
    trash,
)
from core.engine.context import Engine
from core.engine.events import Interest
from core.engine.operations import once
from core.errors import UsageError, VertuiError
from core.inward import GuestPort
from core.looking_back import Stride, Then
from core.model import (
    Command,
    DaemonStatus,
    Event,
    Finding,
    Operation,
    Process,
    TrashEntry,
    Tree,
)
from core.naming import MemoryRoom
from core.sites import Secret
from core.tokens import Token

logger = logging.getLogger(__name__)


class EventLines(StreamingResponse):
    """A line an event."""

    media_type = "application/x-ndjson"
    lines = (Event,)


@dataclass(frozen=True)
class Alive:
    """The daemon answers."""

    alive: bool = True


def make_app(engine: Engine) -> Application:
    """The application over one engine."""
    app = Application()
    _add_errors(app)
    _add_reads(app, engine)
    _add_ends(app, engine)
    add_comparisons(app, engine)
    add_dialling(app, engine)
    add_journals(app, engine)
    add_store(app, engine)
    add_verbs(app, engine)
    return app


def _add_errors(app: Application) -> None:
    @app.exception_handler(VertuiError)
    async def refused_(_: Request, error: VertuiError) -> Response:
        answer = refusal(error)
        foreseen = answer.status_code < 500
        logger.log(logging.INFO if foreseen else logging.WARNING, "%s: %s", error.kind, error)
        return answer

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        message = f"the daemon failed at this ({type(error).__name__}): `vertui daemon logs` tells where"
        return refusal(VertuiError(message))

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return refusal(UsageError(f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        kind = "NotFound" if error.status_code == 404 else "UsageError"
        asked = f"{request.method} {request.url.path[:200]}"
        message = f"{'the daemon has no ' if error.status_code in (404, 405) else ''}{asked}: {error.detail}"
        return refused(kind, message, error.status_code, error.headers)


def _add_reads(app: Application, engine: Engine) -> None:
    @app.get("/v1/alive")
    async def alive() -> Alive:
        return Alive()

    @app.get("/v1/status")
    async def status() -> DaemonStatus:
        return await asyncio.to_thread(doctor.status, engine)

    @app.get("/v1/tree")
    async def tree() -> Tree:
        return await inspect.tree(engine)

    @app.get("/v1/log")
    async def log(limit: int = 50) -> list[Operation]:
        return [row.shown() for row in engine.catalog.operations(min(max(limit, 1), MOST_OPERATIONS))]

    # As a path, so that a name with a slash, or none, is one that the engine does not know.
    @app.get("/v1/branches/{branch:path}/commands")
    async def commands(branch: str) -> list[Command]:
        return await (await engine.agent(branch)).ps()

    @app.get("/v1/branches/{branch:path}/processes")
    async def processes(branch: str) -> list[Process]:
        return await (await engine.agent(branch)).processes()

    @app.get("/v1/branches/{branch:path}/ports")
    async def ports(branch: str) -> list[GuestPort]:
        return await publish.ports_of(engine, branch)

    @app.get("/v1/branches/{branch:path}/console")
    async def console(branch: str) -> Octets:
        return Octets(engine.machine(branch).console.text)

    @app.get("/v1/room")
    async def room(ref: str) -> MemoryRoom:
        return await memory.room(engine, ref)

    @app.get("/v1/turned")
    async def turned(operation: int) -> list[str]:
        return told_change.lines_of(engine, operation)

    @app.get("/v1/then")
    async def then(stride: Stride, held: int, exact: bool = False) -> Then:
        return await past.step(engine, stride, held, exact=exact)

    @app.get("/v1/then/{operation}")
    async def then_at(operation: int, held: int, exact: bool = False) -> Then:
        return await past.at(engine, operation, held, exact=exact)

    @app.get("/v1/trash")
    async def trash_entries() -> list[TrashEntry]:
        return trash.entries(engine)

    @app.get("/v1/secrets")
    async def secret_names() -> list[Secret]:
        return secrets.names(engine)

    @app.get("/v1/tokens")
    async def token_names() -> list[Token]:
        return tokens.tokens(engine)

    @app.get("/v1/doctor")
    async def findings() -> list[Finding]:
        return await doctor.findings(engine)

    @app.get("/v1/events")
    async def events(*, figures: bool = True) -> EventLines:
        queue = engine.events.subscribe(Interest.FIGURES if figures else Interest.CHANGES)

        async def lines() -> AsyncIterator[bytes]:
            try:
                yield b"\n"
                while (event := await queue.get()) is not None:
                    yield json.dumps(encode(event)).encode() + b"\n"
            finally:
                engine.events.unsubscribe(queue)

        return EventLines(lines())


def _add_ends(app: Application, engine: Engine) -> None:
    @app.post("/v1/cancel-build")
    async def cancel_build(_: body.Nothing) -> None:
        await images.cancel_build(engine)

    @app.post("/v1/suspend-all")
    async def suspend_all(request: body.StopAll, request_id: str = RequestId) -> None:
        run = lambda: capture.suspend_all(engine, request_id, now=request.now)  # noqa: E731
        await once(engine, request_id, "suspend-all", run)

    @app.post("/v1/execute")
    async def execute(request: body.Execute, request_id: str = RequestId) -> Operation:
        run = lambda: plans.execute(engine, request_id, request.plan)  # noqa: E731
        operation: Operation = await once(engine, request_id, "execute", run)
        return operation
