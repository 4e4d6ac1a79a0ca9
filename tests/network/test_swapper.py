"""The swapper with all but machines real: hub, porter, `pasta`, rules, a confined process, and servers outside."""

import asyncio
import contextlib
import hashlib
import http.client
import os
import signal
import socket
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from core import linux
from core.engine import authority
from core.engine.context import Engine
from core.engine.swapper import MOST_OF_ONE, Swappers
from core.holder import porter
from core.holder.confine import Confinement, trouble
from core.holder.spawn import null, spawn
from core.home import Home
from core.network.addresses import GUEST_RESOLVER, SWAPPER_PORT
from tests.network.isolation import isolated
from tests.network.test_egress_verbs import Behind, begun
from tests.outside import CLEAR_SITE, OTHER, SERVER, SITE, Servers, furnish
from tests.twins.engine import Twins, twin_engine
from tests.twins.held import TwinHeld

VALUE = "s3cr3t-of-the-home"
Told = tuple[int, str]


class Starting(TwinHeld):
    """Its children are real."""

    def spawn(
        self,
        key: str,
        argv: Sequence[str],
        log: Path,
        descriptors: Sequence[int],
        nursery: str = "",
        confined: Confinement | None = None,
    ) -> int:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            return spawn(argv, [null(), output, output, *descriptors])
        finally:
            os.close(output)


def asks(engine: Engine, host: str, port: int, word: str) -> Told:
    """What a guest's client gets that goes by the proxy, with this word as its credentials."""
    client: http.client.HTTPConnection
    if port == SITE:
        context = ssl.create_default_context(cadata=authority.certificate(engine.home))
        client = http.client.HTTPSConnection(GUEST_RESOLVER, SWAPPER_PORT, timeout=20, context=context)
        client.set_tunnel(host, port)
    else:
        client = http.client.HTTPConnection(GUEST_RESOLVER, SWAPPER_PORT, timeout=20)
    try:
        client.request(
            "GET", "/" if port == SITE else f"http://{host}:{port}/", headers={"Authorization": word}
        )
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        client.close()


