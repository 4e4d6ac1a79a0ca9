"""What is said through a swapper, by a stock client to a stock server: sent with values, answered without."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import pytest

from core.engine import authority
from core.home import Home
from core.sites import Site, covers, site
from core.swap import visit
from core.swap.requests import TurnedDown
from core.swap.server import site_context
from core.swap.streams import LARGEST_HEAD, ByteStream, Side
from core.swap.swapping import LARGEST_BODY
from core.swap.visit import Visit
from core.swap.wire import Swap

PLACEHOLDER, VALUE = "vertui-TOKEN-0123456789abcdef0123456789abcdef", "s3cr3t-of-the-home"
BEARER = {"Authorization": f"Bearer {PLACEHOLDER}"}
SITES = tuple(map(site, ("api.test", "http://clear.test")))
PATIENCE_S = 30
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class Server:
    """Answers what it was sent, as JSON; and what it was sent, in order."""

    context: ssl.SSLContext | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    hangs_up: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._attend(Side(ByteStream(reader, writer), h11.SERVER))
        finally:
            writer.close()

    async def _attend(self, side: Side) -> None:
        while isinstance(request := await side.event(PATIENCE_S), h11.Request):
            told = await self._hear(side, request)
            if side.http.our_state is h11.SWITCHED_PROTOCOL:
                await side.stream.write(await side.stream.read())
                break
            if "long" in told["target"]:
                told["padding"] = "x" * LARGEST_BODY
            await self._answer(side, json.dumps(told).encode(), chunked="chunked" in told["target"])
            if self.hangs_up or not side.goes_on():
                break

    async def _hear(self, side: Side, request: h11.Request) -> dict[str, Any]:
        headers = {name.decode(): value.decode() for name, value in request.headers}
        if headers.get("upgrade") == "websocket":
            answer = [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]
            await side.event(PATIENCE_S)
            await side.send(h11.InformationalResponse(status_code=101, headers=answer))
        body = bytearray()
        while side.http.our_state is not h11.SWITCHED_PROTOCOL:
            event = await side.event(PATIENCE_S)
            if not isinstance(event, h11.Data):
                break
            body += event.data
        told = {
            "method": request.method.decode(),
            "target": request.target.decode(),
            "headers": headers,
            "body": body.decode(),
        }
        self.sent.append(told)
        return dict(told)

    async def _answer(self, side: Side, body: bytes, *, chunked: bool) -> None:
        length = [] if chunked else [(b"content-length", b"%d" % len(body))]
        echo = (b"x-echo", VALUE.encode())
        await side.send(h11.Response(status_code=200, headers=[*length, echo]))
        for at in range(0, 0 if self.sent[-1]["method"] == "HEAD" else len(body), 10_001):
            await side.send(h11.Data(data=body[at : at + 10_001]))
        await side.send(h11.EndOfMessage())


@dataclass
class Here:
    """The means of visits, with servers of the test in the place of sites."""

    home: Home
    outside: Home
    servers: dict[tuple[str, int], int] = field(default_factory=dict)
    swaps: Sequence[Swap] = (Swap("TOKEN", PLACEHOLDER, VALUE, SITES),)
    sent: list[tuple[str, str]] = field(default_factory=list)
    ways: int = 0
    leaving: bool = False
    proxy: int = 0
    listening: list[asyncio.Server] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def swaps_at(self, at: Site) -> Sequence[Swap]:
        return [swap for swap in self.swaps if any(covers(one, at) for one in swap.sites)]

    async def way(self, visitor: int, host: str, port: int) -> ByteStream:
        if (host, port) not in self.servers:
            raise TurnedDown(403, f"main may not reach {host}")
        self.ways += 1
        made = socket.create_connection(("127.0.0.1", self.servers[host, port]))
        return await ByteStream.over(made.detach())

    async def as_site(self, host: str) -> ssl.SSLContext:
        with os.fdopen(os.memfd_create("certificate"), "wb") as file:
            return site_context(authority.signed(self.home, host), file.fileno())

    def trusting(self) -> ssl.SSLContext:
        return trusting(self.outside)

    def used(self, visitor: int, secret: str, host: str) -> None:
        self.sent.append((secret, host))

    # -- its other ends --------------------------------------------------------------------------------------

    async def add(self, server: Server, host: str, port: int = 443, *, by: Home | None = None) -> Server:
        if port != 80:
            server.context = server_context(by or self.outside, host)
        self.servers[host, port] = await self.listens(server.serve, server.context)
        return server

    async def listens(self, serve: Serve, context: ssl.SSLContext | None = None) -> int:
        """A server of the test's own; its port."""

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.tasks.append(asyncio.create_task(serve(reader, writer)))

        made = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context)
        self.listening.append(made)
        port: int = made.sockets[0].getsockname()[1]
        return port

    async def end(self) -> None:
        for made in self.listening:
            made.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Visit(self, 1).attend(ByteStream(reader, writer))

    def client(self, host: str, port: int = 443) -> http.client.HTTPConnection:
        """One that goes through the swapper, and trusts this home."""
        made: http.client.HTTPConnection
        if port == 80:
            return http.client.HTTPConnection("127.0.0.1", self.proxy, timeout=PATIENCE_S)
        context = trusting(self.home)
        made = http.client.HTTPSConnection("127.0.0.1", self.proxy, timeout=PATIENCE_S, context=context)
        made.set_tunnel(host, port)
        return made


