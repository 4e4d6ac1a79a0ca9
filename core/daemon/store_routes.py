"""The API's routes for the store itself: its size and health, space, settings, and commits to and from other homes."""

from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect

import core.daemon.requests as body
from core.daemon.request_id import RequestId
from core.daemon.streamed import OctetStream, streamed
from core.engine import settings, transfer, upkeep
from core.engine.context import Engine
from core.engine.operations import once
from core.engine.tally import REQUEST
from core.errors import Conflict
from core.model import Imported, Setting
from core.space import StoreProblem, StoreSpace

TAKES_OCTETS = {"requestBody": {"required": True, "content": {OctetStream.media_type: {"schema": {}}}}}


def add_store(app: FastAPI, engine: Engine) -> None:
    """Add them to the application."""
    _add_reads(app, engine)
    _add_verbs(app, engine)


async def _received(request: Request) -> AsyncIterator[bytes]:
    """A request's body as it comes."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as error:
        raise Conflict("the file was broken off: nothing of it is left") from error


def _add_reads(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/store")
    async def space() -> StoreSpace:
        return await upkeep.du(engine)

    @app.get("/v1/store/check")
    async def check(read_data: float = 0.0, request_id: str = RequestId) -> list[StoreProblem]:
        REQUEST.set(request_id)
        return await upkeep.check(engine, read_data)

    @app.get("/v1/export")
    async def export(ref: str) -> OctetStream:
        return await streamed(transfer.export(engine, ref))

    @app.get("/v1/settings")
    async def all_settings() -> list[Setting]:
        return settings.settings(engine)


def _add_verbs(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/store/rebuild")
    async def rebuild(_: body.Nothing, request_id: str = RequestId) -> list[str]:
        found: list[str] = await once(
            engine, request_id, "rebuild", lambda: upkeep.rebuild(engine, request_id)
        )
        return found

    @app.post("/v1/import", openapi_extra=TAKES_OCTETS)
    async def import_(request: Request, trust: bool = False, request_id: str = RequestId) -> Imported:
        run = lambda: transfer.import_(engine, request_id, _received(request), trust=trust)  # noqa: E731
        imported: Imported = await once(engine, request_id, "import", run)
        return imported

    @app.post("/v1/settings")
    async def change(request: body.ChangeSetting) -> Setting:
        return settings.change(engine, request.key, request.value)
