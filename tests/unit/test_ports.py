"""Published ports, on an engine of twins: what is open on the host is what the catalog has, whatever was done."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from core.engine import plans
from core.engine import ports as module
from core.engine.context import FAULT
from core.engine.ports import Ports
from core.engine.recover import recover
from core.errors import Conflict, NotFound, UsageError, VertuiError
from core.inward import PortProtocol, Published, PublishedPort
from core.ports import leading_to, parse_port, place, proxy_of, url
from core.refs import PROXY, TRUNK
from tests.twins.engine import Twins, twin_engine
from tests.twins.host import FIRST_FREE, TwinHost, listening

LOOPBACK = "127.0.0.1"
TCP, UDP = PortProtocol.TCP, PortProtocol.UDP


@contextmanager
def host_port(host: TwinHost, port: int) -> Iterator[None]:
    """Another program of the host has it."""
    made, _ = host.listen(LOOPBACK, port, TCP)
    with made:
        yield


@asynccontextmanager
async def home() -> AsyncIterator[Twins]:
    """A trunk, main."""
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up")
            yield twins
        finally:
            await twins.close()
            kept = [key for key in twins.held.holdings().kept if key.startswith("port:")]
            assert len(kept) == len(module.wanted(twins.engine))


def there(twins: Twins) -> dict[tuple[str, int], int]:
    """The published ports, by branch and guest's port; each is open unless it says why not."""
    shown = twins.engine.tasks.ports.shown()
    for port in shown:
        assert listening(twins.host, port.address, port.host_port, port.protocol) == (not port.reason), port
    return {(port.branch, port.guest_port): port.host_port for port in shown}


def test_ports_are_read_as_they_are_written() -> None:
    assert parse_port("3000").host_port is None and parse_port("3000").protocol is TCP
    assert (parse_port("8080:80/tcp").host_port, parse_port("8080:80").guest_port) == (8080, 80)
    assert parse_port("53/udp").protocol is UDP
    for nonsense in ("", "0", "x", "65536", "1:2:3", "80/sctp", "-1", "0:80", "٣"):
        with pytest.raises(UsageError):
            parse_port(nonsense)
    everywhere = PublishedPort("main", 80, TCP, "0.0.0.0", 8080)
    assert (place(everywhere), url(everywhere)) == ("0.0.0.0:8080", "http://127.0.0.1:8080/")
    assert url(PublishedPort("main", 80, TCP, "::", 8080)) == "http://[::1]:8080/"


async def test_the_same_number_is_taken_if_it_is_free_or_any() -> None:
    async with home() as twins:
        with host_port(twins.host, 3000):
            await twins.do("publish", "main", ("3000", "3001", "80"))
        assert there(twins) == {
            ("main", 3000): FIRST_FREE,
            ("main", 3001): 3001,
            ("main", 80): FIRST_FREE + 1,
        }


async def test_what_cannot_be_had_is_one_clear_line_and_leaves_nothing() -> None:
    async with home() as twins:
        with (
            host_port(twins.host, 8080),
            pytest.raises(Conflict, match=r"port 8080 of 127\.0\.0\.1 is taken"),
        ):
            await twins.do("publish", "main", ("3000", "8080:80"))
        assert there(twins) == {}
        await twins.do("publish", "main", ("8080:80",))
        for given, error in {
            "80": "published already, at 127.0.0.1:8080: `vertui unpublish main 80`",
            "8080:81": "127.0.0.1:8080 leads to main already",
            "x": "is no port",
        }.items():
            with pytest.raises(VertuiError, match=error):
                await twins.do("publish", "main", (given,))
        for bind, error in {"localhost": "no IP address", "203.0.113.7": "no address 203"}.items():
            with pytest.raises(UsageError, match=error):
                await twins.do("publish", "main", ("81",), bind)
        with pytest.raises(NotFound, match="port 81 of main is not published"):
            await twins.do("unpublish", "main", ("81",))
        await twins.do("unpublish", "main")
        assert there(twins) == {}
        with pytest.raises(NotFound, match="no port of main is published"):
            await twins.do("unpublish", "main")


async def test_a_publish_that_fails_midway_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with home() as twins:
        fault = tmp_path / "fault"
        fault.write_text("publish.opened=fail")
        monkeypatch.setenv(FAULT, str(fault))
        with pytest.raises(Conflict, match=r"stopped at publish\.opened"):
            await twins.do("publish", "main", ("3000", "3001"))
        assert there(twins) == {} and not any(
            listening(twins.host, LOOPBACK, port, TCP) for port in (3000, 3001)
        )


async def test_children_get_host_ports_of_their_own_and_undo_takes_them_back() -> None:
    async with home() as twins:
        await twins.do("publish", "main", ("3000", "53/udp"))
        await twins.do("publish", "@trunk", ("8080:80",))
        before = there(twins)
        forked = await twins.do("fork", "main", 8)
        given = [port for child in forked.children for port in child.ports]
        assert len(given) == len({(port.protocol, port.host_port) for port in given}) == 8 * 3
        assert all(
            place(port) and port.branch == child.name for child in forked.children for port in child.ports
        )
        after = there(twins)
        assert after.items() - before.items() == {((p.branch, p.guest_port), p.host_port) for p in given}
        await twins.do("undo")
        assert there(twins) == before
        await twins.do("redo")
        assert there(twins) == after
        grandchild = (await twins.do("fork", "b1", 1, "g")).children[0]
        assert {port.guest_port for port in grandchild.ports} == {3000, 53, 80}


