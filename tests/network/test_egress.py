"""Egress, with real packets through a real `pasta`: what a rule lets out, and that nothing else leaves."""

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from core.network import Network, dns, namespace, way_out
from core.network.addresses import (
    EGRESS,
    EGRESS_GATEWAY,
    EGRESS_RESOLVER,
    GATEWAY_MAC,
    GUEST_MAC,
    GUEST_RESOLVER,
    HUB_ADDRESS,
)
from core.network.conntrack import flows
from core.network.resolver import Resolver
from core.network.rules import MOST_CONNECTIONS
from core.network.ties import LEAST_S
from core.reach import NOWHERE, Reach, may_ask, of_mode
from tests.conftest import full
from tests.guests import eventually
from tests.network.frames import VNET_HEADER, udp_frame
from tests.network.guest import Guest, can_connect, ping, send
from tests.network.isolation import isolated
from tests.network.world import guest_of, world
from tests.outside import OTHER, RESOLVER, SERVER

MANY = 1000 if full() else 200
LINKED = {"b2": "10.77.0.2"}  # with whoever asks
REFUSED_S = 0.1
ALL_ETHERNET = 3


def allow(*rules: str) -> Reach:
    return of_mode("allow", rules)


OPEN = of_mode("open", ())


def reaches(guest: Guest, address: str, port: int) -> bool:
    return guest.inside(lambda: can_connect(address, port, 5.0))


def hears(guest: Guest, address: str, port: int, timeout_s: float = 0.3) -> bool:
    """Does somebody answer by UDP?"""

    def ask() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect((address, port))
            try:
                sock.send(b"hello")
                return sock.recv(100) == b"hello"
            except OSError:
                return False

    return guest.inside(ask)


