"""A suspended branch is on disk alone, whoever needs it wakes it and is served; one that is idle may be suspended."""

import asyncio
import gc
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from core.catalog_values import Intent
from core.daemon import streams
from core.engine import hearing, idle, suspend
from core.engine.live import Live
from core.engine.names import names_at
from core.engine.recover import recover
from core.errors import Conflict, MachineFailed, VertuiError
from core.inward import PortProtocol
from core.model import BranchState, CommitState, ExecRequest, OperationState
from core.network import dns
from core.network.addresses import address_of
from core.network.protocol import Tried
from core.network.resolver import Resolver
from core.refs import TRUNK
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served

LOOPBACK = "127.0.0.1"
SOON_S = 60
TCP = PortProtocol.TCP
MOST_BYTES = 1_000_000


@asynccontextmanager
async def home() -> AsyncIterator[Twins]:
    """A trunk, main, whose guest is where this test listens."""
    with twin_engine() as twins:
        twins.hub.guests_at = LOOPBACK
        twins.begin()
        try:
            await twins.do("up")
            yield twins
        finally:
            await twins.engine.machines.sleepers.stop()
            await twins.close()


@asynccontextmanager
async def answering() -> AsyncIterator[int]:
    """A program that answers whoever says something; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.read(100))
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def asked(twins: Twins, port: int, said: bytes = b"words") -> bytes:
    """What is answered at a port of the host's, until the other side hangs up or breaks off."""
    loop, answer = asyncio.get_running_loop(), b""
    with twins.host.connect(LOOPBACK, port, TCP) as visitor:
        visitor.setblocking(False)
        with suppress(ConnectionError):
            async with asyncio.timeout(SOON_S):
                await loop.sock_sendall(visitor, said)
                while data := await loop.sock_recv(visitor, 1000):
                    answer += data
    return answer


def no_machine(*_: object) -> None:
    raise MachineFailed("no process can be started")


def state(twins: Twins, name: str = "main") -> BranchState:
    return twins.engine.branch(name).state


def logged(twins: Twins, verb: str) -> list[tuple[str, OperationState, bool]]:
    rows = reversed(twins.engine.catalog.operations())
    return [(row.summary, row.state, row.undoable) for row in rows if row.verb == verb]


async def test_nothing_of_it_is_left_but_its_commit_and_undo_starts_it_as_it_was() -> None:
    async with home() as twins:
        await twins.do("publish", "main", ("3000",))
        await twins.do("pause", "main")
        head, ticks = twins.engine.branch("main").head, twins.machine("main").guest.ticks
        asleep = await twins.do("suspend", "main")
        await twins.engine.machines.reaping.done()
        held, commit = twins.held.holdings(), twins.engine.catalog.commit(asleep.head)
        assert asleep.state is BranchState.SUSPENDED and commit.parents == (head,)
        assert commit.state is CommitState.SEALED and commit.message == "suspend"
        assert not held.children and [key[:5] for key in held.kept] == ["port:"]
        async with asyncio.timeout(SOON_S):  # the sealer may look at them still
            while twins.store.layers():
                await asyncio.sleep(0.01)
        assert not twins.engine.machines.live and twins.hub.list() == ()
        await twins.do("undo")
        assert (state(twins), twins.engine.branch("main").head) == (BranchState.PAUSED, head)
        assert twins.machine("main").guest.ticks == ticks + 1 and asleep.head not in twins.world().commits
        await twins.do("redo")
        await twins.do("resume", "main")
        with pytest.raises(Conflict, match="main is not suspended any more"):
            await twins.do("undo")
        assert state(twins) is BranchState.RUNNING


