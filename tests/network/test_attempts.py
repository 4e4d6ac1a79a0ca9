"""What a hub refuses is heard of while who tries waits for the answer, so that it can be asked who that is."""

import errno
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.network import HubNetwork
from core.network.protocol import Heard, Tried
from core.network.rules import HEARD_S, TOLD_PER_S
from tests.network.guest import Guest
from tests.network.isolation import isolated

SERVER = "198.51.100.2"
AT_ONCE_S = 0.5  # a kernel that was not answered tries again after a second


@contextmanager
def guest_of_hub() -> Iterator[tuple[HubNetwork, Guest]]:
    """Of a hub without a way out."""
    hub = HubNetwork()
    hub.prepare()
    network = hub.create(1)
    network.set_link(True)
    with Guest(network) as guest:
        yield hub, guest
    network.close()


def heard_within(heard: Heard, seconds: float = 5.0) -> list[Tried]:
    select.select([heard.fileno()], [], [], seconds)
    return list(heard.read())


def tries(guest: Guest, port: int) -> tuple[socket.socket, Callable[[], int]]:
    """A connection that is being made, and how that ends: its error, once it is there."""
    sock = guest.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(sock.connect_ex((SERVER, port))))
    thread.start()

    def end() -> int:
        thread.join()
        sock.close()
        return ended[0]

    return sock, end


def refused_at_once(guest: Guest, port: int) -> bool:
    began = time.monotonic()
    _, end = tries(guest, port)
    return end() == errno.ECONNREFUSED and time.monotonic() - began < AT_ONCE_S


@isolated
def test_a_connection_waits_until_it_was_heard_of_and_is_refused_then() -> None:
    with guest_of_hub() as (hub, guest):
        assert refused_at_once(guest, 79)
        heard = hub.listen()
        assert heard is not None
        sock, end = tries(guest, 80)
        [one] = heard_within(heard)
        assert (one.source, one.target) == (("10.77.0.1", sock.getsockname()[1]), (SERVER, 80))
        began = time.monotonic()
        heard.reset(one)
        assert end() == errno.ECONNREFUSED and time.monotonic() - began < AT_ONCE_S
        assert refused_at_once(guest, 80) and heard_within(heard, 0.1) == []  # told once
        assert {(one.host, one.port): one.times for one in hub.refused()[1]} == {
            (SERVER, 79): 1,
            (SERVER, 80): 2,
        }
        with guest.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as datagrams:
            datagrams.sendto(b"x", (SERVER, 53))
            [one] = heard_within(heard)
            assert one.protocol == "udp" and one.source[1] == datagrams.getsockname()[1]
        heard.close()
        assert refused_at_once(guest, 81) and HEARD_S > 10


@isolated
def test_who_tries_much_is_refused_without_a_word() -> None:
    with guest_of_hub() as (hub, guest):
        heard = hub.listen()
        assert heard is not None
        with guest.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as datagrams:
            for port in range(1000, 1500):
                datagrams.sendto(b"x", (SERVER, port))
        time.sleep(0.3)
        assert 0 < len(heard_within(heard)) < 5 * TOLD_PER_S
        [counted] = hub.traffic().values()
        assert counted.refused == 500
        heard.close()


@isolated
def test_nobody_who_reads_keeps_it_no_longer_than_a_kernel_tries_again() -> None:
    with guest_of_hub() as (hub, guest):
        heard = hub.listen()
        assert heard is not None
        began = time.monotonic()
        _, end = tries(guest, 80)
        assert end() == errno.ECONNREFUSED and 0.5 < time.monotonic() - began < 5
        hub.prepare()  # as the next daemon does
        assert refused_at_once(guest, 81)
        heard.close()
