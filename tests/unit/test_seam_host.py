"""`HostPorts`: what the porter and its twin both do."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from core.errors import Conflict, DaemonUnavailable, UsageError
from core.holder import porter
from core.holder.listening import KEY, KINDS, PorterPorts
from core.holder.protocol import HostPorts
from core.inward import PortProtocol
from tests.twins.held import TwinHeld
from tests.twins.host import TwinHost

LOOPBACK = "127.0.0.1"
TCP, UDP = PortProtocol.TCP, PortProtocol.UDP


@dataclass(frozen=True)
class Host:
    """Where ports are opened, and how they are reached."""

    ports: HostPorts
    connect: Callable[[str, int, PortProtocol], socket.socket]

    def reached(self, port: int) -> bool:
        try:
            self.connect(LOOPBACK, port, TCP).close()
        except OSError:
            return False
        return True


def connect(address: str, port: int, protocol: PortProtocol) -> socket.socket:
    made = socket.socket(socket.AF_INET, KINDS[protocol])
    made.settimeout(20)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made


@pytest.fixture(params=["porter", "twin"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    if request.param == "twin":
        twin = TwinHost()
        yield Host(twin, twin.connect)
        return
    held = TwinHeld()
    pid, jobs = porter.start()
    held.keep(KEY, jobs.fileno())
    jobs.close()
    yield Host(PorterPorts(held), connect)
    held.close()
    os.waitpid(pid, 0)


def test_a_port_is_open_until_the_last_copy_of_its_socket_is_closed(host: Host) -> None:
    made, port = host.ports.listen(LOOPBACK, 0, TCP)
    assert port > 1023 and not made.get_inheritable()
    copy = made.dup()
    with host.connect(LOOPBACK, port, TCP) as visitor, made.accept()[0] as guest:
        visitor.sendall(b"words")
        assert guest.recv(100) == b"words"
    made.close()
    with pytest.raises(Conflict, match=f"port {port} of {LOOPBACK} is taken"):
        host.ports.listen(LOOPBACK, port, TCP)
    assert host.reached(port)
    copy.close()
    assert not host.reached(port)
    host.ports.listen(LOOPBACK, port, TCP)[0].close()


def test_ports_of_udp_are_others(host: Host) -> None:
    stream, port = host.ports.listen(LOOPBACK, 0, TCP)
    datagrams, same = host.ports.listen(LOOPBACK, port, UDP)
    assert same == port
    with stream, datagrams, host.connect(LOOPBACK, port, UDP) as sender:
        with pytest.raises(Conflict):
            host.ports.listen(LOOPBACK, port, UDP)
        sender.send(b"words")
        datagrams.settimeout(20)
        assert datagrams.recv(100) == b"words"


def test_free_ports_differ(host: Host) -> None:
    made = [host.ports.listen(LOOPBACK, 0, TCP) for _ in range(8)]
    assert len({port for _, port in made}) == 8
    for one, _ in made:
        one.close()


def test_an_address_of_others_is_refused(host: Host) -> None:
    with pytest.raises(UsageError, match=r"no address 203\.0\.113\.7"):
        host.ports.listen("203.0.113.7", 0, TCP)


def test_a_porter_that_is_gone_says_so() -> None:
    held = TwinHeld()
    with pytest.raises(DaemonUnavailable, match="stop --all"):
        PorterPorts(held).listen(LOOPBACK, 0, TCP)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        held.keep(KEY, ours.fileno())
    theirs.close()
    with pytest.raises(DaemonUnavailable, match="stop --all"):
        PorterPorts(held).listen(LOOPBACK, 0, TCP)
    held.close()


def test_nonsense_leaves_the_porter_at_work() -> None:
    held = TwinHeld()
    pid, jobs = porter.start()
    held.keep(KEY, jobs.fileno())
    for nonsense in (
        b"{}",
        b'{"address": 1, "port": "x", "protocol": "sctp"}',
        b'{"address": "x", "port": -1}',
    ):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            socket.send_fds(jobs, [nonsense], [theirs.fileno()])
            ours.settimeout(20)
            assert b"errno" in ours.recv(100)
        jobs.send(nonsense)
    jobs.close()
    PorterPorts(held).listen(LOOPBACK, 0, TCP)[0].close()
    held.close()
    os.waitpid(pid, 0)