async def test_all_who_come_by_ports_are_served_and_it_is_woken_once() -> None:
    async with home() as twins, answering() as port:
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with heard:
            heard.bind((LOOPBACK, 0))
            heard.setblocking(False)
            await twins.do("publish", "main", (f"3000:{port}", f"53:{heard.getsockname()[1]}/udp"))
            await twins.do("publish", TRUNK, (f"3001:{port}",))
            await twins.do("proxy", 7070)
            request = f"GET / HTTP/1.1\r\nHost: {port}.main.localhost\r\n\r\n".encode()
            await twins.do("suspend", "main")
            visits = [asked(twins, host_port) for host_port in (3000, 3000, 3001)]
            answers = await asyncio.gather(*visits, asked(twins, 7070, request))
            assert answers == [b"heard words"] * 3 + [b"heard " + request]
            assert len(logged(twins, "wake")) == 1
            await twins.do("suspend", "main")
            with twins.host.connect(LOOPBACK, 53, PortProtocol.UDP) as sender:
                for word in (b"one", b"two"):
                    sender.send(word)
                async with asyncio.timeout(SOON_S):
                    words = [await asyncio.get_running_loop().sock_recv(heard, 100) for _ in range(2)]
            assert words == [b"one", b"two"] and len(logged(twins, "wake")) == 2


async def test_who_comes_by_a_link_wakes_it_and_who_is_not_linked_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its name, whose answer waits; and by an address that is known, where what waits is sent again. One that does
    not start is not tried again at once, however often a guest asks.
    """

    async def looked_up(name: str) -> tuple[str, ...]:
        asked = dns.addresses_of(f"{name}.vertui")
        answer = await resolver.answer((address_of(number), 9), dns.ask(asked, 1, large=False), tcp=False)
        return dns.addresses(answer or b"", asked).addresses

    async with home() as twins:
        twins.hub.guests_at = ""
        await twins.do("fork", "main", 2)
        await twins.do("link", ("b1", "b2"))
        number, other = (twins.engine.branch(name).number for name in ("b1", "b2"))
        resolver = Resolver(lambda address: names_at(twins.engine, address))
        await twins.do("suspend", "main")
        await twins.do("suspend", "b2")
        assert twins.hub.asleep == {other}
        assert await looked_up("main") == () and state(twins) is BranchState.SUSPENDED
        assert await looked_up("b2") == (address_of(other),)
        assert state(twins, "b2") is BranchState.RUNNING and twins.hub.asleep == frozenset()
        await twins.do("suspend", "b2")
        with monkeypatch.context() as patch:
            patch.setattr(twins.hypervisor, "start", no_machine)
            for _ in range(3):
                assert await looked_up("b2") == (address_of(other),)
        twins.engine.machines.sleepers.tired.clear()
        heard = twins.hub.heard = HeardOnce([Tried((address_of(number), 9), (address_of(other), 80), "tcp")])
        listening = asyncio.create_task(hearing.hear(twins.engine))
        async with asyncio.timeout(SOON_S):
            while state(twins, "b2") is not BranchState.RUNNING or twins.engine.machines.sleepers.waking:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)  # whoever waited for that has been told
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert not heard.refused
        woken = [why for why, *_ in logged(twins, "wake")]
        assert woken == [*["wake b2: b1 looked it up"] * 2, "wake b2: b1 came to its port 80"]


async def test_who_knocks_often_while_one_wakes_takes_nobody_s_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async with home() as twins:
        start, go_on = twins.hypervisor.start, asyncio.Event()

        async def slowly(*given: Any) -> Any:
            await go_on.wait()
            return await start(*given)

        twins.hub.guests_at = ""
        await twins.do("fork", "main", 2)
        await twins.do("link", ("b1", "b2"))
        number, other = (twins.engine.branch(name).number for name in ("b1", "b2"))
        await twins.do("suspend", "b2")
        monkeypatch.setattr(twins.hypervisor, "start", slowly)
        knock = Tried((address_of(number), 9), (address_of(other), 80), "tcp")
        heard = twins.hub.heard = HeardOnce([knock] * 2 * hearing.MOST_ASKED)
        listening = asyncio.create_task(hearing.hear(twins.engine))
        async with asyncio.timeout(SOON_S):
            while heard.left:
                await asyncio.sleep(0.01)
            go_on.set()
            while state(twins, "b2") is not BranchState.RUNNING or twins.engine.machines.sleepers.waking:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)  # whoever waited for that has been told
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert not heard.refused and len(logged(twins, "wake")) == 1


class HeardOnce:
    """A hub's word on what was tried, once, one after the other."""

    def __init__(self, tried: list[Tried]) -> None:
        self._tried, self.refused = tried, list[Tried]()
        self._readable, other = os.pipe()
        os.close(other)

    def fileno(self) -> int:
        """Always readable."""
        return self._readable

    @property
    def left(self) -> int:
        """How many were not read yet."""
        return len(self._tried)

    def read(self) -> list[Tried]:
        """The next."""
        tried, self._tried = self._tried[:1], self._tried[1:]
        return tried

    def reset(self, one: Tried) -> None:
        """Remembered."""
        self.refused.append(one)

    def close(self) -> None:
        """Read no more."""
        os.close(self._readable)