def serve_trusted(servers: Servers, directory: Path) -> None:
    """Have web sites outside, whose authority this host trusts."""
    outside, trusted, own = (
        Home(directory / "of-sites", directory / "run"),
        directory / "trusted",
        directory / "own",
    )
    outside.make()
    trusted.write_text(authority.certificate(outside))
    own.write_text(authority.signed(outside, "server.test"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    servers.serve_sites(context)
    os.environ["SSL_CERT_FILE"] = str(trusted)


def said(word: str, shown: str = "") -> Told:
    """What a site answers that was sent a word, and what of that the guest sees."""
    return 200, f"{hashlib.sha256(word.encode()).hexdigest()} {shown or word}\n"


async def play(twins: Twins) -> None:
    engine = twins.engine
    await twins.do("up")
    sites = (f"server.test:{SITE}", f"http://server.test:{CLEAR_SITE}")
    await twins.do("secret set", "TOKEN", VALUE, sites)
    [word] = engine_placeholders(engine)
    with Behind(engine) as guests:

        async def told(host: str, port: int, branch: str = "main") -> Told:
            guest = guests.of(branch)
            return await asyncio.to_thread(guest.inside, lambda: asks(engine, host, port, word))

        # Off: the proxy is there, and lets nobody out.
        for host, port in (("server.test", SITE), ("server.test", CLEAR_SITE), (SERVER, CLEAR_SITE)):
            status, why = await told(host, port)
            assert "403" in f"{status} {why}", (host, port, why)
        refused = (await twins.do("egress", "main", "show")).refused
        tried = {("server.test", SITE), ("server.test", CLEAR_SITE), (SERVER, CLEAR_SITE)}
        assert tried <= {(one.host, one.port) for one in refused}

        # One port of one name: that, with the value in it; and nothing else.
        await twins.do("egress", "main", "allow", (f"server.test:{SITE}", f"a.below.test:{CLEAR_SITE}"))
        assert await told("server.test", SITE) == said(VALUE, word)
        assert await told("a.below.test", CLEAR_SITE) == said(word)  # which is nobody's site
        for host, port in (
            ("server.test", CLEAR_SITE), ("same.test", SITE), (OTHER, SITE), ("evil.test", CLEAR_SITE),
            ("127.0.0.1", 53), ("10.0.2.15", 22), ("10.77.255.254", SWAPPER_PORT), (GUEST_RESOLVER, SWAPPER_PORT),
        ):  # fmt: skip
            status, why = await told(host, port)
            assert "403" in f"{status} {why}", (host, port, why)
        traffic = (await twins.do("egress", "main", "show")).traffic
        assert traffic.packets > 10

        # A fork has the parent's rule and the placeholder in its memory, and that does there what it does here.
        await twins.do("fork", "main", 1)
        assert await told("server.test", SITE, "b1") == said(VALUE, word)

        # A way that is open when its end may no longer be reached is cut.
        await twins.do("egress", "main", "allow", (f"server.test:{CLEAR_SITE}",))
        assert await told("server.test", CLEAR_SITE) == said(VALUE, word)
        kept = await asyncio.to_thread(guests.of("main").inside, tunnel)
        await twins.do("egress", "main", "off")
        kept.settimeout(20)
        assert await asyncio.to_thread(_has_ended, kept)

        # A new value for the same placeholder, and none.
        await twins.do("egress", "main", "allow", (f"server.test:{SITE}",))
        await twins.do("secret set", "TOKEN", "another-value")
        assert await told("server.test", SITE) == said("another-value", word)
        await twins.do("secret rm", "TOKEN")
        status, why = await told("server.test", SITE)
        assert status == 0 and "CERTIFICATE_VERIFY_FAILED" in why  # the site's own: nobody stands between

        await crowd(guests, engine)


def engine_placeholders(engine: Engine) -> list[str]:
    from core.engine import secrets

    return [one.placeholder for one in secrets.names(engine)]


def tunnel() -> socket.socket:
    """A connection that is carried unread, as it is no secret's."""
    made = socket.create_connection((GUEST_RESOLVER, SWAPPER_PORT), 20)
    made.sendall(f"CONNECT {SERVER}:{CLEAR_SITE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert made.recv(4096).startswith(b"HTTP/1.1 200")
    return made


def _has_ended(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError), connection:
        return connection.recv(1) == b""
    return True


async def crowd(guests: Behind, engine: Engine) -> None:
    """More connections than one branch may have: the others are closed, and another branch is served."""

    def come() -> int:
        made = [socket.create_connection((GUEST_RESOLVER, SWAPPER_PORT), 20) for _ in range(MOST_OF_ONE + 20)]
        closed = 0
        for each in made[MOST_OF_ONE:]:
            each.settimeout(20)
            closed += _has_ended(each)
        for each in made[:MOST_OF_ONE]:
            each.close()
        return closed

    assert await asyncio.to_thread(guests.of("main").inside, come) == 20
    status, _ = await asyncio.to_thread(
        guests.of("b1").inside, lambda: asks(engine, f"{SERVER}", CLEAR_SITE, "none")
    )
    assert status in (200, 403)


def confined(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().split("\n")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def swappers() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if b"core.swap.server" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@isolated
def test_a_proxy_of_ours_lets_nobody_further_than_the_rules() -> None:
    servers = Servers(furnish())
    pid, jobs = porter.start()
    linux.unshare(linux.CLONE_NEWNET)
    servers.serve()
    with tempfile.TemporaryDirectory() as directory:
        serve_trusted(servers, Path(directory))

        async def run(twins: Twins) -> None:
            twins.held = twins.engine.held = Starting()
            async with begun(twins, jobs):
                twins.engine.tasks.swapper = Swappers(twins.engine)
                serving = asyncio.create_task(twins.engine.tasks.swapper.serve())
                await play(twins)
                [started] = swappers()
                told = confined(started)
                assert told["NoNewPrivs"] == "1" and int(told["CapEff"], 16) == 0
                assert told["Seccomp"] == "2" or trouble() is not None
                assert Path(f"/proc/{started}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                assert os.waitpid(started, 0)[1] == 0  # it leaves when the daemon does
            log = (twins.engine.home.log / "swapper.log").read_text()
            assert VALUE not in log and "Traceback" not in log, log

        with twin_engine() as twins:
            asyncio.run(run(twins))
    os.kill(pid, signal.SIGKILL)
    jobs.close()