async def test_a_fork_goes_on_without_ports_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    async with home() as twins:
        await twins.do("publish", "main", ("3000",))

        def full(*_: object) -> None:
            raise Conflict("every port is taken")

        monkeypatch.setattr(twins.host, "listen", full)
        forked = await twins.do("fork", "main", 2)
        assert [(child.ok, child.ports) for child in forked.children] == [(True, ()), (True, ())]


async def test_ports_of_the_pruned_close_and_come_back_if_they_are_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    async with home() as twins:
        await twins.do("fork", "main", 1, "b1")
        await twins.do("publish", "b1", ("3000",))
        await twins.do("prune", ("b1",))
        assert there(twins) == {}
        await twins.do("undo")
        assert there(twins) == {("b1", 3000): 3000}
        await twins.do("redo")
        with host_port(twins.host, 3000):
            await twins.do("trash restore", "b1")
            [port] = twins.engine.tasks.ports.shown()
            assert port.reason and port.host_port == 3000
        async with asyncio.timeout(60):
            while twins.engine.tasks.ports.shown()[0].reason:
                await asyncio.sleep(0.01)
        assert there(twins) == {("b1", 3000): 3000}
        await twins.do("prune", ("b1",), True)
        assert twins.engine.catalog.ports() == []


async def test_publish_and_unpublish_are_taken_back() -> None:
    async with home() as twins:
        await twins.do("publish", "main", ("3000", "3001"))
        await twins.do("unpublish", "main", ("3000",))
        assert there(twins) == {("main", 3001): 3001}
        await twins.do("undo")
        assert there(twins) == {("main", 3000): 3000, ("main", 3001): 3001}
        await twins.do("undo")
        assert there(twins) == {}
        for _ in range(2):
            await twins.do("redo")
        assert there(twins) == {("main", 3001): 3001}
        await twins.do("rename", "main", "other")
        assert there(twins) == {("other", 3001): 3001}


async def test_ports_of_the_trunk_are_its_own_wherever_it_is() -> None:
    async with home() as twins:
        await twins.do("fork", "main", 1, "b1")
        await twins.do("publish", "@trunk", ("3000",))
        with pytest.raises(NotFound, match=r"those of @trunk: `vertui unpublish @trunk`"):
            await twins.do("unpublish", "main")
        led = [port.branch for port in leading_to("b1", "main", twins.engine.tasks.ports.shown())]
        await twins.do("promote", "b1")
        assert led == [] and [*leading_to("b1", "b1", twins.engine.tasks.ports.shown())]
        await twins.do("unpublish", "@trunk", ("3000",))
        assert there(twins) == {}


async def test_plans_say_what_becomes_of_ports() -> None:
    async with home() as twins:
        await twins.do("fork", "main", 2)
        await twins.do("publish", "b2", ("3000",))
        await twins.do("publish", "@trunk", ("80:80",))
        promote = await plans.plan_promote(twins.engine, "b1", prune_losers=True)
        closes = "127.0.0.1:3000, which leads to port 3000 of b2, closes"
        assert "127.0.0.1:80 leads to port 80 of b1 from then on" in promote.lines and closes in promote.lines
        assert closes in plans.plan_prune(twins.engine, ["b2"], now=True).lines


async def test_the_proxy_is_one_and_closes() -> None:
    async with home() as twins:
        opened = await twins.do("proxy", 7071)
        assert isinstance(opened, Published) and there(twins) == {(PROXY, 0): 7071}
        with pytest.raises(Conflict, match=r"open already, at 127\.0\.0\.1:7071"):
            await twins.do("proxy")
        assert not any(child.ports for child in (await twins.do("fork", "main", 1)).children)
        await twins.do("proxy", off=True)
        assert proxy_of(twins.engine.tasks.ports.shown()) is None
        await twins.do("undo")
        assert there(twins) == {(PROXY, 0): 7071}


async def test_a_daemon_that_starts_again_has_the_same_sockets_and_drops_the_others() -> None:
    async with home() as twins:
        await twins.do("publish", "main", ("3000", "3001"))
        [first, second] = twins.engine.catalog.ports()
        with waiting(twins, first.host_port) as visitor:  # in the backlog of a socket that nobody serves
            await twins.engine.tasks.ports.stop()
            visitor.sendall(b"words")
            stray = os.memfd_create("stray")
            twins.held.keep("port:stray", stray)
            twins.held.drop(f"port:{second.id}")  # as after a start of the host
            os.close(stray)
            twins.engine.tasks.ports = Ports(twins.engine, twins.host)
            await recover(twins.engine, lambda _: None)
            kept = {key for key in twins.held.holdings().kept if key.startswith("port:")}
            assert kept == {f"port:{first.id}", f"port:{second.id}"}
            assert there(twins) == {("main", 3000): 3000, ("main", 3001): 3001}


@contextmanager
def waiting(twins: Twins, port: int) -> Iterator[socket.socket]:
    with twins.host.connect(LOOPBACK, port, TCP) as visitor:
        yield visitor


async def test_nobody_is_led_to_a_branch_without_a_machine() -> None:
    async with home() as twins:
        await twins.do("publish", TRUNK, ("3000",))
        await twins.crash("main")
        with twins.host.connect(LOOPBACK, 3000, TCP) as visitor:
            visitor.setblocking(False)
            async with asyncio.timeout(60):
                assert await asyncio.get_running_loop().sock_recv(visitor, 1) == b""
        assert there(twins) == {(TRUNK, 3000): 3000}
