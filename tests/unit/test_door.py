"""The daemon's port: only bearers of tokens get in, no browser does, and who is slow or many keeps nobody out."""

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from core.daemon import peers
from core.daemon.client import Client
from core.daemon.endpoint import Remote
from core.daemon.listening import KEY
from core.errors import (
    Conflict,
    DaemonUnavailable,
    Damaged,
    Forbidden,
    NotFound,
    Unauthorized,
    UsageError,
    VertuiError,
)
from core.model import Event
from core.tokens import digest, new_token
from tests.guests import SOON_S, eventually
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import LOOPBACK, open_port, served

HOST = "Host: 127.0.0.1"
UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip


def on_twins(body: Callable[[Twins], Awaitable[None]]) -> None:
    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await body(twins)
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))


def with_port(body: Callable[[Client, Remote], object]) -> None:
    """In a thread, with a client of the socket and the port of a home."""

    async def run(twins: Twins) -> None:
        async with served(twins) as client:
            await asyncio.to_thread(lambda: body(client, *open_port(client, "laptop")))

    on_twins(run)


def asked(
    at: Remote | socket.socket, path: str, *headers: str, method: str = "GET"
) -> tuple[int, str, bytes]:
    """A request's status, head and body; 0 when the connection ends without any."""
    line = at if isinstance(at, socket.socket) else socket.create_connection((at.host, at.port), SOON_S)
    with line:
        line.sendall("\r\n".join((f"{method} {path} HTTP/1.1", *headers, "", "")).encode())
        data = b""
        while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
            if not (piece := line.recv(1 << 16)):
                break
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, head.decode(), body


def _length(data: bytes) -> int:
    found = re.search(rb"(?i)content-length: (\d+)", data)
    return int(found[1]) if found else 0


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


@pytest.mark.parametrize(
    "path", ["/v1/alive", "/v1/tree", "/openapi.json", "/v1/nothing", "/", "/v1/token/new"]
)
def test_no_path_is_open_to_a_stranger(path: str) -> None:
    def body(client: Client, port: Remote) -> None:
        wrong = (bearer("x"), bearer(""), bearer(new_token()), f"Authorization: Basic {port.token}")
        for given in ((), *((one,) for one in wrong)):
            for method in ("GET", "POST", "OPTIONS", "HEAD"):
                status, head, _ = asked(port, path, HOST, *given, method=method)
                assert (
                    status == 401
                    and "\r\nwww-authenticate: Bearer" in head
                    and "connection: close" in head.lower()
                )
                assert "access-control" not in head.lower()
        status, _, said = asked(port, path, HOST)
        assert json.loads(said)["kind"] == "Unauthorized" and "Authorization: Bearer TOKEN" in said.decode()
        status, _, said = asked(port, path, HOST, bearer("x"))
        assert json.loads(said)["message"].startswith("this token is none of this home's")
        status, _, said = asked(port, "/v1/exec", HOST, *UPGRADE)
        assert status == 401 and json.loads(said)["kind"] == "Unauthorized"

    with_port(body)


def test_no_page_of_a_browser_gets_in_whatever_it_has() -> None:
    def body(client: Client, port: Remote) -> None:
        known, elsewhere = (
            bearer(port.token),
            ("evil.example", "127.0.0.1.evil.example:80", "", "[evil]:80", "localhost.evil"),
        )
        for name in elsewhere:
            status, head, said = asked(port, "/v1/tree", f"Host: {name}", known)
            assert status == 403 and json.loads(said)["kind"] == "Forbidden", name
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port.port}"):
            for more in ((), UPGRADE):
                status, head, said = asked(port, "/v1/tree", HOST, known, f"Origin: {origin}", *more)
                assert status == 403 and "access-control" not in head.lower()
            assert asked(port, "/v1/fork", HOST, f"Origin: {origin}", method="OPTIONS")[0] == 403
        for name in ("127.0.0.1", "127.0.0.1:1", "localhost", "LOCALHOST:9", "[::1]:80"):
            assert asked(port, "/v1/tree", f"Host: {name}", known)[0] == 200, name

    with_port(body)


def test_the_socket_wants_no_token_and_takes_any_name() -> None:
    def body(client: Client, port: Remote) -> None:
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(client.home.daemon_socket))
        assert asked(line, "/v1/tree", "Host: evil.example", "Origin: null")[0] == 200

    with_port(body)


