"""Tools for agents: made of the verbs' values, nineteen, and the same over standard streams and HTTP, to the package's
own client. What destroys waits for a word, how far a call is, is told, and one that is cancelled ends its command.
"""

import asyncio
import json
import os
import re
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from core.daemon.endpoint import TOKEN, URL
from core.errors import UsageError
from core.guest.client import AgentClient
from core.verbs import load
from core.verbs.base import Kind, fields_of, help_of
from tests.twins.served import open_port
from tests.unit.reached import reached, until
from vertui.cli import main
from vertui.mcp.server import server_of
from vertui.mcp.toolbox import Toolbox, shown
from vertui.mcp.verb_tools import CARRIED_OUT, PLANNED
from vertui.sdk import AsyncVertui

ROOT = Path(__file__).parents[2]
COUNT = 19


def test_tools_are_made_of_the_verbs() -> None:
    tools = Toolbox(AsyncVertui(None)).tools  # type: ignore[arg-type]
    assert len(tools) == COUNT
    for name in CARRIED_OUT + PLANNED:
        verb, tool = load(name), tools[name.replace(" ", "_")]
        fields = {field.name: field for field in fields_of(verb)}
        assert tool.description.startswith(help_of(verb)) and set(tool.properties) <= set(fields)
        assert tool.required == tuple(field.name for field in fields.values() if field.is_needed)
        assert not any(fields[field].given.kind is Kind.BROUGHT for field in tool.properties)
    offered = {field for tool in tools.values() for field in tool.properties}
    assert not offered & {"egress", "publish", "trust", "bind", "secrets", "yes"}
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.schema)
        assert all(told["description"] for told in tool.properties.values())


def test_no_other_json_takes_halves_of_surrogate_pairs() -> None:
    assert shown({"a\udc80": ["\ud800", 1, None]}) == {"a\\udc80": ["\\ud800", 1, None]}


@asynccontextmanager
async def over_stdio(v: AsyncVertui) -> AsyncIterator[Client]:
    [at] = await asyncio.to_thread(open_port, v.blocking.client, "agent")
    environment = {**os.environ, URL: at.url, TOKEN: at.token, "VERTUI_AUTHOR": "planner"}
    started = StdioServerParameters(
        command=sys.executable, args=["-m", "vertui", "mcp"], env=environment, cwd=str(ROOT)
    )
    async with Client(started) as client:
        yield client


@asynccontextmanager
async def over_http(v: AsyncVertui) -> AsyncIterator[Client]:
    import httpx2

    [at] = await asyncio.to_thread(open_port, v.blocking.client, "agent")
    environment = {**os.environ, URL: at.url, TOKEN: at.token, "VERTUI_AUTHOR": "planner"}
    argv = [sys.executable, "-m", "vertui", "mcp", "--http", "127.0.0.2:0", "--json"]
    process = await asyncio.create_subprocess_exec(
        *argv, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        served = json.loads(await process.stdout.readuntil(b"}\n"))
        async with AsyncExitStack() as stack:
            strangers = await stack.enter_async_context(httpx2.AsyncClient())
            for headers in ({}, {"Authorization": "Bearer another"}):
                answer = await strangers.post(served["url"], json={}, headers=headers)
                assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")
            known = httpx2.AsyncClient(headers={"Authorization": f"Bearer {served['token']}"})
            http_client = await stack.enter_async_context(known)
            transport = streamable_http_client(served["url"], http_client=http_client)
            yield await stack.enter_async_context(Client(transport))
    finally:
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--json"], "standard output is the agent's: --json goes with --http"),
        (["--http", "x"], "'x' is no place to listen"),
        (
            ["--http", "0.0.0.0:0"],
            "0.0.0.0 is reached from elsewhere: listen at 127.0.0.1 and come by `ssh -L`",
        ),
    ],
)
def test_what_cannot_be_served_is_said_before_a_daemon_starts(
    argv: list[str],
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "none"))
    assert main(["mcp", *argv]) == UsageError.exit_status
    assert error in capsys.readouterr().err and not (tmp_path / "none").exists()


async def told(client: Client, tool: str, **given: Any) -> Any:
    """What a tool answers; AssertionError with why it refused."""
    answer = await client.call_tool(tool, given)
    assert not answer.is_error, answer.content
    assert json.loads(answer.content[0].text) == answer.structured_content  # type: ignore[union-attr]
    return answer.structured_content


async def refused(client: Client, tool: str, **given: Any) -> str:
    answer = await client.call_tool(tool, given)
    assert answer.is_error and answer.structured_content
    return f"{answer.structured_content['error']}: {answer.structured_content['message']}"


