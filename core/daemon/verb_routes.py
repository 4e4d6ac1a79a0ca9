"""A route for every verb: its fields in, its answer out; for one that is planned first, another for its plan."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request

from core.codec import decode
from core.daemon.request_id import RequestId
from core.daemon.routes import of_types
from core.daemon.shown import EngineShown
from core.engine.context import Engine
from core.engine.operations import once
from core.errors import UsageError
from core.model import Plan
from core.verbs import all_verbs
from core.verbs.base import Planned, Verb, answer_of, help_of, name_of, path_of
from core.verbs.bounds import wrong


def add_verbs(app: FastAPI, engine: Engine) -> None:
    """Add them to the application."""
    for verb in all_verbs():
        name, path, said = name_of(verb), path_of(verb), help_of(verb)
        app.post(path, summary=name, description=said)(_route(engine, verb))
        if issubclass(verb, Planned):
            plans = path.replace("/v1", "/v1/plan", 1)
            app.post(plans, summary=f"plan {name}", description=said)(_plan_route(engine, verb))


def _route(engine: Engine, verb: type[Verb[Any]]) -> Callable[..., Awaitable[Any]]:
    async def run(request: Request, request_id: str = RequestId) -> Any:
        asked = read(verb, await request.body())

        async def carry_out() -> Any:
            _check(engine, asked)
            return await asked.carry_out(engine, request_id)

        return await once(engine, request_id, name_of(verb), carry_out)

    return of_types(run, verb, answer_of(verb))


def _plan_route(engine: Engine, verb: type[Planned[Any]]) -> Callable[..., Awaitable[Any]]:
    async def run(request: Request) -> Plan:
        asked = read(verb, await request.body())
        _check(engine, asked)
        return await asked.plan(engine)

    return of_types(run, verb, Plan)


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
