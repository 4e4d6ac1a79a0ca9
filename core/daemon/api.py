"""The API: HTTP on a Unix socket. Every answer is a value of `core.model`; every refusal {"kind", "message"}."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

import core.daemon.requests as body
from core.codec import encode
from core.daemon.comparisons import add_comparisons
from core.daemon.request_id import RequestId
from core.daemon.store_routes import add_store
from core.daemon.verb_routes import add_verbs
from core.engine import capture, doctor, images, inspect, plans, trash
from core.engine.context import Engine
from core.engine.operations import once
from core.errors import VertuiError
from core.model import (
    Command,
    DaemonStatus,
    Finding,
    Operation,
    Process,
    TrashEntry,
    Tree,
)

logger = logging.getLogger(__name__)

HTTP_STATUS = {"UsageError": 400, "NotFound": 404, "Ambiguous": 409, "Conflict": 409}


def make_app(engine: Engine) -> FastAPI:
    """The application over one engine."""
    app = FastAPI(title="vertui", version="1", docs_url=None, redoc_url=None)
    _add_errors(app)
    _add_reads(app, engine)
    _add_ends(app, engine)
    add_comparisons(app, engine)
    add_store(app, engine)
    add_verbs(app, engine)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(VertuiError)
    async def refused(_: Request, error: VertuiError) -> Response:
        status = HTTP_STATUS.get(error.kind, 500)
        logger.log(logging.INFO if status < 500 else logging.WARNING, "%s: %s", error.kind, error)
        message = str(error).encode(errors="backslashreplace").decode()  # it may name a path of any bytes
        return JSONResponse({"kind": error.kind, "message": message}, status)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        message = f"the daemon failed at this ({type(error).__name__}): `vertui daemon logs` tells where"
        return JSONResponse({"kind": "VertuiError", "message": message}, 500)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        message = f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}"
        return JSONResponse({"kind": "UsageError", "message": message}, 400)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        kind = "NotFound" if error.status_code == 404 else "UsageError"
        message = f"the daemon has no {request.method} {request.url.path[:200]}: {error.detail}"
        return JSONResponse({"kind": kind, "message": message}, error.status_code)


def _add_reads(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/alive")
    async def alive() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/v1/status")
    async def status() -> DaemonStatus:
        return await asyncio.to_thread(doctor.status, engine)

    @app.get("/v1/tree")
    async def tree() -> Tree:
        return await inspect.tree(engine)

    @app.get("/v1/log")
    async def log(limit: int = 50) -> list[Operation]:
        return [row.shown() for row in engine.catalog.operations(min(max(limit, 1), 10_000))]

    # As a path, so that a name with a slash, or none, is one that the engine does not know.
    @app.get("/v1/branches/{branch:path}/commands")
    async def commands(branch: str) -> list[Command]:
        return await (await engine.agent(branch)).ps()

    @app.get("/v1/branches/{branch:path}/processes")
    async def processes(branch: str) -> list[Process]:
        return await (await engine.agent(branch)).processes()

    @app.get("/v1/branches/{branch:path}/console")
    async def console(branch: str) -> Response:
        return Response(engine.machine(branch).console.text, media_type="application/octet-stream")

    @app.get("/v1/trash")
    async def trash_entries() -> list[TrashEntry]:
        return trash.entries(engine)

    @app.get("/v1/doctor")
    async def findings() -> list[Finding]:
        return await doctor.findings(engine)

    @app.get("/v1/events")
    async def events() -> StreamingResponse:
        queue = engine.subscribe()

        async def lines() -> AsyncIterator[bytes]:
            try:
                yield b"\n"
                while (event := await queue.get()) is not None:
                    yield json.dumps(encode(event)).encode() + b"\n"
            finally:
                engine.unsubscribe(queue)

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def _add_ends(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/cancel-build")
    async def cancel_build(_: body.Nothing) -> None:
        await images.cancel_build(engine)

    @app.post("/v1/suspend-all")
    async def suspend_all(request: body.StopAll, request_id: str = RequestId) -> None:
        await once(engine, request_id, lambda: capture.suspend_all(engine, request_id, now=request.now))

    @app.post("/v1/execute", response_model=Operation)
    async def execute(request: body.Execute, request_id: str = RequestId) -> Any:
        return await once(engine, request_id, lambda: plans.execute(engine, request_id, request.plan))
