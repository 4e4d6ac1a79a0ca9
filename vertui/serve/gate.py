"""Who is let in to the page. Nobody else gets anything, not a script and not a picture.

The URL has the token, once: whoever brings it gets a cookie, and is led on to an address without it. No page of another
site gets in: a name that it had lead here (DNS rebinding) is refused, and so is what it asks for, as that has another
Origin; and no browser sends the cookie along with what another site asks for.
"""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from core.daemon.peers import PEER
from core.ports import names_this_machine
from core.tokens import RANDOM_BYTES

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TOKEN = "token"
REFUSED = 1008  # of websockets: policy
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (name.encode(), value.encode())
    for name, value in {
        "content-security-policy": POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }.items()
]
ENTRANCE = (
    '<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/"><title>vertui</title>'
)
"""Leads on by itself: a cookie of this strictness would not be sent where another page led straight here."""
LET_IN = "this page is for who has its address: open the one that `vertui serve` printed"
OWN_NAME = "this page is known by its address alone: open it as http://127.0.0.1:PORT"
ELSEWHERE = "another page asked for this, and may not"


class PageGate:
    """An ASGI application around another."""

    def __init__(self, app: Any, token: str, name: str) -> None:
        self._app, self._token = app, token
        self._name, self._secret = name, secrets.token_urlsafe(RANDOM_BYTES)

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Let one request in, or say why not."""
        asked = HTTPConnection(scope)
        known = _same(asked.cookies.get(self._name, ""), self._secret)
        shown = scope["path"] == "/" and _same(asked.query_params.get(TOKEN, ""), self._token)
        send = _guarded(send)
        if reason := _odd(asked):
            await _refuse(reason, scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "GET" and shown:
            await self._entrance()(scope, receive, send)
        elif known:
            scope["state"][PEER].stranger = False
            await self._app(scope, receive, send)
        else:
            await _refuse(LET_IN, scope, receive, send)

    def _entrance(self) -> Response:
        answer = HTMLResponse(ENTRANCE)
        answer.set_cookie(self._name, self._secret, httponly=True, samesite="strict")
        return answer


def _odd(asked: HTTPConnection) -> str:
    """Why whoever asks is none of ours, whatever is shown; empty for nothing."""
    host, origin = asked.headers.get("host", ""), asked.headers.get("origin")
    if not names_this_machine(host):
        return OWN_NAME
    ours = (f"http://{host}".lower(), f"https://{host}".lower())
    if origin is None:  # every browser says it of a websocket
        return ELSEWHERE if asked.scope["type"] == "websocket" else ""
    return "" if origin.lower() in ours else ELSEWHERE


def _same(given: str, kept: str) -> bool:
    """In a time that tells nothing."""
    return secrets.compare_digest(given.encode(errors="replace"), kept.encode())


async def _refuse(reason: str, scope: Scope, receive: Any, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": REFUSED, "reason": reason})
    else:
        await PlainTextResponse(f"{reason}\n", 403, {"Connection": "close"})(scope, receive, send)


def _guarded(send: Send) -> Send:
    """With what a browser is told about every answer."""

    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *HEADERS]
        await send(message)

    return sent