def test_a_token_lets_in_and_no_further_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    def body(client: Client, port: Remote) -> None:
        there = Client(port)
        there.up()
        logged = r"POST /v1/up 200 in [0-9.]+ ms by laptop$"
        assert eventually(lambda: re.search(logged, caplog.text, re.MULTILINE) is not None)
        assert [branch.name for branch in there.tree().branches] == ["main"]
        assert there.log() == client.log() and [token.name for token in there.tokens()] == ["laptop"]
        assert b"".join(there.export("main")) and there.status().listening == port.url
        for refused in (
            lambda: there.token_new("another", digest("x")),
            lambda: there.token_revoke("laptop"),
            lambda: there.listen("0.0.0.0", 0, in_the_clear=True),
            there.listen_no_more,
            lambda: there._post("/v1/stop", {}),
            lambda: there._post("/v1/dial", {"branch": "main", "port": 1}),
        ):
            with pytest.raises(Forbidden, match="by the home's own socket alone"):
                refused()
        for local in (lambda: there.dial("main", 80), there.stop_daemon, lambda: there.home):
            with pytest.raises(
                UsageError, match="own socket or files: run it where they are, without VERTUI_URL"
            ):
                local()
        with pytest.raises(NotFound, match="'nope'"):
            there.fork("nope")

    caplog.set_level(logging.INFO, "core")
    with_port(body)


def test_what_is_kept_lets_nobody_in() -> None:
    def body(client: Client, port: Remote) -> None:
        kept = client.home.tokens.read_text()
        assert client.home.tokens.stat().st_mode & 0o777 == 0o600
        assert port.token not in kept and digest(port.token) in kept
        assert asked(port, "/v1/tree", HOST, bearer(digest(port.token)))[0] == 401
        files = [path for path in client.home.root.rglob("*") if path.is_file()]
        assert files and not any(port.token.encode() in path.read_bytes() for path in files)
        client.home.tokens.write_text("{")
        with pytest.raises(
            Damaged, match=r"tokens\.json is not as it was written: remove it, and make new tokens"
        ):
            client.tokens()
        assert asked(port, "/v1/tree", HOST, bearer(port.token))[0] == 401  # and is told nothing of files

    with_port(body)


def test_revoking_hangs_up_on_its_bearers_at_once_and_on_no_others() -> None:
    async def run(twins: Twins) -> None:
        async with served(twins) as client:
            await asyncio.to_thread(body, client)

    def body(client: Client) -> None:
        going, staying = open_port(client, "going", "staying")
        ends, stays = Client(going).events(), Client(staying).events()
        assert {token.name: token.connections for token in client.tokens()} == {"going": 1, "staying": 1}
        client.token_revoke("going")
        began = time.monotonic()
        with pytest.raises(DaemonUnavailable, match="went away"):
            list(ends)
        assert time.monotonic() - began < SOON_S / 10
        event: Event = next(iter(stays))
        assert event.text.startswith("token revoke going")
        with pytest.raises(Unauthorized, match="was revoked: `vertui token new`"):
            Client(going).tree()
        assert Client(staying).tree() and [token.name for token in client.tokens()] == ["staying"]
        with pytest.raises(NotFound, match="no token 'going': `vertui token ls`"):
            client.token_revoke("going")
        with pytest.raises(Conflict, match="there is a token 'staying' already"):
            client.token_new("staying", digest("x"))
        stays.close()

    on_twins(run)


def test_who_does_not_say_what_he_wants_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(client: Client, port: Remote) -> None:
        began = [b"", b"GET / HT", b"GET /v1/tree HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "]
        lines = [socket.create_connection((port.host, port.port), SOON_S) for _ in began]
        for line, said in zip(lines, began, strict=True):
            line.sendall(said)
        for line in lines:
            for _ in range(4):  # a byte now and then is no progress
                time.sleep(0.1)
                with suppress(OSError):
                    line.sendall(b"x")
            assert _ended(line)
            line.close()
        with socket.create_connection(
            (port.host, port.port), SOON_S
        ) as kept:  # nor after a request that was good
            kept.sendall(f"GET /v1/alive HTTP/1.1\r\n{HOST}\r\n{bearer(port.token)}\r\n\r\nGET /".encode())
            assert kept.recv(1 << 16).startswith(b"HTTP/1.1 200")
            assert _ended(kept)

    monkeypatch.setattr(peers, "HEAD_S", 0.3)
    with_port(body)


