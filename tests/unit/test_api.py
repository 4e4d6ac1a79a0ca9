"""Whatever is asked of the API, a refusal is one line and of a kind."""

import json
from typing import cast

import pytest

from core.daemon.api import make_app
from core.engine.context import Engine
from core.errors import NotFound


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
    status, body = await ask("DELETE", "/v1/tree")
    assert (status, body["kind"]) == (405, "UsageError")
