"""What a guest sends that it may not, or far too much of: nobody else notices, and no table fills up."""

import time
from pathlib import Path

from core.network import GATEWAY, GUEST_ADDRESS, GUEST_MAC, HubNetwork, Network, namespace, nft, rules
from core.network.addresses import GATEWAY_MAC, TAP
from core.network.rules import BURST_FRAMES, MOST_CONNECTIONS, MOST_FRAMES
from tests.network.frames import FORGED, SIBLING, arp_frame, from_port, udp_frame
from tests.network.guest import Guest, can_connect, received, send
from tests.network.isolation import isolated

CONNECTIONS = 50_000
FLOOD, FEW = 10_000, 100
SOME_MORE = 100  # beside the guest's own: the test's


def prepared(*indexes: int) -> list[Network]:
    hub = HubNetwork()
    hub.prepare()
    networks: list[Network] = [hub.create(index) for index in indexes]
    for network in networks:
        network.set_link(True)
    return networks


def taken_in(network: Network) -> int:
    """How many packets IP was given in a branch's namespace."""

    def read() -> int:
        old = dict(zip(*(line.split() for line in _snmp("snmp", "Ip:")), strict=True))["InReceives"]
        new = [line.split()[1] for line in _snmp("snmp6", "Ip6InReceives")]
        return int(old) + sum(map(int, new))

    return namespace.inside(network.namespace_fd, read)


def _snmp(name: str, start: str) -> list[str]:
    path = Path("/proc/thread-self/net") / name
    return [line for line in path.read_text().split("\n") if line.startswith(start)] if path.exists() else []


def connections() -> int:
    """How many the namespace of this thread follows."""
    return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())


@isolated
def test_what_is_not_the_guests_own_reaches_no_stack() -> None:
    [network] = prepared(1)
    for what, frame in FORGED.items():
        before = taken_in(network)
        send(network, frame)
        send(network, udp_frame(b"honest", to=GATEWAY, router=GATEWAY_MAC))
        assert taken_in(network) - before == 1, what


@isolated
def test_arp_for_others_is_neither_believed_nor_answered() -> None:
    [network] = prepared(1)
    for mac, ip in (
        (GUEST_MAC, "10.0.2.99"),
        (GUEST_MAC, GATEWAY),
        (GATEWAY_MAC, GUEST_ADDRESS),
        (GUEST_MAC, "0.0.0.0"),
    ):
        send(network, arp_frame(mac=mac, ip=ip, to=GATEWAY))
    assert received(network, 0.2) == []
    table = namespace.inside(network.namespace_fd, Path("/proc/thread-self/net/arp").read_text)
    assert GUEST_MAC in table and "10.0.2.99" not in table and GATEWAY_MAC not in table


@isolated
def test_a_guest_that_connects_without_end_fills_no_table() -> None:
    one, two = prepared(1, 2)
    nft.apply(f"add element inet vertui linked {{ 10.77.0.1 . {SIBLING} }}")
    with Guest(two) as sibling:
        sibling.listen(80)
        frame = udp_frame(b"", to=SIBLING, router=GATEWAY_MAC)
        for number in range(CONNECTIONS):
            send(one, from_port(frame, 1000 + number))
        own = namespace.inside(one.namespace_fd, connections)
        assert MOST_CONNECTIONS / 2 < own <= MOST_CONNECTIONS + SOME_MORE
        assert connections() <= MOST_CONNECTIONS + SOME_MORE
        assert namespace.inside(two.namespace_fd, connections) <= MOST_CONNECTIONS + SOME_MORE
        assert can_connect(SIBLING, 80)


@isolated
def test_a_guest_that_sends_to_all_its_neighbours_has_none_of_them_looked_for() -> None:
    """The kernel's table of neighbours is one for all namespaces, the host's own included, and has 1,024 places."""
    [network] = prepared(1)
    for number in range(1, 255):
        send(network, udp_frame(b"", to=f"10.0.2.{number}", router=GATEWAY_MAC))
        send(network, arp_frame(mac=GUEST_MAC, ip=GUEST_ADDRESS, to=f"10.0.2.{number}"))
    table = namespace.inside(network.namespace_fd, Path("/proc/thread-self/net/arp").read_text)
    known = {line.split()[0] for line in table.splitlines()[1:]}
    assert GUEST_ADDRESS in known and not {one for one in known if one.startswith("10.0.2.")} - {
        GUEST_ADDRESS
    }


@isolated
def test_a_guest_that_sends_without_end_is_heard_so_often_and_no_more() -> None:
    """With smaller numbers in the rule: to send more than it allows takes an idle processor."""
    [network] = prepared(1)
    guard = rules.guard(TAP, bounded=True)
    slower = guard.replace(f"{MOST_FRAMES}/second", f"{FEW}/second").replace(
        f"burst {BURST_FRAMES}", f"burst {FEW}"
    )
    assert guard.count(str(MOST_FRAMES)) == guard.count(str(BURST_FRAMES)) == 1
    namespace.inside(network.namespace_fd, lambda: nft.apply(slower))
    frame, before, began = udp_frame(b"", to=GATEWAY, router=GATEWAY_MAC), taken_in(network), time.monotonic()
    for _ in range(FLOOD):
        send(network, frame)
    heard, most = taken_in(network) - before, FEW * (1 + time.monotonic() - began)
    assert FEW <= heard <= most + 1


@isolated
def test_where_the_kernel_cannot_count_a_guest_is_guarded_all_the_same() -> None:
    assert not nft.accepts("add rule inet nothing nothing drop") and nft.accepts(rules.COUNTING)
    hub = HubNetwork()
    hub.prepare()
    network = hub.create(1)
    network.set_link(True)
    namespace.inside(
        network.namespace_fd,
        lambda: nft.apply(rules.branch("10.77.0.1", bounded=False) + rules.guard(TAP, bounded=False)),
    )
    before = taken_in(network)
    for frame in FORGED.values():
        send(network, frame)
    assert taken_in(network) == before
    send(network, udp_frame(b"", to=GATEWAY, router=GATEWAY_MAC))
    assert taken_in(network) == before + 1
