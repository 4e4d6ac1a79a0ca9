"""What every route has in common: what its function returns is the answer, and the document of the API says so.

A function's return type makes the schema of its answer. An answer that is no JSON is a class of response with a media
type, which may name the type of each of its `lines`. What may be refused, by what status, is the same for all.
"""

import inspect
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute

from core.codec import encode
from core.errors import (
    Ambiguous,
    Conflict,
    DaemonUnavailable,
    Damaged,
    Forbidden,
    GuestFailed,
    Impostor,
    MachineFailed,
    NoRoom,
    NotFound,
    NotOnDisk,
    Unauthorized,
    Unsupported,
    UsageError,
    VertuiError,
)

REFERENCE = "#/components/{}/{}"
STATUSES: dict[type[VertuiError], int] = {
    UsageError: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Ambiguous: 409,
    Conflict: 409,
    NotOnDisk: 422,
    Damaged: 422,  # what was given, mostly
    VertuiError: 500,  # what nobody foresaw
    Unsupported: 501,
    MachineFailed: 502,
    GuestFailed: 502,
    DaemonUnavailable: 503,  # the holder, of the daemon
    Impostor: 503,
    NoRoom: 507,
}  # of each kind of refusal

BODY = "body"  # where a function's annotations have the type of what it reads itself
Schema = dict[str, Any]  # of OpenAPI, whose shape this is


class Route(APIRoute):
    """A route of one method. Its function returns a value, and may be `of_types`."""

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Any]], **given: Any) -> None:
        self.asks: type | None = endpoint.__annotations__.pop(BODY, None)
        self.answer = endpoint.__annotations__["return"]
        super().__init__(path, _answering(endpoint), **given | {"response_model": None})

    @property
    def types(self) -> Iterator[Any]:
        """Those of values that it takes and gives."""
        yield from (self.asks,) if self.asks else ()
        yield from getattr(self.answer, "lines", ()) if _is_response(self.answer) else (self.answer,)


def of_types(
    endpoint: Callable[..., Awaitable[Any]], asks: type, answer: Any
) -> Callable[..., Awaitable[Any]]:
    """A function that reads its body itself, with the types of that and of its answer."""
    endpoint.__annotations__ |= {BODY: asks, "return": answer}
    return endpoint


class Application(FastAPI):
    """The API, and its document."""

    def __init__(self) -> None:
        super().__init__(title="vertui", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
        self.router.route_class = Route

    def openapi(self) -> Schema:
        """What it says of itself."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        routes = [route for route in self.routes if isinstance(route, Route)]
        types = list(dict.fromkeys(type_ for route in routes for type_ in route.types))
        schemas, shapes = msgspec.json.schema_components(
            types, ref_template=REFERENCE.format("schemas", "{name}")
        )
        for route in routes:
            [method] = list(route.methods or ())
            operation = document["paths"][route.path_format][method.lower()]
            _describe(operation, route, dict(zip(types, schemas, strict=True)))
        taken = document.get("components", {}).get("schemas", {})
        asked = {name: shape for name, shape in taken.items() if "ValidationError" not in name}
        document["components"] = {"schemas": asked | shapes, "responses": REFUSALS}
        _simplify(document)
        return document


def refusal(error: VertuiError) -> Response:
    """The answer that a refusal is."""
    kind = next(cls for cls in type(error).__mro__ if cls in STATUSES)
    return refused(kind.__name__, str(error), STATUSES[kind])


def refused(kind: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The same of a kind, a message, which may name a path of any bytes, and a status."""
    answer = _json({"kind": kind, "message": message.encode(errors="backslashreplace").decode()}, status)
    answer.headers.update(headers or {})
    return answer


def _answering(endpoint: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Response]]:
    @wraps(endpoint)
    async def run(**given: Any) -> Response:
        value = await endpoint(**given)
        return value if isinstance(value, Response) else _json(encode(value))

    return run


def _json(value: object, status: int = 200) -> Response:
    """By Python's own module, as `core.codec` says."""
    return Response(json.dumps(value, allow_nan=False), status, media_type="application/json")


def _describe(operation: Schema, route: Route, schemas: dict[Any, Schema]) -> None:
    if route.asks:
        operation["requestBody"] = {"required": True, **_content(schemas[route.asks])}
    if _is_response(route.answer):
        lines = [{"contentSchema": schemas[type_]} for type_ in getattr(route.answer, "lines", ())]
        good = _content({"type": "string", **dict(*lines)}, route.answer.media_type)
    else:
        good = _content(schemas[route.answer])
    refusals = {status: {"$ref": REFERENCE.format("responses", status)} for status in REFUSALS}
    operation["responses"] = {"200": {"description": "done", **good}, **refusals}


def _simplify(part: Any) -> None:
    """Say of arrays that are all of one kind just that, and their length: few programs that read schemas know more."""
    if isinstance(part, dict):
        match part.get("prefixItems"):
            case [first, *others] if all(other == first for other in others):
                del part["prefixItems"]
                part["items"] = first
    for below in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _simplify(below)


def _content(schema: Schema, media_type: str = "application/json") -> Schema:
    return {"content": {media_type: {"schema": schema}}}


def _refused_by(status: int) -> Schema:
    kinds = [kind for kind in STATUSES if STATUSES[kind] == status]
    shape = {
        "type": "object",
        "properties": {"kind": {"enum": [kind.__name__ for kind in kinds]}, "message": {"type": "string"}},
        "required": ["kind", "message"],
    }
    return {"description": " ".join(kind.__doc__ or "" for kind in kinds), **_content(shape)}


def _is_response(answer: Any) -> bool:
    return inspect.isclass(answer) and issubclass(answer, Response)


REFUSALS = {str(status): _refused_by(status) for status in sorted(set(STATUSES.values()))}