@contextmanager
def leaving() -> Iterator[Callable[[], list[bytes]]]:
    """What leaves the hub by its way out, whatever it is; ARP aside."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_ETHERNET)) as seen:
        seen.bind((EGRESS, ALL_ETHERNET))
        seen.settimeout(0.2)

        def frames() -> list[bytes]:
            found = []
            try:
                while True:
                    frame, (_, _, kind, *_) = seen.recvfrom(2048)
                    if kind == socket.PACKET_OUTGOING and frame[12:14] != b"\x08\x06":
                        found.append(frame)
            except TimeoutError:
                return found

        yield frames


@isolated
def test_nothing_of_a_guest_leaves_while_its_egress_is_off() -> None:
    with (
        world() as outside,
        guest_of(outside) as (network, guest),
        guest_of(outside, 2) as (other, _),
        leaving() as out,
    ):
        other.set_reach(OPEN)  # whom the way out is there for
        began = time.monotonic()
        assert not reaches(guest, SERVER, 80) and not reaches(guest, EGRESS_RESOLVER, 53)
        assert time.monotonic() - began < 4.0  # refused, not left to wait
        assert not hears(guest, SERVER, 80) and not hears(guest, EGRESS_RESOLVER, 53)
        assert not guest.inside(lambda: ping(SERVER, 0.2))
        assert not hears(guest, RESOLVER, 53) and not hears(guest, GUEST_RESOLVER, 53)
        send(network, _ipv6())
        assert out() == [] and not outside.accepted and not outside.heard and not outside.asked
        told = outside.hub.refused()[1]
        assert {(one.host, one.port, one.protocol) for one in told} >= {
            (SERVER, 80, "tcp"),
            (SERVER, 80, "udp"),
        }
        assert all(abs(one.last - time.time()) < 60 and one.times > 0 for one in told)
        counted = outside.hub.traffic()[1]
        assert (counted.packets, counted.bytes) == (0, 0) and counted.refused >= 3


@isolated
def test_an_address_and_a_port_are_let_out_and_nothing_else() -> None:
    with world() as outside, guest_of(outside) as (network, guest):
        network.set_reach(allow(f"{SERVER}:80"))
        assert reaches(guest, SERVER, 80)
        assert not reaches(guest, SERVER, 443) and not reaches(guest, OTHER, 80)
        assert not hears(guest, SERVER, 80) and not guest.inside(lambda: ping(SERVER, 0.2))
        assert len(outside.accepted) == 1 and not outside.heard
        counted = outside.hub.traffic()[1]
        assert counted.packets > 3 and counted.bytes > 150


@isolated
def test_networks_ports_and_protocols_are_told_apart() -> None:
    with world() as outside, guest_of(outside) as (network, guest):
        network.set_reach(allow("198.51.100.0/31:80/udp", f"{OTHER}/32:443"))
        assert not hears(guest, SERVER, 80) and not reaches(guest, OTHER, 80) and reaches(guest, OTHER, 443)
        network.set_reach(allow("198.51.100.2/31:80/udp"))
        assert (
            hears(guest, SERVER, 80, 5.0)
            and not reaches(guest, SERVER, 80)
            and not reaches(guest, OTHER, 443)
        )
        network.set_reach(allow("198.51.100.0/24"))
        assert reaches(guest, SERVER, 443) and reaches(guest, OTHER, 80) and hears(guest, SERVER, 80, 5.0)
        assert guest.inside(lambda: ping(SERVER, 5.0))


@isolated
def test_open_lets_out_everything_but_this_host_and_its_neighbours() -> None:
    with world() as outside, guest_of(outside) as (network, guest), guest_of(outside, 2) as (_, second):
        network.set_reach(OPEN)
        second.listen(80)
        assert reaches(guest, SERVER, 443) and hears(guest, SERVER, 80, 5.0)
        assert not reaches(guest, "169.254.169.254", 80) and not reaches(guest, EGRESS_RESOLVER, 53)
        assert not guest.inside(lambda: can_connect("10.77.0.2", 80, 0.3))
        assert not guest.inside(lambda: can_connect(HUB_ADDRESS, 80, 0.3))
        assert not reaches(second, SERVER, 443)
        outside.hub.shield([SERVER, RESOLVER])
        assert not reaches(guest, SERVER, 443) and reaches(guest, OTHER, 443)
        network.set_reach(allow(f"{SERVER}:443"))
        assert reaches(guest, SERVER, 443)  # who names it means it


@isolated
def test_no_rule_leads_to_what_listens_on_this_hosts_loopback_alone() -> None:
    with world() as outside, guest_of(outside) as (network, guest):
        place = ("127.0.0.1", 8000)
        with namespace.inside(outside.namespace_fd, lambda: socket.create_server(place)) as listening:
            listening.setblocking(False)
            for reach in (OPEN, allow("0.0.0.0/0")):
                network.set_reach(reach)
                for address in (EGRESS_GATEWAY, EGRESS_RESOLVER, SERVER):
                    guest.inside(lambda to=address: can_connect(to, place[1], 0.3))  # type: ignore[misc]
                    can_connect(address, place[1], 0.3)  # nor does the hub, whom no rule stands before
            with pytest.raises(BlockingIOError):
                listening.accept()


@isolated
def test_a_change_of_rule_resets_what_it_refuses_and_nothing_else() -> None:
    with world() as outside, guest_of(outside) as (network, guest):
        network.set_reach(OPEN)
        low = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]  # both ends of all are in this process
        opened = guest.inside(
            lambda: [socket.create_connection((SERVER, (80, 443)[n % 2]), 9) for n in range(MANY)]
        )
        assert eventually(lambda: len(outside.accepted) == MANY)
        for descriptor in low:
            os.close(descriptor)
        kept, refused = opened[::2], opened[1::2]
        assert len(flows(1)) == MANY
        assert network.set_reach(allow(f"{SERVER}:80")) == len(refused)
        time.sleep(REFUSED_S)  # nobody says anything meanwhile
        for connection in refused:
            connection.setblocking(False)
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        for connection in kept:
            connection.sendall(b"still there")
        for connection in kept:
            connection.settimeout(9)
            assert connection.recv(100) == b"still there"
        assert {flow.target for flow in flows(1)} == {(SERVER, 80)} and not reaches(guest, SERVER, 443)
        assert _ended(outside.accepted) == len(refused)  # the servers were told as well
        # Were the way out gone, the kernel would have forgotten all that leads through it.
        assert (network.set_reach(NOWHERE), way_out.is_there(), flows(1)) == (len(kept), True, [])
        for connection in opened:
            connection.close()


@isolated
def test_a_name_is_the_address_that_it_was_answered_with_and_its_port() -> None:
    with world() as outside, guest_of(outside) as (network, guest), resolving(network):
        network.set_reach(allow("server.test:80", "*.below.test:443", "evil.test"))
        assert not reaches(guest, SERVER, 80)
        assert asked(guest, "SERVER.test") == (dns.Code.OK, (SERVER,))
        assert reaches(guest, SERVER, 80) and not reaches(guest, SERVER, 443) and not hears(guest, SERVER, 80)
        assert asked(guest, "same.test") == asked(guest, "below.test") == (dns.Code.REFUSED, ())
        assert asked(guest, "a.below.test", tcp=True) == (dns.Code.OK, (OTHER,))
        assert reaches(guest, OTHER, 443) and not reaches(guest, OTHER, 80)
        assert asked(guest, "evil.test") == (dns.Code.OK, ("169.254.169.254",))
        assert not reaches(guest, "169.254.169.254", 80)
        assert asked(guest, "server.test", kind=dns.AAAA) == (dns.Code.OK, ())
        assert outside.asked == ["server.test", "a.below.test", "evil.test"]
        network.set_reach(allow("server.test:443"))
        assert (
            reaches(guest, SERVER, 443) and not reaches(guest, SERVER, 80) and not reaches(guest, OTHER, 443)
        )
        network.set_reach(NOWHERE)
        assert asked(guest, "server.test") == (dns.Code.REFUSED, ()) and len(outside.asked) == 3


@isolated
def test_names_of_branches_are_answered_to_those_linked_with_them_and_asked_nobody() -> None:
    with world() as outside, guest_of(outside) as (network, guest), resolving(network):
        for reach in (NOWHERE, OPEN):
            network.set_reach(reach)
            for tcp in (False, True):
                assert asked(guest, "B2.vertui", tcp=tcp) == (dns.Code.OK, ("10.77.0.2",))
            for kind in (dns.AAAA, dns.CNAME):
                assert asked(guest, "b2.vertui", kind=kind) == (dns.Code.OK, ())
            for name in ("b3.vertui", "x.b2.vertui", "a\0b.vertui", "9.0.77.10.in-addr.arpa"):
                assert asked(guest, name) == (dns.Code.UNKNOWN_NAME, ()), name
            assert guest.inside(lambda: named("2.0.77.10.in-addr.arpa")) == b"\2b2\6vertui\0"
        assert outside.asked == []


@isolated
def test_what_was_answered_while_all_was_open_counts_for_the_rule_that_follows() -> None:
    with world() as outside, guest_of(outside) as (network, guest), resolving(network):
        network.set_reach(OPEN)
        assert asked(guest, "server.test")[1] == (SERVER,) and asked(guest, "a.below.test")[1] == (OTHER,)
        kept = guest.inside(lambda: socket.create_connection((SERVER, 443), 5))
        cut = guest.inside(lambda: socket.create_connection((OTHER, 443), 5))
        assert network.set_reach(allow("server.test")) == 1
        kept.sendall(b"x")
        assert kept.recv(1) == b"x"
        with pytest.raises(ConnectionResetError):
            cut.recv(1)
        kept.close()
        cut.close()
        assert len(outside.accepted) == 2


@isolated
def test_an_adopted_network_keeps_its_rule_and_its_names() -> None:
    with world() as outside, guest_of(outside) as (network, guest):
        rule = allow("server.test:80")
        network.set_reach(rule)
        network.tie("server.test", [SERVER], LEAST_S)
        connection = guest.inside(lambda: socket.create_connection((SERVER, 80), 5))
        adopted = outside.hub.adopt(1, os.dup(network.namespace_fd), network.info.tap)
        assert adopted.reach is None and adopted.set_reach(rule) == 0
        assert reaches(guest, SERVER, 80) and adopted.ties.name_of(SERVER) == "server.test"
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        os.close(adopted.namespace_fd)
        connection.close()


@isolated
def test_who_gets_the_address_next_has_nothing_of_the_last() -> None:
    with world() as outside:
        with guest_of(outside) as (network, guest):
            network.set_reach(OPEN)
            assert reaches(guest, SERVER, 80) and not reaches(guest, "169.254.0.1", 80)
            connection = guest.inside(lambda: socket.create_connection((SERVER, 443), 5))
            assert outside.hub.connected() == {network.info.address}
        assert outside.hub.traffic() == {} and flows(1) == [] and not outside.hub.refused()
        assert outside.hub.connected() == frozenset()
        with guest_of(outside) as (network, guest):
            assert not reaches(guest, SERVER, 80)
        connection.close()


@isolated
def test_a_flood_of_questions_is_dropped_before_anybody_reads_it() -> None:
    with world() as outside, guest_of(outside) as (network, guest), guest_of(outside, 2) as (other, second):
        network.set_reach(OPEN)
        other.set_reach(OPEN)

        def flood() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for number in range(3000):
                    sock.sendto(_question(f"n{number}.test", dns.A), (GUEST_RESOLVER, 53))

        with resolving(network, other):
            guest.inside(flood)
            assert asked(second, "server.test") == (dns.Code.OK, (SERVER,))
            assert len(outside.asked) < 2500


@isolated
def test_a_guest_that_opens_more_and_more_leaves_room_for_others() -> None:
    with world() as outside, guest_of(outside) as (network, guest), guest_of(outside, 2) as (other, second):
        network.set_reach(OPEN)
        other.set_reach(OPEN)

        def much() -> None:
            for port in range(20_000, 20_000 + MOST_CONNECTIONS + 200):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind(("", port))
                    sock.sendto(b"x", (OTHER, 9))
                if port % 50 == 0:
                    time.sleep(0.002)  # who carries the frames is a thread of this process

        guest.inside(much)
        assert MOST_CONNECTIONS - 200 < len(flows(1)) <= MOST_CONNECTIONS
        assert hears(second, SERVER, 80, 5.0) and reaches(second, SERVER, 80)


# -- a guest that asks, and who answers ----------------------------------------------------------------------


class Branch:
    """Asks as its network's rule lets it."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def address_of(self, branch: str) -> str | None:
        return LINKED.get(branch)

    async def wake(self, branch: str) -> None:
        """All are awake."""

    def branch_at(self, address: str) -> str | None:
        return next((name for name, there in LINKED.items() if there == address), None)

    async def may_ask(self, name: str, port: int, protocol: str) -> bool:
        return may_ask(self._network.reach or NOWHERE, name)

    async def tie(self, name: str, addresses: tuple[str, ...], ttl_s: int) -> None:
        await asyncio.to_thread(self._network.tie, name, addresses, ttl_s)


