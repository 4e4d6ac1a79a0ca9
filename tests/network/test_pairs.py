"""Linked branches, with real packets: who reaches whom, what of it, and what ends when they are linked no more."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from core.network import (
    GATEWAY,
    GUEST_ADDRESS,
    BranchNetwork,
    HubNetwork,
    Network,
    conntrack,
    namespace,
    pairs,
)
from core.network.addresses import GATEWAY_MAC, UPLINK, address_of
from core.network.rules import PAIRED
from tests.guests import eventually
from tests.network.frames import tcp_frame, udp_frame
from tests.network.guest import Guest, can_connect, ping, received, send
from tests.network.isolation import isolated
from tests.network.test_attempts import heard_within

ALL_ETHERNET = 3
ACK, SYN_ACK = 0x10, 0x12
ENDS_S = 1.0


@contextmanager
def three() -> Iterator[tuple[BranchNetwork, list[Network], list[Guest]]]:
    """A hub with three branches, whose guests all have one address."""
    hub = HubNetwork()
    hub.prepare()
    networks = [hub.create(index) for index in (1, 2, 300)]
    for network in networks:
        network.set_link(True)
    with Guest(networks[0]) as one, Guest(networks[1]) as two, Guest(networks[2]) as other:
        yield hub, list(networks), [one, two, other]


def reaches(guest: Guest, index: int, port: int = 80) -> bool:
    return guest.inside(lambda: can_connect(address_of(index), port, 5.0))


def opened(guest: Guest, index: int, listening: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection from a guest to a branch."""
    ours = guest.inside(lambda: socket.create_connection((address_of(index), 80), 5))
    theirs, _ = listening.accept()
    return ours, theirs


def is_over(connection: socket.socket) -> bool:
    """Does an end that says nothing learn that it is?"""
    connection.settimeout(ENDS_S)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def goes_on(ours: socket.socket, theirs: socket.socket) -> bool:
    for source, target in ((ours, theirs), (theirs, ours)):
        source.sendall(b"x")
        target.settimeout(5)
        if target.recv(1) != b"x":
            return False
    return True


@contextmanager
def echo(guest: Guest, port: int) -> Iterator[None]:
    """Somebody in the guest who answers by UDP."""
    sock = guest.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind(("", port))
    sock.settimeout(0.1)
    done = threading.Event()

    def answer() -> None:
        while not done.is_set():
            with suppress(TimeoutError):
                sock.sendto(*sock.recvfrom(100))

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        sock.close()


def asking(guest: Guest, index: int, port: int) -> tuple[socket.socket, Callable[[], bool]]:
    """A UDP socket of the guest's, and whether it is answered."""
    sock = guest.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.settimeout(0.5)

    def answered() -> bool:
        try:
            sock.sendto(b"hello", (address_of(index), port))
            return sock.recv(100) == b"hello"
        except OSError:
            return False

    return sock, answered


@isolated
def test_linked_branches_reach_each_other_and_nobody_else_though_all_have_one_address() -> None:
    with three() as (hub, _, guests):
        one, two, other = guests
        listening = [guest.listen(80) for guest in guests]
        hub.set_pairs({(1, 2)})
        ours, theirs = opened(one, 2, listening[1])
        with ours, theirs:
            assert goes_on(ours, theirs)
            assert theirs.getsockname()[0] == GUEST_ADDRESS and theirs.getpeername()[0] == address_of(1)
        assert (
            reaches(two, 1)
            and one.inside(lambda: ping(address_of(2)))
            and two.inside(lambda: ping(address_of(1)))
        )
        with echo(two, 4000):
            sock, answered = asking(one, 2, 4000)
            with sock:
                assert eventually(answered)
        for guest, strangers in ((one, (300,)), (two, (300,)), (other, (1, 2))):
            for stranger in strangers:
                with pytest.raises(OSError) as refused:
                    guest.inside(lambda to=stranger: socket.create_connection((address_of(to), 80), 5))  # type: ignore[misc]
                assert not isinstance(refused.value, TimeoutError)  # at once
                assert not guest.inside(lambda to=stranger: ping(address_of(to), 0.2))  # type: ignore[misc]


@isolated
def test_what_is_open_ends_at_both_ends_when_they_are_linked_no_more_and_the_rest_goes_on() -> None:
    with three() as (hub, _, guests):
        one, two, other = guests
        listening = [guest.listen(80) for guest in guests]
        hub.set_pairs({(1, 2), (2, 300)})
        cut = [*opened(one, 2, listening[1]), *opened(two, 1, listening[0])]
        kept = opened(other, 2, listening[1])
        with echo(two, 4000):
            sock, answered = asking(one, 2, 4000)
            with sock:
                assert eventually(answered)
                hub.set_pairs({(2, 300)})
                assert not answered() and not reaches(one, 2) and not reaches(two, 1)
        assert [is_over(end) for end in cut] == [True] * 4  # nobody said anything
        assert goes_on(*kept) and reaches(two, 300)
        assert {pair for flow in conntrack.flows(PAIRED) for pair in (flow.source[0], flow.target[0])} == {
            address_of(2),
            address_of(300),
        }
        for end in (*cut, *kept):
            end.close()


