"""Each request is one line of the log, with the id that everything has that is logged because of it."""

import logging
from typing import Any

import pytest

from core.daemon.access import Access
from core.log import REQUEST

logger = logging.getLogger("core.test")


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the id that it finds in the headers."""
    logger.info("at work for %s", dict(scope["headers"])[b"request-id"].decode())
    if scope["path"] == "/v1/broken":
        raise ValueError("a bug")
    await send({"type": "http.response.start", "status": 409})
    await send({"type": "http.response.body", "body": b""})


async def ask(path: str, *headers: tuple[bytes, bytes]) -> str:
    """One request; its id."""

    async def send(_: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
    await Access(application)(scope, None, send)
    return REQUEST.get()


async def test_a_request_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "core")
    assert await ask("/v1/fork", (b"request-id", b"my-id")) == "my-id"
    at_work, answered = caplog.messages
    assert at_work == "at work for my-id"
    assert answered.startswith("POST /v1/fork 409 in ") and answered.endswith(" ms")


async def test_one_without_an_id_is_given_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "core")
    first, second = await ask("/v1/fork"), await ask("/v1/fork")
    assert first != second
    assert [line for line in caplog.messages if "at work" in line] == [
        f"at work for {first}", f"at work for {second}",
    ]  # fmt: skip


async def test_one_that_fails_is_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "core")
    with pytest.raises(ValueError, match="a bug"):
        await ask("/v1/broken")
    assert caplog.messages[-1].startswith("POST /v1/broken 0 in ")


async def test_what_is_asked_all_the_time_is_told_with_each_step_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "core.daemon")
    await ask("/v1/alive")
    assert not any("/v1/alive" in line for line in caplog.messages)
    caplog.set_level(logging.DEBUG, "core.daemon")
    await ask("/v1/alive")
    assert caplog.messages[-1].startswith("POST /v1/alive 409")