def server_context(home: Home, host: str) -> ssl.SSLContext:
    path = home.root / f"{host}.pem"
    path.write_text(authority.signed(home, host))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def trusting(home: Home) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.certificate(home))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    own, outside = (Home(tmp_path / name, tmp_path / f"run-{name}") for name in ("home", "outside"))
    own.make()
    outside.make()
    made = Here(own, outside)
    made.proxy = await made.listens(made.attend)
    yield made
    await made.end()


async def asked(
    client: http.client.HTTPConnection, method: str, target: str, **options: Any
) -> tuple[int, bytes, http.client.HTTPResponse]:
    def ask() -> tuple[int, bytes, http.client.HTTPResponse]:
        client.request(method, target, **options)
        answer = client.getresponse()
        return answer.status, answer.read(), answer

    return await asyncio.to_thread(ask)


async def refusal(client: http.client.HTTPConnection, target: str = "/", **options: Any) -> str:
    try:
        status, body, _ = await asked(client, "GET", target, **options)
        return f"{status} {body.decode()}"
    except OSError as error:
        return str(error)
    finally:
        client.close()


async def test_a_site_has_the_value_and_the_guest_has_not(here: Here) -> None:
    server = await here.add(Server(), "api.test")
    client = here.client("api.test")
    for number in range(3):
        status, body, answer = await asked(client, "GET", f"/{number}", headers=BEARER)
        assert status == 200 and VALUE.encode() not in body
        assert answer.headers["x-echo"] == PLACEHOLDER
        assert json.loads(body)["headers"]["authorization"] == BEARER["Authorization"]
    assert [one["headers"]["authorization"] for one in server.sent] == [f"Bearer {VALUE}"] * 3
    assert server.sent[0]["headers"]["host"] == "api.test" and server.connections == here.ways == 1
    assert here.sent == [("TOKEN", "api.test")] * 3
    client.close()


async def test_what_is_told_back_is_taken_out_however_long_the_answer(here: Here) -> None:
    await here.add(Server(), "api.test")
    client = here.client("api.test")
    for target in ("/", "/chunked", "/long", "/long-chunked"):
        _, body, answer = await asked(client, "GET", target, headers=BEARER)
        assert VALUE.encode() not in body and json.loads(body)["headers"]["authorization"].endswith(
            PLACEHOLDER
        )
        assert ("content-length" in answer.headers) == (target == "/")
    _, body, answer = await asked(client, "HEAD", "/", headers=BEARER)
    assert body == b"" and VALUE not in str(answer.headers)
    client.close()


async def test_in_the_clear_it_is_sent_where_the_secret_says_so(here: Here) -> None:
    clear, other = await here.add(Server(), "clear.test", 80), await here.add(Server(), "api.test", 80)
    client = here.client("", 80)
    basic = {"Authorization": "Basic " + b64encode(f"me:{PLACEHOLDER}".encode()).decode()}
    for host in ("clear.test", "api.test", "clear.test"):
        status, body, _ = await asked(client, "GET", f"http://{host}/x?a=b", headers=basic)
        assert status == 200 and VALUE.encode() not in body
        assert json.loads(body)["headers"]["authorization"] == basic["Authorization"]
    sent = [one["headers"]["authorization"] for one in (*clear.sent, *other.sent)]
    with_value = "Basic " + b64encode(f"me:{VALUE}".encode()).decode()
    assert sent == [with_value, with_value, basic["Authorization"]]
    assert clear.sent[0]["target"] == "/x?a=b" and clear.sent[0]["headers"]["host"] == "clear.test"
    client.close()


