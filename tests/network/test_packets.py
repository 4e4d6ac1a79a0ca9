"""What passes a branch network and what does not, with real packets."""

import errno
import os
import socket

import pytest

from core.network import (
    GATEWAY,
    GUEST_ADDRESS,
    GUEST_MAC,
    HUB_ADDRESS,
    BranchNetwork,
    HubNetwork,
    messages,
    namespace,
    netlink,
)
from core.network.addresses import GATEWAY_MAC
from tests.network.frames import arp_frame, tcp_frame, udp_frame
from tests.network.guest import Guest, can_connect, iproute, ping, received, send
from tests.network.isolation import descriptors, isolated, run_isolated

OUTSIDE = "198.51.100.7"
RST, ACK = 0x04, 0x10
ARP = b"\x08\x06"


def prepared() -> BranchNetwork:
    hub = HubNetwork()
    hub.prepare()
    return hub


def round_trip() -> None:
    network = prepared().create(300)
    network.set_link(True)
    with Guest(network) as guest:
        listening = guest.listen(80)
        with socket.create_connection(("10.77.1.44", 80), 2) as outside:
            inside, (peer, _) = listening.accept()
            with inside:
                outside.sendall(b"in")
                assert inside.recv(10) == b"in"
                inside.sendall(b"out")
                assert outside.recv(10) == b"out"
                assert inside.getsockname()[0] == GUEST_ADDRESS
        assert peer == HUB_ADDRESS
        assert ping("10.77.1.44")
    network.close()


@isolated
def test_the_hub_reaches_a_guest_by_the_branch_address() -> None:
    round_trip()


def test_it_all_works_for_an_ordinary_user_in_a_user_namespace() -> None:
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("/dev/net/tun is not open to this user")
    run_isolated(round_trip, user=True)


@isolated
def test_a_guest_can_ping_the_hub_but_not_connect_to_it() -> None:
    network = prepared().create(1)
    network.set_link(True)
    with socket.create_server(("", 8000)), Guest(network) as guest:
        assert can_connect(HUB_ADDRESS, 8000)
        assert guest.inside(lambda: ping(HUB_ADDRESS))
        assert guest.inside(lambda: ping(GATEWAY))
        assert not guest.inside(lambda: can_connect(HUB_ADDRESS, 8000, 0.3))


@isolated
def test_connections_end_with_the_guest_that_they_led_to_and_no_other_does() -> None:
    hub = prepared()
    one, two = hub.create(1), hub.create(2)
    one.set_link(True)
    two.set_link(True)
    with Guest(one) as first, Guest(two) as second:
        for guest in (first, second):
            guest.listen(80)
        with socket.create_connection((two.info.address, 80), 2) as other:
            for end in (one.reset, one.close):
                with socket.create_connection((one.info.address, 80), 2) as connection:
                    end()
                    with pytest.raises(ConnectionError):
                        connection.recv(1)
            other.settimeout(0.1)
            with pytest.raises(TimeoutError):
                other.recv(1)


@isolated
def test_what_leads_nowhere_is_refused_at_once() -> None:
    network = prepared().create(1)
    network.set_link(True)
    with Guest(network) as guest:
        for nowhere in (OUTSIDE, "10.77.0.9"):
            with pytest.raises(OSError) as refused:
                guest.inside(lambda to=nowhere: socket.create_connection((to, 80), 2))  # type: ignore[misc]
            assert refused.value.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH)


@isolated
def test_a_branch_that_is_not_there_is_not_looked_for_outside() -> None:
    prepared()
    with iproute() as ip:
        ip.link("add", ifname="eg0", kind="veth", peer={"ifname": "eg1"}, state="up")
    netlink.send(messages.default_route(ip="192.0.2.1", ifindex=socket.if_nametoindex("eg0")))
    with pytest.raises(OSError) as refused:
        socket.create_connection(("10.77.0.9", 80), 0.5)
    assert refused.value.errno == errno.EHOSTUNREACH


@isolated
def test_the_first_packet_needs_no_arp() -> None:
    network = prepared().create(1)
    for _ in range(2):
        network.set_link(False)
        network.set_link(True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"first", ("10.77.0.1", 4000))
        (frame,) = received(network, 0.5)
        assert frame[:6].hex(":") == GUEST_MAC
        assert frame.endswith(b"first")


@isolated
def test_frames_with_a_strange_sender_are_dropped() -> None:
    network = prepared().create(1)
    network.set_link(True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as seen:
        seen.bind(("v1", 0x0800))
        seen.settimeout(1)
        for payload, sender in (
            (b"mac", {"mac": "52:54:00:00:00:01"}),
            (b"ip", {"source": "10.0.2.99"}),
            (b"neighbour", {"source": "10.77.0.2"}),
            (b"honest", {}),
        ):
            send(network, udp_frame(payload, to=HUB_ADDRESS, router=GATEWAY_MAC, **sender))
        packet = seen.recv(2048)
    assert packet.endswith(b"honest")
    assert socket.inet_ntoa(packet[12:16]) == "10.77.0.1"


@isolated
def test_arp_is_answered_to_the_guest_alone() -> None:
    network = prepared().create(1)
    network.set_link(True)
    send(network, arp_frame(mac=GUEST_MAC, ip="10.0.2.99", to=GATEWAY))
    send(network, arp_frame(mac="52:54:00:00:00:01", ip=GUEST_ADDRESS, to=GATEWAY))
    assert received(network, 0.1) == []
    send(network, arp_frame(mac=GUEST_MAC, ip=GUEST_ADDRESS, to=GATEWAY))
    (answer,) = received(network, 0.5)
    assert answer[22:28].hex(":") == GATEWAY_MAC


@isolated
def test_a_connection_from_before_the_fork_is_reset() -> None:
    network = prepared().create(1)
    network.set_link(True)
    send(network, tcp_frame(to=OUTSIDE, flags=ACK, router=GATEWAY_MAC))
    (answer,) = [frame for frame in received(network, 0.5) if frame[23] == socket.IPPROTO_TCP]
    assert socket.inet_ntoa(answer[26:30]) == OUTSIDE
    assert answer[47] & RST


@isolated
def test_nothing_passes_while_the_link_is_down() -> None:
    network = prepared().create(1)
    with pytest.raises(OSError, match="Input/output"):
        send(network, udp_frame(b"early", to=HUB_ADDRESS, router=GATEWAY_MAC))
    with Guest(network) as guest:
        guest.listen(80)
        for up in (False, True, True, False, False, True):
            network.set_link(up)
            assert can_connect("10.77.0.1", 80, 2.0 if up else 0.1) is up


@isolated
def test_a_second_tap_takes_over_and_is_guarded_as_the_first() -> None:
    before, hub = descriptors(), prepared()
    network = hub.create(1)
    network.set_link(True)
    for name in ("tap1", "tap0", "tap1"):
        network.second_tap()
        network.switch()
        network.drop_second_tap()
        assert network.info.tap == name
        send(network, arp_frame(mac="52:54:00:00:00:01", ip=GUEST_ADDRESS, to=GATEWAY))
        assert not [frame for frame in received(network, 0.5) if frame[12:14] == ARP]
        with Guest(network) as guest:
            guest.listen(80)
            assert can_connect("10.77.0.1", 80)
    found = namespace.inside(network.namespace_fd, socket.if_nameindex)
    assert {name for _, name in found if name.startswith("tap")} == {"tap1"}
    adopted = hub.adopt(1, os.dup(network.namespace_fd), "tap1")
    assert adopted.info == network.info
    network.close()
    os.close(adopted.namespace_fd)
    assert len(descriptors()) == len(before) + 1  # the hub's own
