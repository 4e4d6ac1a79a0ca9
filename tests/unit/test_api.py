"""Whatever is asked of the API, a refusal is one line and of a kind; its document says so of every route."""

import json
import re
from inspect import isclass
from pathlib import Path
from typing import Any, cast

import pytest

from core import errors
from core.daemon import client
from core.daemon.api import make_app
from core.daemon.routes import refusal
from core.engine.context import Engine
from core.errors import DaemonStopped, DaemonUnavailable, NotFound, VertuiError


class Empty:
    """An engine without branches."""

    async def agent(self, branch: str) -> None:
        raise NotFound(f"there is no branch '{branch}'")

    def machine(self, branch: str) -> None:
        raise NotFound(f"there is no branch '{branch}'")


async def ask(method: str, path: str) -> tuple[int, dict[str, str]]:
    """Status and body of an answer, as the server would pass them on."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [], "http_version": "1.1", "scheme": "http", "server": ("vertui", 80)}  # fmt: skip
    await make_app(cast(Engine, Empty()))(scope, receive, send)  # type: ignore[arg-type]
    return cast(int, sent[0]["status"]), json.loads(cast(bytes, sent[1]["body"]))


@pytest.mark.parametrize("what", ["commands", "processes", "console"])
@pytest.mark.parametrize("branch", ["", "a/b", "/", "main"])
async def test_a_branch_of_any_name_is_not_found_by_that_name(what: str, branch: str) -> None:
    status, body = await ask("GET", f"/v1/branches/{branch}/{what}")
    assert (status, body) == (404, {"kind": "NotFound", "message": f"there is no branch '{branch}'"})


async def test_what_there_is_not_is_refused_in_our_own_form() -> None:
    status, body = await ask("GET", "/v1/nothing")
    assert (status, body["kind"]) == (404, "NotFound") and "/v1/nothing" in body["message"]
    status, body = await ask("GET", "/v1/tree/")
    assert (status, body["kind"]) == (404, "NotFound")
    status, body = await ask("DELETE", "/v1/tree")
    assert (status, body["kind"]) == (405, "UsageError")


def document() -> dict[str, Any]:
    return make_app(cast(Engine, Empty())).openapi()


def test_the_document_says_what_every_route_answers_and_refuses() -> None:
    told = document()
    references = set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(told)))
    assert {(room, name) for room, shapes in told["components"].items() for name in shapes} == references
    for path, methods in told["paths"].items():
        for said in methods.values():
            good, *refusals = said["responses"]
            assert good == "200" and {"400", "404", "409", "500", "502"} < set(refusals), path
            assert all(part["schema"] for part in said["responses"][good]["content"].values()), path


def test_arrays_of_one_kind_are_told_in_words_that_every_reader_knows() -> None:
    told = document()
    assert "prefixItems" not in json.dumps(told)  # which schemathesis, for one, takes for something else
    pairs = told["components"]["schemas"]["Linked"]["properties"]["pairs"]["items"]
    assert pairs == {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "string"}}


def test_every_kind_of_refusal_has_a_status() -> None:
    shapes = document()["components"]["responses"].values()
    told = [shape["content"]["application/json"]["schema"]["properties"]["kind"]["enum"] for shape in shapes]
    kinds = {name for name, kind in vars(errors).items() if isclass(kind) and issubclass(kind, VertuiError)}
    assert {kind for some in told for kind in some} == kinds - {"DaemonStopped"}  # that goes as its base
    assert refusal(DaemonStopped("")).status_code == refusal(DaemonUnavailable("")).status_code == 503


def test_the_client_asks_for_what_there_is() -> None:
    paths = [*document()["paths"], "/v1/stop", "/v1/listen/off"]
    source = Path(client.__file__).read_text()
    asked = set(re.findall(r'"(/v1/[\w/-]+)', source))
    assert len(asked) > 15
    for path in asked:
        assert any(known == path or known.startswith(f"{path.rstrip('/')}/") for known in paths), path