async def test_exec_attach_ssh_and_connect_wake_it_and_to_look_does_not() -> None:
    async with home() as twins, answering() as port, served(twins) as client:

        def exec_() -> None:
            with streams.run(client.endpoint, ExecRequest("main", ("true",))) as stream:
                list(stream)

        def attach(looks: bool = False) -> None:
            with streams.attach(client.endpoint, "main", 1, looks=looks) as stream:
                list(stream)

        await twins.do("publish", "main", (f"3000:{port}",))
        for why, need in {
            "exec": exec_, "attach": attach, "ssh": lambda: client.ssh("main"),
            f"a connection to port {port}": lambda: client.dial("main", port).close(),
        }.items():  # fmt: skip
            await twins.do("suspend", "main")
            for look in (
                client.tree,
                lambda: client.ps("main"),
                lambda: client.ports("main"),
                partial(attach, True),
            ):
                with suppress(VertuiError):
                    await asyncio.to_thread(look)
            assert state(twins) is BranchState.SUSPENDED
            with suppress(VertuiError):  # there are no programs in this guest
                await asyncio.to_thread(need)
            assert state(twins) is BranchState.RUNNING, why
            assert logged(twins, "wake")[-1] == (f"wake main: {why}", OperationState.DONE, False)


async def test_who_comes_while_it_is_suspended_waits_and_it_stands_still_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with home() as twins, answering() as port:
        await twins.do("publish", "main", (f"3000:{port}",))
        goes_on, put = threading.Event(), twins.store.put

        def slowly(*given: object) -> object:
            goes_on.wait(SOON_S)
            return put(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(twins.store, "put", slowly)
        suspending = asyncio.create_task(twins.do("suspend", "main"))
        while not twins.engine.tasks.sealer.all():
            await asyncio.sleep(0.005)
        visit = asyncio.create_task(asked(twins, 3000))
        await asyncio.sleep(0.05)
        assert not visit.done() and not await twins.machine("main").is_running()
        goes_on.set()
        assert await visit == b"heard words"
        assert (await suspending).state is BranchState.SUSPENDED and state(twins) is BranchState.RUNNING


async def test_one_that_cannot_be_suspended_runs_on_and_one_that_cannot_be_woken_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with home() as twins, answering() as port:
        await twins.do("publish", "main", (f"3000:{port}",))
        await twins.do("proxy", 7070)
        with monkeypatch.context() as patch:
            patch.setattr(twins.store, "put", no_machine)
            with pytest.raises(MachineFailed):
                await twins.do("suspend", "main")
            assert state(twins) is BranchState.RUNNING and await twins.machine("main").is_running()
            assert await asked(twins, 3000) == b"heard words"
        await twins.do("suspend", "main")
        with monkeypatch.context() as patch:
            patch.setattr(twins.hypervisor, "start", no_machine)
            assert await asked(twins, 3000) == b""
            request = f"GET / HTTP/1.1\r\nHost: {port}.main.localhost\r\n\r\n".encode()
            assert b"main is suspended and does not start: no process can be" in await asked(
                twins, 7070, request
            )
            reason = twins.engine.branch("main").reason
            assert (
                state(twins) is BranchState.SUSPENDED and reason == "does not wake: no process can be started"
            )
        assert await asked(twins, 3000) == b"heard words"
        await twins.engine.machines.sleepers.stop()
        await twins.do("suspend", "main")
        assert await asked(twins, 3000) == b"", "the daemon is about to end"


async def test_a_daemon_that_dies_while_it_wakes_one_leaves_it_suspended() -> None:
    async with home() as twins:
        row = twins.engine.branch("main")
        await twins.do("suspend", "main")
        twins.engine.catalog.begin("r1", "wake", "wake main: exec", Intent(wakes=(row.id,)), time.time())
        twins.engine.catalog.change_branch(row.id, state=BranchState.STARTING, machine="m1")
        await recover(twins.engine, lambda _: None)
        assert state(twins) is BranchState.SUSPENDED and twins.engine.branch("main").machine is None


class Load:
    """What is read of how busy a process is."""

    percent = 0

    def look(self, pid: int) -> int:
        """As a test says."""
        return Load.percent


async def test_it_is_suspended_once_nothing_has_gone_on_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "SHORTEST_LOOK_S", 0.01)
    monkeypatch.setattr(idle, "Busy", Load)
    monkeypatch.setattr(
        suspend, "_wanted_s", lambda engine, branch: engine.catalog.branch(branch).idle_s / 1000
    )

    async with home() as twins:
        watching = asyncio.create_task(suspend.watch(twins.engine))
        try:
            live = next(iter(twins.engine.machines.live.values()))
            for begin in (followed, visited, connected, loaded):
                async with begin(twins, live):
                    await twins.do("suspend", "main", when_idle=50)
                    await asyncio.sleep(0.2)
                    assert state(twins) is BranchState.RUNNING, begin.__name__
                    await twins.do("suspend", "main", when_idle=0)
            await twins.do("suspend", "main", when_idle=50)
            async with asyncio.timeout(SOON_S):
                while logged(twins, "suspend")[-1] != (
                    "suspend main: idle for 0.05 s",
                    OperationState.DONE,
                    False,
                ):
                    await asyncio.sleep(0.005)
            row = twins.engine.branch("main")
            assert (row.state, row.reason) == (BranchState.SUSPENDED, "idle for 0.05 s")
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await twins.do("fork", "main", 1)
        assert twins.engine.branch("b1").idle_s == 50
        await twins.do("undo")
        await twins.do("undo")
        row = twins.engine.branch("main")
        assert (row.state, row.idle_s) == (BranchState.SUSPENDED, 0), "the setting was undone"