@isolated
def test_who_is_connected_to_a_machine_that_ends_or_is_exchanged_is_told() -> None:
    with three() as (hub, networks, guests):
        one, two, _ = guests
        hub.set_pairs({(1, 2)})
        listening = two.listen(80), one.listen(80)
        for end in (networks[0].reset, networks[0].close):
            ends = [*opened(one, 2, listening[0]), *opened(two, 1, listening[1])]
            end()
            assert is_over(ends[1]) and is_over(ends[2])  # the second guest's
            for connection in ends:
                connection.close()
        assert not reaches(two, 1)  # nor does it wait for who is not there
        assert pairs.paired() == {(1, 2)}  # should it get a machine again


@isolated
def test_nothing_of_the_others_namespace_is_reached_but_its_guest() -> None:
    with three() as (hub, networks, guests):
        one, two, _ = guests
        hub.set_pairs({(1, 2)})

        def host_side() -> list[socket.socket]:
            made = [socket.create_server(("", port)) for port in (80, 81)]
            taps = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
            taps[0].bind(("", 82))
            return made + taps

        servers = namespace.inside(networks[1].namespace_fd, host_side)
        two.listen(80)
        assert reaches(one, 2, 80) and not reaches(one, 2, 81)
        send(networks[0], udp_frame(b"x", to=address_of(2), router=GATEWAY_MAC))
        for flags in (ACK, SYN_ACK):
            send(networks[0], tcp_frame(to=address_of(2), flags=flags, router=GATEWAY_MAC))
        for port, address in ((80, GATEWAY), (22, "10.0.2.3")):
            assert not one.inside(lambda a=address, p=port: can_connect(a, p, 0.3))  # type: ignore[misc]
        for server in servers:
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.recv(1) if server.type is socket.SOCK_DGRAM else server.accept()
            server.close()


@isolated
def test_nobody_takes_the_place_of_a_linked_one() -> None:
    with three() as (hub, networks, guests):
        two = guests[1]
        hub.set_pairs({(1, 2)})
        two.listen(80)
        for source in (address_of(1), "10.77.0.9"):
            send(networks[2], udp_frame(b"forged", source=source, to=address_of(2), router=GATEWAY_MAC))
        send(networks[2], udp_frame(b"own", to=address_of(2), router=GATEWAY_MAC))
        assert not [frame for frame in received(networks[1], 0.3) if b"forged" in frame or b"own" in frame]


@isolated
def test_a_segment_of_no_connection_is_reset_and_goes_no_further() -> None:
    with three() as (hub, networks, _):
        hub.set_pairs({(1, 2)})
        with uplink_of(networks[1]) as arrived:
            send(networks[0], tcp_frame(to=address_of(2), flags=ACK, router=GATEWAY_MAC))
            assert not arrived()


@contextmanager
def uplink_of(network: Network) -> Iterator[Callable[[], list[bytes]]]:
    """What comes from the hub to a branch's namespace."""
    kind = socket.htons(ALL_ETHERNET)
    seen = namespace.inside(
        network.namespace_fd, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, kind)
    )
    seen.bind((UPLINK, ALL_ETHERNET))
    seen.settimeout(0.3)

    def frames() -> list[bytes]:
        found = []
        try:
            while True:
                frame, (_, _, way, *_) = seen.recvfrom(2048)
                if way != socket.PACKET_OUTGOING:
                    found.append(frame)
        except TimeoutError:
            return found

    with seen:
        yield frames


@isolated
def test_pairs_are_what_was_asked_for_last_also_of_another_daemon() -> None:
    with three() as (hub, _, guests):
        two = guests[1]
        two.listen(80)
        most = {(one, other) for one in range(1, 65) for other in range(one + 1, 65)}
        for wanted in (most, {(1, 2)}):
            hub.set_pairs(wanted)
            assert pairs.paired() == wanted
        later = HubNetwork()
        later.prepare()
        assert later.sweep({1, 2, 300}) == () and reaches(guests[0], 2)
        later.set_pairs(())
        assert pairs.paired() == set() and not reaches(guests[0], 2)


@isolated
def test_who_is_asleep_is_looked_for_and_answers_once_it_is_awake() -> None:
    answered: list[bool] = []
    with three() as (hub, _, [one, other, _]):
        hub.set_pairs({(1, 5)})
        hub.set_asleep({5})
        assert not reaches(one, 5)  # while nobody listens it is refused, as any that is not there
        heard = hub.listen()
        assert heard is not None
        visitor = threading.Thread(target=lambda: answered.append(reaches(one, 5)))
        visitor.start()
        [tried] = heard_within(heard)
        assert (tried.source[0], tried.target) == (address_of(1), (address_of(5), 80))
        assert not reaches(other, 5) and not answered
        network = hub.create(5)
        network.set_link(True)
        with Guest(network) as awake:
            awake.listen(80)
            hub.set_asleep(())
            visitor.join()
        assert answered == [True]
        heard.close()
        network.close()