async def test_other_servers_are_reached_unread_and_have_the_placeholder(here: Here) -> None:
    server = await here.add(Server(), "other.test", 8443)
    client = http.client.HTTPSConnection(
        "127.0.0.1", here.proxy, timeout=PATIENCE_S, context=trusting(here.outside)
    )  # it sees that server's own certificate
    client.set_tunnel("other.test", 8443)
    status, _, _ = await asked(client, "GET", "/", headers=BEARER)
    assert status == 200 and server.sent[0]["headers"]["authorization"] == BEARER["Authorization"]
    client.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_go_whole_and_have_the_value_where_the_secret_says_so(here: Here, chunked: bool) -> None:
    server = await here.add(Server(), "api.test")
    client = here.client("api.test")

    async def sent(body: bytes, **headers: str) -> str:
        pieces = (body[at : at + 7] for at in range(0, len(body), 7))
        given = {"body": pieces, "encode_chunked": True} if chunked else {"body": body}
        status, _, _ = await asked(client, "POST", "/", headers=headers, **given)
        assert status == 200
        return str(server.sent[-1]["body"])

    told = json.dumps({"key": PLACEHOLDER}).encode()
    assert await sent(told) == told.decode()
    here.swaps = (Swap("TOKEN", PLACEHOLDER, VALUE, SITES, in_body=True),)
    assert await sent(told, **{"Content-Type": "application/json"}) == json.dumps({"key": VALUE})
    assert await sent(told, Expect="100-continue") == json.dumps({"key": VALUE})
    assert await sent(told, **{"Content-Encoding": "br"}) == told.decode()
    long = PLACEHOLDER.encode() + b"x" * LARGEST_BODY
    if not chunked:  # its length is told before: it stays that
        assert await sent(long) == long.decode()
    client.close()


async def test_a_websocket_passes(here: Here) -> None:
    server = await here.add(Server(), "clear.test", 80)
    reader, writer = await asyncio.open_connection("127.0.0.1", here.proxy)
    writer.write(
        b"GET http://clear.test/ws HTTP/1.1\r\nHost: clear.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"X-Key: " + PLACEHOLDER.encode() + b"\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"ping")
    assert await reader.read() == b"ping" and server.sent[0]["headers"]["x-key"] == VALUE
    writer.close()


async def test_a_client_that_prefers_http_2_goes_on_with_http_1_1(here: Here) -> None:
    """By TLS, where both say what they speak, and in the clear, where it asks for another protocol."""
    sites = {"https://api.test/": await here.add(Server(), "api.test")}
    sites["http://clear.test/"] = await here.add(Server(), "clear.test", 80)
    (here.home.root / "trusted").write_text(authority.certificate(here.home))
    given = (
        "--http2",
        "--noproxy",
        "",
        "--cacert",
        str(here.home.root / "trusted"),
        "-H",
        f"X-Key: {PLACEHOLDER}",
    )
    for url, server in sites.items():
        curl = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-o", "/dev/null", "-w", "%{http_version}", "--proxy", f"http://127.0.0.1:{here.proxy}",
            *given, url, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert (await curl.communicate())[0] == b"1.1" and curl.returncode == 0
        assert server.sent[0]["headers"]["x-key"] == VALUE


async def test_a_connection_that_was_kept_and_is_gone_is_made_anew(here: Here) -> None:
    server = await here.add(Server(hangs_up=True), "api.test")
    client = here.client("api.test")
    for _ in range(3):
        assert (await asked(client, "GET", "/", headers=BEARER))[0] == 200
    assert server.connections == here.ways == 3
    client.close()


async def test_who_is_not_let_out_is_told_why(here: Here) -> None:
    for host in ("api.test", "other.test"):
        assert f"403 main may not reach {host}" in await refusal(here.client(host))
    assert "main may not reach clear.test" in await refusal(here.client("", 80), "http://clear.test/")


async def test_a_server_that_is_not_to_be_trusted_gets_nothing(here: Here) -> None:
    impostor = await here.add(Server(), "api.test", by=here.home)
    assert "502" in await refusal(here.client("api.test"), headers=BEARER)
    here.servers["api.test", 443] = here.servers["other.test", 443] = 0
    await here.add(other := Server(), "other.test")
    here.servers["api.test", 443] = here.servers["other.test", 443]  # right authority, another host
    assert "502" in await refusal(here.client("api.test"), headers=BEARER)
    assert not impostor.sent and not other.sent


