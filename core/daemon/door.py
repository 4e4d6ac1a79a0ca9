"""The door of the API: whoever comes by the home's socket is its user; by the port, only the bearer of a token gets in.

A browser gets in never: what a page asks for has an Origin, and a name that somebody else's DNS leads here is none of
ours. No answer says that a page may read it (CORS).
"""

import logging
from typing import Any

from starlette.datastructures import Headers
from uvicorn import Config

from core.daemon.access import BEARER, Access
from core.daemon.client import LONGEST_QUERY
from core.daemon.peers import BACKLOG, PEER, HttpServer, PeerProtocol
from core.daemon.routes import STATUSES, refused
from core.engine.admission import Admission
from core.errors import Forbidden, Unauthorized, VertuiError
from core.ports import names_this_machine

SCHEME = "bearer"
BY_SOCKET_ALONE = ("/v1/token", "/v1/listen", "/v1/stop", "/v1/dial")
"""What no token opens: who else is let in, and for how long; what nobody could start again; what hands over files."""
CHALLENGE = {"WWW-Authenticate": "Bearer", "Connection": "close"}

logger = logging.getLogger(__name__)


def behind_door(app: Any, admission: Admission) -> HttpServer:
    """The server of an API, in which the door is all that tells its sockets apart."""
    config = Config(
        Doorkeeper(Access(app), admission), http=PeerProtocol, ws="websockets-sansio",
        log_config=None, log_level="error",  # a stranger's noise is no warning
        access_log=False, lifespan="off", backlog=BACKLOG, timeout_graceful_shutdown=1, ws_max_size=1 << 20,
        ws_ping_interval=None, h11_max_incomplete_event_size=2 * LONGEST_QUERY,
    )  # fmt: skip
    return HttpServer(config)


class Doorkeeper:
    """An ASGI application around another."""

    def __init__(self, app: Any, admission: Admission) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let one request in, or say why not."""
        peer: PeerProtocol = scope["state"][PEER]
        if peer.by_socket:
            await self._app(scope, receive, send)
            return
        try:
            token = self._bearer(Headers(scope=scope))
            peer.stranger = False
            _check(scope["path"])
        except (Unauthorized, Forbidden) as error:
            await _refuse(error, scope, receive, send)
            return
        scope["state"][BEARER] = token
        with self._admission.inside(token, peer.hang_up):
            await self._app(scope, receive, send)

    def _bearer(self, headers: Headers) -> str:
        """Whose token it is."""
        host = headers.get("host", "")
        if not names_this_machine(host):
            raise Forbidden(
                f"'{host[:60]}' is no name of this daemon: ask by its address, as http://127.0.0.1:PORT"
            )
        if "origin" in headers:
            raise Forbidden("this is no place for a browser's pages: leave the Origin header out")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            raise Unauthorized(
                "the daemon's port wants a token, as `Authorization: Bearer TOKEN`: `vertui token new` makes one"
            )
        name = self._admission.bearer(token.strip())
        if name is None:
            raise Unauthorized(
                "this token is none of this home's, or was revoked: `vertui token new` there makes another"
            )
        return name


def _check(path: str) -> None:
    if any(path == inner or path.startswith(f"{inner}/") for inner in BY_SOCKET_ALONE):
        raise Forbidden(f"{path}: by the home's own socket alone, on the daemon's machine, and by no token")


async def _refuse(error: VertuiError, scope: Any, receive: Any, send: Any) -> None:
    """Answer, and hang up on a stranger."""
    who, _ = scope["client"] or ("somebody", 0)
    logger.warning(
        "%s was refused at the port: %s", who, error.kind
    )  # always the same, so that no log is filled by it
    status = STATUSES[type(error)]
    await refused(error.kind, str(error), status, CHALLENGE)(scope, receive, send)
