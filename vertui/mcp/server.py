"""The protocol, by the package `mcp`: over standard streams, or HTTP at this machine with a token."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from typing import Any

import mcp.types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from uvicorn import Config
from uvicorn import Server as HttpServing

from core import VERSION
from core.errors import NotFound, VertuiError
from vertui.mcp import resources
from vertui.mcp.toolbox import Toolbox
from vertui.mcp.verb_tools import AgentTool
from vertui.sdk import AsyncVertui

PATH = "/mcp"
JSON = "application/json"
Context = ServerRequestContext[Any, Any]
INSTRUCTIONS = (
    "Branches are running virtual machines. Work in one with exec, read_file and write_file; fork it to try several"
    " things at once, each in a machine of its own; compare with diff, score, then promote the best and prune the"
    " others. promote and prune answer with a plan and a token: confirm carries it out. commit keeps a state, restore"
    " goes back."
)


def server_of(v: AsyncVertui) -> Server[Any]:
    """A server over one home."""
    toolbox = Toolbox(v)

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_offered(tool) for tool in toolbox.tools.values()])

    async def call_tool(ctx: Context, asked: types.CallToolRequestParams) -> types.CallToolResult:
        if asked.name not in toolbox.tools:
            raise MCPError(code=types.INVALID_PARAMS, message=f"there is no tool '{asked.name[:40]}'")

        async def report(done: float, of: float | None, text: str) -> None:
            await ctx.session.report_progress(done, of, text)

        try:
            told = await toolbox.call(asked.name, dict(asked.arguments or {}), report)
        except VertuiError as error:
            return _result({"error": error.kind, "message": str(error)}, is_error=True)
        return _result(told)

    async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
        told = await resources.addresses(toolbox)
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    uri=uri,
                    name=uri.removeprefix("vertui://"),
                    description=what,
                    mime_type=JSON,
                )
                for uri, what in told
            ]
        )

    async def list_templates(_: Any, __: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    uri_template=f"vertui://branches/{{name}}/{part}",
                    name=f"branch {part}",
                    description=f"Of a branch: {what}",
                    mime_type=JSON,
                )
                for part, what in resources.OF_BRANCH.items()
            ]
        )

    async def read_resource(_: Any, asked: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        try:
            text = await resources.read(toolbox, str(asked.uri))
        except VertuiError as error:
            code = types.INVALID_PARAMS if isinstance(error, NotFound) else types.INTERNAL_ERROR
            raise MCPError(code=code, message=str(error)) from error
        content = types.TextResourceContents(uri=str(asked.uri), mime_type=JSON, text=text)
        return types.ReadResourceResult(contents=[content])

    return Server(
        "vertui",
        version=VERSION,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def _offered(tool: AgentTool) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=tool.reads, destructive_hint=tool.destroys, open_world_hint=False
    )
    return types.Tool(
        name=tool.name, description=tool.description, input_schema=tool.schema, annotations=hints
    )


def _result(told: dict[str, object], *, is_error: bool = False) -> types.CallToolResult:
    text = types.TextContent(type="text", text=json.dumps(told))
    return types.CallToolResult(content=[text], structured_content=told, is_error=is_error)


async def serve_stdio(v: AsyncVertui) -> None:
    """Over standard input and output, until the input ends."""
    server = server_of(v)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def serve_http(v: AsyncVertui, listener: socket.socket, token: str) -> None:
    """At a listener of this machine, for bearers of the token, until a signal."""
    app = http_app(v, listener.getsockname()[0], token)
    config = Config(
        app, log_config=None, log_level="error", access_log=False, server_header=False, lifespan="on"
    )
    asyncio.run(HttpServing(config).serve([listener]))


def http_app(v: AsyncVertui, address: str, token: str) -> BearerGate:
    """What answers at an address of this machine. Who calls it by a name that is none of this machine's is turned away,
    as a page of somebody else's would that a browser here shows.
    """
    own = f"[{address}]" if ":" in address else address
    names = sorted({"127.0.0.1", "localhost", "[::1]", own})
    security = TransportSecuritySettings(
        allowed_hosts=[f"{name}:*" for name in names], allowed_origins=[f"http://{name}:*" for name in names]
    )
    app = server_of(v).streamable_http_app(streamable_http_path=PATH, transport_security=security)
    return BearerGate(app, token)


class BearerGate:
    """Lets in who shows the token, and turns all others away before anything of theirs is read."""

    def __init__(self, app: Any, token: str) -> None:
        self._app, self._wanted = app, b"Bearer " + token.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the beginning and end of the server."""
        shown = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(shown, self._wanted):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        head = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": head})
        told = {
            "error": "Unauthorized",
            "message": "show the token that `vertui mcp --http` printed, as a bearer",
        }
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})