async def test_a_request_goes_to_the_host_that_was_connected_to_and_names_no_other(here: Here) -> None:
    server = await here.add(Server(), "api.test")
    for host in ("evil.test", "api.test:8443", "api.test@evil.test", ""):
        told = await refusal(here.client("api.test"), headers=BEARER | {"Host": host})
        assert told.startswith(("421", "400")), told
    assert "400" in await refusal(here.client("api.test"), "https://evil.test/", headers=BEARER)
    assert not server.sent
    assert (await refusal(here.client("api.test"), headers={"Host": "API.test:443"})).startswith("200")


HOSTILE: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01" * 100,
    "endless head": b"GET http://clear.test/ HTTP/1.1\r\nX: " + b"x" * (2 * LARGEST_HEAD),
    "no proxy's request": b"GET / HTTP/1.1\r\nHost: clear.test\r\n\r\n",
    "no host": b"GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n",
    "no port": b"CONNECT api.test HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "no such port": b"CONNECT api.test:99999 HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "IPv6": b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
    "a user": b"GET http://a@clear.test/ HTTP/1.1\r\nHost: clear.test\r\n\r\n",
    "two lengths": b"POST http://clear.test/ HTTP/1.1\r\nHost: c\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "no length": b"POST http://clear.test/ HTTP/1.1\r\nHost: c\r\nContent-Length: x\r\n\r\n",
    "other coding": b"POST http://clear.test/ HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: gzip\r\n\r\n",
    "bare newline": b"GET http://clear.test/ HTTP/1.1\r\nHost: c\r\nX: a\rGET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_what_is_no_request_is_answered_in_one_line_and_hung_up_on(here: Here, what: str) -> None:
    server = await here.add(Server(), "clear.test", 80)
    reader, writer = await asyncio.open_connection("127.0.0.1", here.proxy)
    writer.write(HOSTILE[what])
    answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
    head, _, said = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), answer
    assert said.startswith(b"vertui: ") and said.count(b"\n") == 1 and not server.sent
    writer.close()


async def test_a_value_is_nowhere_but_where_a_header_can_have_it(here: Here) -> None:
    await here.add(Server(), "api.test")
    here.swaps = (Swap("TOKEN", PLACEHOLDER, "a\r\nEvil: header", SITES),)
    assert (await refusal(here.client("api.test"), headers=BEARER)).startswith("400 vertui: the value")


async def test_who_says_nothing_is_hung_up_on(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit, "HEAD_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", here.proxy)
    writer.write(b"GET http://clear.test/ HT")
    began = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    assert time.monotonic() - began < PATIENCE_S / 2
    writer.close()


async def test_for_who_has_left_no_answer_is_waited(here: Here) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(OSError):
            assert await reader.read() == b""
        left.set()
        writer.close()

    here.servers["clear.test", 80] = await here.listens(serve)
    _, writer = await asyncio.open_connection("127.0.0.1", here.proxy)
    writer.write(b"GET http://clear.test/ HTTP/1.1\r\nHost: clear.test\r\n\r\n")
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.wait_for(left.wait(), PATIENCE_S)


async def test_much_passes_whole_both_ways(here: Here) -> None:
    blob = os.urandom(1 << 20) * 16

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert VALUE.encode() in head
        assert await reader.readexactly(len(blob)) == blob
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(blob) + blob)
        await writer.drain()
        writer.close()

    here.servers["api.test", 443] = await here.listens(serve, server_context(here.outside, "api.test"))
    client = here.client("api.test")
    status, body, _ = await asked(client, "POST", "/", headers=BEARER, body=blob)
    assert status == 200 and hashlib.sha256(body).digest() == hashlib.sha256(blob).digest()
    client.close()


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(here: Here) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    here.servers["api.test", 443] = await here.listens(serve, server_context(here.outside, "api.test"))
    failures: tuple[type[Exception], ...] = (http.client.HTTPException, OSError)
    client = here.client("api.test")
    with pytest.raises(failures):
        await asked(client, "GET", "/", headers=BEARER)
    client.close()


async def test_the_last_answer_says_that_it_is_the_last(here: Here) -> None:
    await here.add(Server(), "api.test")
    client = here.client("api.test")
    here.leaving = True
    _, _, answer = await asked(client, "GET", "/", headers=BEARER)
    assert answer.headers["connection"] == "close"
    client.close()
