"""`vertui mcp` to clients that are neither ours nor of the package that it is made with: the protocol's conformance
suite and its inspector, by npm. They are fetched, so only the full counts have them.
"""

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config, Server

from core.daemon.endpoint import TOKEN, URL
from tests.conftest import full
from tests.twins.served import open_port
from tests.unit.reached import reached
from tests.unit.test_mcp import COUNT, ROOT
from vertui.mcp.server import PATH, http_app
from vertui.sdk import AsyncVertui

pytestmark = pytest.mark.skipif(
    not full() or shutil.which("npx") is None,
    reason="clients by npm: they take npx and VERTUI_TEST_ALL=1",
)
# The newest that Node 20 runs.
SUITE, INSPECTOR = "@modelcontextprotocol/conformance@0.1.13", "@modelcontextprotocol/inspector-cli@0.15.0"
SECRET = "for the suite"
SCENARIOS = (  # of any server; the others call tools that servers have which are made to be tested
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
)
FETCHED_S = 300  # the first run fetches them


async def by_npm(*argv: str, cwd: Path) -> str:
    """What a program prints; AssertionError where it fails."""
    process = await asyncio.create_subprocess_exec(
        "npx",
        "--yes",
        *argv,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(FETCHED_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, (out + err).decode()[-4000:]
    return out.decode()


@asynccontextmanager
async def at_port(v: AsyncVertui) -> AsyncIterator[str]:
    """The server's URL. The suite shows no token, so one is put in where it calls by a name of this machine's."""
    gate = http_app(v, "127.0.0.1", SECRET)

    async def shown(scope: Any, receive: Any, send: Any) -> None:
        headers = [*scope.get("headers", ()), (b"authorization", f"Bearer {SECRET}".encode())]
        await gate({**scope, "headers": headers}, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(shown, log_config=None, lifespan="on"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
    finally:
        server.should_exit = True
        await serving


async def test_the_conformance_suite(tmp_path: Path) -> None:
    async with reached() as (_, v), at_port(v) as url:
        for scenario in SCENARIOS:
            await by_npm(SUITE, "server", "--url", url, "--scenario", scenario, cwd=tmp_path)


async def test_the_inspector(tmp_path: Path) -> None:
    async with reached() as (_, v):
        [at] = await asyncio.to_thread(open_port, v.blocking.client, "agent")
        started = tmp_path / "vertui"
        variables = f"{URL}='{at.url}' {TOKEN}='{at.token}' PYTHONPATH='{ROOT}'"
        started.write_text(f"#!/bin/sh\n{variables} exec '{sys.executable}' -m vertui \"$@\"\n")
        started.chmod(0o755)

        async def asked(*argv: str) -> Any:
            return json.loads(await by_npm(INSPECTOR, "--cli", str(started), "mcp", *argv, cwd=tmp_path))

        assert len((await asked("--method", "tools/list"))["tools"]) == COUNT
        forked = ("--tool-name", "fork", "--tool-arg", "ref=main", "--tool-arg", "n=2")
        told = await asked("--method", "tools/call", *forked)
        assert [child["name"] for child in told["structuredContent"]["children"]] == ["b1", "b2"]
        listed = await asked("--method", "resources/list")
        assert "vertui://branches/b1/diff" in [one["uri"] for one in listed["resources"]]
        read = await asked("--method", "resources/read", "--uri", "vertui://tree")
        assert json.loads(read["contents"][0]["text"])["trunk"] == "main"
