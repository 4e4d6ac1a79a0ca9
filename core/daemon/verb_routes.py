"""A route for every verb: its fields in, its answer out; for one that is planned first, another for its plan."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from core.codec import decode, encode
from core.daemon.request_id import RequestId
from core.daemon.shown import EngineShown
from core.engine.context import Engine
from core.engine.operations import once
from core.errors import UsageError
from core.model import Plan
from core.verbs import all_verbs
from core.verbs.base import Planned, Verb, answer_of, help_of, name_of, path_of
from core.verbs.bounds import wrong

SCHEMAS = "#/components/schemas/{name}"


def add_verbs(app: FastAPI, engine: Engine) -> None:
    """Add them to the application, and to what it says of itself."""
    verbs = tuple(all_verbs())
    for verb in verbs:
        name, path = name_of(verb), path_of(verb)
        app.post(path, summary=name, openapi_extra=_schema(verb, answer_of(verb)))(_route(engine, verb))
        if issubclass(verb, Planned):
            plans = path.replace("/v1", "/v1/plan", 1)
            app.post(plans, summary=f"plan {name}", openapi_extra=_schema(verb, Plan))(
                _plan_route(engine, verb)
            )
    _describe(app, verbs)


def _route(engine: Engine, verb: type[Verb[Any]]) -> Callable[..., Awaitable[JSONResponse]]:
    async def run(request: Request, request_id: str = RequestId) -> JSONResponse:
        asked = read(verb, await request.body())

        async def carry_out() -> Any:
            _check(engine, asked)
            return await asked.carry_out(engine, request_id)

        return JSONResponse(await once(engine, request_id, carry_out))

    return run


def _plan_route(engine: Engine, verb: type[Planned[Any]]) -> Callable[..., Awaitable[JSONResponse]]:
    async def run(request: Request) -> JSONResponse:
        asked = read(verb, await request.body())
        _check(engine, asked)
        return JSONResponse(encode(await asked.plan(engine)))

    return run


def _check(engine: Engine, asked: Verb[Any]) -> None:
    """The verb's own rule: what the command line prints and the UI dims by."""
    if refusal := asked.refuse(EngineShown(engine)):
        raise refusal.error()


V = TypeVar("V", bound=Verb[Any])


def read(verb: type[V], body: bytes) -> V:
    """A request; UsageError names the field that is wrong, and what it may be."""
    try:
        told = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name_of(verb)}: the request is no JSON: {error}") from error
    try:
        return decode(verb, told)
    except ValueError as error:
        raise UsageError(wrong(verb, told) or f"{name_of(verb)}: {error}") from error


def _schema(verb: type[Verb[Any]], answer: Any) -> dict[str, Any]:
    (asked, answered), _ = msgspec.json.schema_components([verb, answer], ref_template=SCHEMAS)
    body = {"required": True, "content": {"application/json": {"schema": asked}}}
    good = {"description": "done", "content": {"application/json": {"schema": answered}}}
    return {"description": help_of(verb), "requestBody": body, "responses": {"200": good}}


def _describe(app: FastAPI, verbs: tuple[type[Verb[Any]], ...]) -> None:
    """Let the document of the API hold the shapes of what verbs take and answer."""
    written = app.openapi
    types = [*verbs, *(answer_of(verb) for verb in verbs), Plan]
    _, shapes = msgspec.json.schema_components(types, ref_template=SCHEMAS)

    def openapi() -> dict[str, Any]:
        document = written()
        document.setdefault("components", {}).setdefault("schemas", {}).update(shapes)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