@contextmanager
def resolving(*networks: Network) -> Iterator[None]:
    """Our resolver, in a thread, for these."""
    branches = {network.info.address: Branch(network) for network in networks}
    ready, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        resolver = Resolver(branches.get)
        await resolver.start()
        loops.append(asyncio.get_running_loop())
        ready.set()
        await done.wait()
        await resolver.close()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(done.set)
        thread.join()


def _question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        dns.HEADER.pack(7, dns.RECURSION_DESIRED, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    )


def named(address: str) -> bytes:
    """The name that an address is told to have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((GUEST_RESOLVER, 53))
        question = _question(address, dns.PTR)
        sock.send(question)
        return sock.recv(4096)[len(question) + 12 :]


def asked(guest: Guest, name: str, *, kind: int = dns.A, tcp: bool = False) -> tuple[int, tuple[str, ...]]:
    """How a lookup in the guest ends: its code, and the addresses."""

    def ask() -> bytes:
        data = _question(name, kind)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)  # as glibc does, which asks once more then
            sock.connect((GUEST_RESOLVER, 53))
            if not tcp:
                sock.send(data)
                try:
                    return sock.recv(4096)
                except TimeoutError:
                    sock.send(data)
                    return sock.recv(4096)
            sock.sendall(len(data).to_bytes(2, "big") + data)
            size = int.from_bytes(sock.recv(2, socket.MSG_WAITALL), "big")
            return sock.recv(size, socket.MSG_WAITALL)

    answer = guest.inside(ask)
    told = dns.addresses(answer, dns.question(_question(name, kind)))
    return answer[3] & 15, told.addresses


def _ended(connections: list[socket.socket]) -> int:
    """How many of a server's connections are over."""
    end, over = time.monotonic() + 5, 0
    while time.monotonic() < end and over < len(connections) // 2:
        over = sum(connection.fileno() < 0 or _over(connection) for connection in connections)
    return over


def _over(connection: socket.socket) -> bool:
    state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != 1  # TCP_ESTABLISHED


def _ipv6() -> bytes:
    """A frame of another protocol than any guest of ours speaks."""
    frame = udp_frame(b"six", to=SERVER, router=GATEWAY_MAC)
    ethernet = frame[len(VNET_HEADER) :][:12] + b"\x86\xdd"
    body = (
        struct.pack("!IHBB", 6 << 28, 8, 17, 64) + socket.inet_pton(socket.AF_INET6, "fd00::1") * 2 + bytes(8)
    )
    assert bytes.fromhex(GUEST_MAC.replace(":", "")) in ethernet
    return VNET_HEADER + ethernet + body
