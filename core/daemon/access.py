"""Each request as one line of the log, and its id on every record that comes of it."""

import logging
import time
from typing import Any

from core.log import REQUEST
from core.model import new_key

HEADER = b"request-id"
ASKED_ALL_THE_TIME = "/v1/alive"
BEARER = "bearer"  # in a request's state, the name of the token that let it in
LONGEST = 200  # characters of a path that are logged
SWITCHING = 101  # the status of a request that became a stream

logger = logging.getLogger(__name__)


class Access:
    """An ASGI application around another: method, path, status and duration of what it answers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request. One without an id is given one, which is then its id everywhere."""
        began, status = time.monotonic(), 0
        _name(scope)

        async def sent(message: Any) -> None:
            nonlocal status
            kind = message["type"]
            status = SWITCHING if kind == "websocket.accept" else message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            level = logging.DEBUG if scope["path"] == ASKED_ALL_THE_TIME else logging.INFO
            took_ms = (time.monotonic() - began) * 1000
            method, path = scope.get("method", "WS"), scope["path"][:LONGEST]
            by = f" by {bearer}" if (bearer := scope.get("state", {}).get(BEARER)) else ""
            logger.log(level, "%s %s %d in %.1f ms%s", method, path, status, took_ms, by)


def _name(scope: Any) -> None:
    request = dict(scope["headers"]).get(HEADER, b"").decode("latin-1")
    if not request:
        request = new_key()
        scope["headers"] = [*scope["headers"], (HEADER, request.encode())]
    REQUEST.set(request)