@pytest.mark.parametrize("transport", [over_stdio, over_http], ids=["stdio", "http"])
async def test_an_agent_works_by_them(transport: Any) -> None:
    async with reached() as (_, v), transport(v) as client:
        assert len((await client.list_tools()).tools) == COUNT
        forked = await told(client, "fork", ref="main", n=2)
        assert [child["name"] for child in forked["children"]] == ["b1", "b2"]
        assert (await told(client, "score", branch="b1", score=2.5))["score"] == 2.5
        assert (await told(client, "journal_append", branch="b1", body="tried"))["author"] == "planner"
        assert (await told(client, "journal", branch="b1", count=1))["entries"][0]["body"] == "tried"
        assert (await told(client, "diff", branch="b1"))["changes"] == []

        plan = await told(client, "prune", targets=["b2"])
        assert any("b2" in line for line in plan["plan"]) and len((await v.tree()).branches) == 3
        await told(client, "confirm", token=plan["token"])
        assert await refused(client, "confirm", token=plan["token"]) == (
            "NotFound: no plan waits for this token: ask for the plan again"
        )
        await told(client, "confirm", token=(await told(client, "promote", branch="b1"))["token"])
        summary = await told(client, "tree")
        assert summary["trunk"] == "b1" and [one["name"] for one in summary["branches"]] == ["main", "b1"]

        assert (await refused(client, "fork", ref="nobody")).startswith("NotFound: ")
        assert await refused(client, "fork", ref="main", egress=["open"]) == (
            "UsageError: fork takes no 'egress': give ref, n, prefix, command, variants, timeout_s, score"
        )
        assert (await refused(client, "fork", ref="main", n=0)).startswith(
            "UsageError: fork: n: give a whole number"
        )
        assert (await refused(client, "exec", branch="b1")).startswith("UsageError: exec needs 'command'")
        assert "there are no programs" in await refused(client, "exec", branch="b1", command="true")
        with pytest.raises(MCPError, match="there is no tool 'destroy'"):
            await client.call_tool("destroy", {})

        assert "vertui://branches/b1/diff" in [one.uri for one in (await client.list_resources()).resources]
        assert len((await client.list_resource_templates()).resource_templates) == 2
        read = await client.read_resource("vertui://branches/b1/journal")
        assert "tried" in read.contents[0].text
        with pytest.raises(MCPError, match="nothing is at 'vertui://x'"):
            await client.read_resource("vertui://x")


async def test_commands_and_files_of_a_guest(client: AgentClient, tmp_path: Path) -> None:
    async with reached(client) as (_, v), Client(server_of(v)) as agent:
        reports: list[tuple[float, float | None, str | None]] = []

        async def report(progress: float, total: float | None, message: str | None) -> None:
            reports.append((progress, total, message))

        line = "echo one; sleep 0.7; printf 'two\\n\\033[31mthree\\n'; head -c 50000 /dev/zero; exit 4"
        asked = {"branch": "main", "command": line, "output_bytes": 10}
        answer = await agent.call_tool("exec", asked, progress_callback=report)
        ran = answer.structured_content
        assert ran and (ran["exit"], ran["stdout"], ran["truncated"]) == (4, "\0" * 10, True)
        assert reports and "\x1b" not in str(reports)
        where = str(tmp_path / "made" / "file")
        await told(agent, "write_file", branch="main", path=where, text="text")
        assert (await told(agent, "read_file", branch="main", path=where, first_byte=2))["text"] == "xt"
        await told(agent, "write_file", branch="main", path=where, base64="/w==")
        assert (await told(agent, "read_file", branch="main", path=where))["base64"] == "/w=="
        assert "give what it is to hold" in await refused(agent, "write_file", branch="main", path=where)
        assert "No such file" in await refused(agent, "read_file", branch="main", path="/no/where")
        assert "argument is not what it may be" in await refused(
            agent, "read_file", branch="main", path=["x"]
        )


async def test_a_call_that_is_cancelled_ends_its_command(client: AgentClient) -> None:
    async with reached(client) as (_, v), Client(server_of(v)) as agent:
        base = await v.branch("main")

        async def runs(count: int) -> bool:
            return [command.exit_code for command in await base.ps()].count(None) == count

        call = asyncio.create_task(agent.call_tool("exec", {"branch": "main", "command": "sleep 300"}))
        await until(lambda: runs(1))
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until(lambda: runs(0))


def test_the_recipe_starts_what_there_is() -> None:
    text = (ROOT / "assets" / "mcp.md").read_text()
    blocks = re.findall(r"```(json|toml)\n(.*?)```", text, re.DOTALL)
    known = {"json": json.loads, "toml": tomllib.loads}
    started = [word for kind, block in blocks for word in commands_in(known[kind](block))]
    assert started and set(started) == {("vertui", "mcp")}
    assert f"{COUNT} tools" in text
    assert all(f"`{name}`" in text for name in Toolbox(AsyncVertui(None)).tools)  # type: ignore[arg-type]


def commands_in(told: Any) -> list[tuple[str, ...]]:
    """What configurations of agents start."""
    if isinstance(told, list):
        return [found for one in told for found in commands_in(one)]
    if not isinstance(told, dict):
        return []
    if "command" in told:
        command = told["command"]
        return [tuple(command)] if isinstance(command, list) else [(command, *told["args"])]
    return [found for one in told.values() for found in commands_in(one)]
