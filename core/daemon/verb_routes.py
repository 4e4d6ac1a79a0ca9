"""A route for every verb: its fields in, its answer out."""

from typing import Any

import msgspec
from fastapi import FastAPI, Request

from core.daemon.request_id import RequestId
from core.engine.context import Engine
from core.engine.operations import once
from core.engine.shown import EngineShown
from core.errors import Conflict, UsageError
from core.verbs import all_verbs
from core.verbs.base import Verb, name_of


def add_verbs(app: FastAPI, engine: Engine) -> None:
    """Add them to the application."""
    for verb in all_verbs():
        app.post(f"/v1/{name_of(verb)}", name=name_of(verb), openapi_extra=_schema(verb))(
            _route(engine, verb)
        )


def _route(engine: Engine, verb: type[Verb[Any]]) -> Any:
    async def run(request: Request, request_id: str = RequestId) -> Any:
        asked = read(verb, await request.body())

        async def carry_out() -> Any:
            if reason := asked.refuse(EngineShown(engine)):
                raise Conflict(reason)
            return await asked.carry_out(engine, request_id)

        return await once(engine, request_id, carry_out)

    return run


def read(verb: type[Verb[Any]], body: bytes) -> Verb[Any]:
    """A request; UsageError names the field that is wrong, and what it may be."""
    try:
        asked: Verb[Any] = msgspec.json.decode(body or b"{}", type=verb)
        return asked
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at ")
        raise UsageError(f"{where.strip('`$.') or name_of(verb)}: {text[:1].lower()}{text[1:]}") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"{name_of(verb)}: the request is no JSON: {error}") from error


def _schema(verb: type[Verb[Any]]) -> dict[str, Any]:
    (schema,), parts = msgspec.json.schema_components([verb], ref_template="#/components/schemas/{name}")
    body = parts.get(verb.__name__, schema)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}