def test_many_strangers_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(client: Client, port: Remote) -> None:
        listener = Client(port).events()
        strangers = [socket.create_connection((port.host, port.port), SOON_S) for _ in range(12)]
        assert asked(port, "/v1/tree", HOST, bearer(port.token))[0] == 200
        assert eventually(lambda: all(map(_ended_now, strangers[:8])))
        assert not any(map(_ended_now, strangers[-3:]))  # those who came last
        client.up()
        assert next(iter(listener))  # who is in stays
        listener.close()
        for line in strangers:
            line.close()

    monkeypatch.setattr(peers, "MOST_STRANGERS", 4)
    monkeypatch.setattr(peers, "HEAD_S", 10 * SOON_S)
    with_port(body)


def _ended(line: socket.socket) -> bool:
    with suppress(ConnectionResetError):
        while line.recv(1 << 16):
            pass
    return True


def _ended_now(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return line.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_a_port_outlives_the_daemon_until_it_is_closed() -> None:
    async def run(twins: Twins) -> None:
        async with served(twins) as client:
            [port] = await asyncio.to_thread(open_port, client, "laptop")
        asking = asyncio.create_task(asyncio.to_thread(Client(port).tree))  # who comes meanwhile waits
        async with served(twins) as client:
            assert await asking
            await asyncio.to_thread(body, client, port)
            assert twins.held.get(KEY) is None
        async with served(twins) as client:
            assert (await asyncio.to_thread(client.status)).listening == ""

    def body(client: Client, port: Remote) -> None:
        assert (
            client.status().listening
            == port.url
            == client.listen(LOOPBACK, port.port)
            == client.listen(LOOPBACK, 0)
        )
        with pytest.raises(Conflict, match=f"listens at {port.url} already: `--listen off` first"):
            client.listen(LOOPBACK, 1)
        events = Client(port).events()
        client.listen_no_more()
        with pytest.raises(DaemonUnavailable, match="went away"):
            list(events)
        with pytest.raises(
            DaemonUnavailable, match=f"no daemon answers at {port.url}: `vertui daemon start --listen`"
        ):
            Client(port).tree()
        client.listen_no_more()

    on_twins(run)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (("0.0.0.0", 0), UsageError, "reads along, tokens too (it is plain HTTP): add --in-the-clear"),
        (("::", 0), UsageError, "reads along"),
        (("192.0.2.7", 0), UsageError, "reads along"),
        (("nowhere", 0), UsageError, "'nowhere' is no IP address"),
        ((LOOPBACK, 0), Conflict, "there is no token: `vertui token new NAME` makes one"),
        ((LOOPBACK, 65536), UsageError, "port: Input should be less than or equal to 65535"),
    ],
)
def test_it_listens_nowhere_where_it_must_not(given: Any, error: type[VertuiError], says: str) -> None:
    async def run(twins: Twins) -> None:
        async with served(twins) as client:
            with pytest.raises(error, match=re.escape(says)):
                await asyncio.to_thread(client.listen, *given)
            assert (await asyncio.to_thread(client.status)).listening == ""
            assert twins.held.get(KEY) is None

    on_twins(run)


def test_it_listens_elsewhere_once_somebody_said_so() -> None:
    def body(client: Client, port: Remote) -> None:
        client.listen_no_more()
        url = client.listen("0.0.0.0", 0, in_the_clear=True)
        there = Remote("127.0.0.2", int(url.rpartition(":")[2]), port.token)
        assert url.startswith("http://0.0.0.0:") and Client(there).tree() is not None

    with_port(body)


def test_a_port_that_is_taken_says_so() -> None:
    def body(client: Client, port: Remote) -> None:
        client.listen_no_more()
        with socket.create_server((LOOPBACK, 0)) as other, pytest.raises(VertuiError):
            client.listen(LOOPBACK, other.getsockname()[1])
        assert client.status().listening == ""

    with_port(body)


def test_only_a_digest_is_taken() -> None:
    def body(client: Client, port: Remote) -> None:
        for wrong in ("", port.token, digest("x").upper(), "x" * 64):
            with pytest.raises(UsageError, match="sha256: give"):
                client.token_new("other", wrong)
        with pytest.raises(UsageError, match="is no name"):
            client.token_new("Not a name", digest("x"))

    with_port(body)
