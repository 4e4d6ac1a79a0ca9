"""Where a daemon is reached: by the socket of a home of ours, or by its port, with a token."""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import UsageError
from core.home import Home, find_home
from core.patience import patient
from core.ports import url_of
from core.sockets import connect

URL, TOKEN, TOKEN_FILE = "VERTUI_URL", "VERTUI_TOKEN", "VERTUI_TOKEN_FILE"
CONNECT_S = patient(10.0)  # to a host that may not be there at all
LONGEST_TOKEN = 4096  # bytes of a file that is to hold one


@dataclass(frozen=True)
class Remote:
    """A daemon's port, and the token that lets us in."""

    host: str
    port: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """As people give it."""
        return url_of(self.host, self.port)


Endpoint = Home | Remote


def find_endpoint() -> Endpoint:
    """The daemon that VERTUI_URL names, with the token of VERTUI_TOKEN or of the file VERTUI_TOKEN_FILE; without
    VERTUI_URL that of the home. UsageError says what is wrong with any of them.
    """
    url = os.environ.get(URL)
    return remote(url) if url else find_home()


def own(endpoint: Endpoint) -> Home:
    """The home itself, for what needs its socket or files. UsageError when all we have is a port."""
    if isinstance(endpoint, Remote):
        raise UsageError(
            f"this takes the home's own socket or files: run it where they are, without {URL} ({endpoint.url})"
        )
    return endpoint


def no_answer(endpoint: Endpoint) -> str:
    """Says that nobody is there."""
    if isinstance(endpoint, Remote):
        return f"no daemon answers at {endpoint.url}: `vertui daemon start --listen` there lets it"
    return "the daemon does not answer: run `vertui daemon status`"


def connected(endpoint: Endpoint, timeout_s: float | None = None) -> socket.socket:
    """A connection; OSError when nobody listens, Impostor when a home's socket is somebody else's."""
    if not isinstance(endpoint, Remote):
        return connect(endpoint.daemon_socket, timeout_s=timeout_s)
    made = socket.create_connection((endpoint.host, endpoint.port), min(CONNECT_S, timeout_s or CONNECT_S))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.settimeout(timeout_s)
    return made


def listens(endpoint: Endpoint) -> bool:
    """Does a daemon accept connections? Impostor when a home's is somebody else's."""
    try:
        connected(endpoint).close()
    except OSError:
        return False
    return True


def place_of(endpoint: Endpoint) -> tuple[str, int]:
    """What a request names as its host and port; of a home anything would do."""
    return (endpoint.host, endpoint.port) if isinstance(endpoint, Remote) else ("vertui", 80)


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """What every request says beside itself."""
    return {"Authorization": f"Bearer {endpoint.token}"} if isinstance(endpoint, Remote) else {}


def variables_of(endpoint: Endpoint) -> dict[str, str]:
    """The variables by which another process finds the same."""
    if isinstance(endpoint, Remote):
        return {URL: endpoint.url, TOKEN: endpoint.token}
    return {URL: "", "VERTUI_HOME": str(endpoint.root)}


def remote(url: str, token: str | None = None) -> Remote:
    """The daemon's port that a URL names, for the bearer of a token, or of the environment's. UsageError says what is
    wrong with either.
    """
    wrong = UsageError(f"'{url[:60]}' is no URL of a daemon: set {URL} to one as http://127.0.0.1:7080")
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        raise wrong from None
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise wrong
    return Remote(parts.hostname, port, _checked(_token() if token is None else token))


def _token() -> str:
    token, path = os.environ.get(TOKEN, ""), os.environ.get(TOKEN_FILE, "")
    if not token and path:
        try:
            with Path(path).open("rb") as file:
                token = file.read(LONGEST_TOKEN).decode()
        except OSError as error:
            raise UsageError(f"{TOKEN_FILE}: '{path[:200]}' cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise UsageError(f"{TOKEN_FILE}: '{path[:200]}' holds no token") from None
    return token


def _checked(token: str) -> str:
    token = token.strip()
    if not token:
        raise UsageError(
            f"{URL} goes with a token: set {TOKEN}, or {TOKEN_FILE}; `vertui token new` makes one there"
        )
    if not (token.isascii() and token.isprintable()):
        raise UsageError(f"what {TOKEN} or {TOKEN_FILE} has is no token: give one line of printable letters")
    return token