@asynccontextmanager
async def followed(_: Twins, live: Live) -> AsyncIterator[None]:
    with live.followed():
        yield


@asynccontextmanager
async def visited(_: Twins, live: Live) -> AsyncIterator[None]:
    visit = asyncio.create_task(asyncio.sleep(SOON_S))
    live.visits.add(visit)
    yield
    live.visits.discard(visit)
    visit.cancel()


@asynccontextmanager
async def connected(twins: Twins, live: Live) -> AsyncIterator[None]:
    twins.hub.connections = frozenset({live.network.info.address})
    yield
    twins.hub.connections = frozenset()


@asynccontextmanager
async def loaded(_: Twins, live: Live) -> AsyncIterator[None]:
    Load.percent = idle.BUSY_PERCENT
    yield
    Load.percent = 0


async def test_two_hundred_that_are_suspended_take_next_to_nothing_and_are_watched_by_nobody() -> None:
    async with home() as twins:
        await twins.do("suspend", "main")
        row, catalog = twins.engine.branch("main"), twins.engine.catalog
        tracemalloc.start()
        with catalog.transaction():
            for number in range(2, 202):
                catalog.put_branch(replace(row, id=f"s{number}", name=f"s{number}", number=number, idle_s=1))
        assert len(catalog.branches()) == 201
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken < MOST_BYTES
        await twins.engine.machines.reaping.done()
        before = asyncio.all_tasks()
        watching = asyncio.create_task(suspend.watch(twins.engine))
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() - before == {watching}
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
