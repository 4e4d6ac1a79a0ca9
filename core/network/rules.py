"""The rule sets: what the hub lets through, and what a branch's namespace does to its guest's packets.

Egress, in the hub: `egress` leads each branch that may reach something to a chain of its own, `e<index>`, and every
other one to `refuse`. Connections that are open pass before that: those that a new rule ends are cut (`cut.py`).
"""

from collections.abc import Iterable, Iterator, Mapping

from core.network.addresses import (
    BRANCH_NETWORK,
    BRANCH_PREFIX,
    EGRESS,
    GUEST_ADDRESS,
    GUEST_MAC,
    GUEST_RESOLVER,
    HUB_ADDRESS,
    RESOLVER_PORT,
    SWAPPER_PORT,
    UPLINK,
    Pair,
    address_of,
)
from core.network.ties import NEVER, Tie, never
from core.reach import Destination, Reach, ReachMode, network

BRANCHES = f"{BRANCH_NETWORK}/{BRANCH_PREFIX}"
ASKED_PER_S = 100  # names that a branch may have looked up; what floods is dropped before anybody reads it
VISITS_PER_S, BURST_VISITS = 50, 200  # connections to the swapper that a branch may begin
MOST_CONNECTIONS = 4096
"""Of a guest's own making, at a time: each takes a place in tables that all branches share. Sixty-four such guests fill
a usual table of the hub's.
"""
MOST_FRAMES = 50_000
"""Of a guest, a second. It sends 64 KiB in a frame, where it sends much."""
BURST_FRAMES = 20_000
MOST_REFUSED = 16_384  # destinations that are remembered as refused, of all branches
REMEMBERED_S = 3600
PAIRED = 1 << 16
"""Connections between branches have this mark; those to the outside have their branch's index, which is smaller."""
TOLD = 1
"""The mark of packets by which the hub tells the ends of a connection that it is over: they begin no other."""
GROUP, SEEN_BYTES = 7, 128  # where the log of refusals is read, and how much of a packet is in it
HEARD_S = 60  # until the same attempt is told again
TOLD_PER_S = 10  # attempts of a branch that are told; what is tried beyond is refused without a word

HUB = f"""
add table inet vertui
add set inet vertui linked {{ type ipv4_addr . ipv4_addr; }}
add set inet vertui asleep {{ type ipv4_addr; }}
add map inet vertui egress {{ type ipv4_addr : verdict; }}
add set inet vertui never {{ type ipv4_addr; flags interval; }}
add element inet vertui never {{ {", ".join(map(str, NEVER))} }}
add set inet vertui traffic {{ type ipv4_addr; size 65535; flags dynamic; counter; }}
add set inet vertui refusals {{ type ipv4_addr; size 65535; flags dynamic; counter; }}
add set inet vertui refused {{
  type ipv4_addr . ipv4_addr . inet_proto . inet_service; size {MOST_REFUSED};
  flags dynamic,timeout; timeout {REMEMBERED_S}s; counter;
}}
add set inet vertui asking {{ type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }}
add chain inet vertui told {{ type filter hook output priority raw; }}
add chain inet vertui inward {{ type filter hook prerouting priority filter; }}
add set inet vertui heard {{
  type ipv4_addr . ipv4_addr . inet_proto . inet_service; size {MOST_REFUSED}; flags dynamic,timeout;
  timeout {HEARD_S}s;
}}
add set inet vertui trying {{ type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }}
add set inet vertui visiting {{ type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }}
add chain inet vertui refuse
add chain inet vertui tell
add chain inet vertui awaken
add chain inet vertui admitted
add chain inet vertui outward
add chain inet vertui forward {{ type filter hook forward priority filter; policy drop; }}
add chain inet vertui input {{ type filter hook input priority filter; policy drop; }}
add chain inet vertui masked {{ type nat hook postrouting priority srcnat; }}
flush chain inet vertui told
flush chain inet vertui inward
flush chain inet vertui refuse
flush chain inet vertui tell
flush chain inet vertui awaken
flush chain inet vertui admitted
flush chain inet vertui outward
flush chain inet vertui forward
flush chain inet vertui input
flush chain inet vertui masked
add rule inet vertui told meta mark {TOLD} notrack
add rule inet vertui inward iifname "v*" ip daddr {BRANCHES} ip daddr != {HUB_ADDRESS} \
  ct state invalid meta l4proto tcp reject with tcp reset
add rule inet vertui inward iifname "v*" ip saddr . ip daddr @linked ip daddr @asleep ct state new jump awaken
add rule inet vertui refuse update @refusals {{ ip saddr }}
add rule inet vertui refuse meta l4proto {{ tcp, udp }} \
  update @refused {{ ip saddr . ip daddr . meta l4proto . th dport }}
add rule inet vertui refuse jump tell
add rule inet vertui refuse meta l4proto tcp reject with tcp reset
add rule inet vertui refuse reject with icmp type admin-prohibited
add rule inet vertui admitted update @traffic {{ ip saddr }} accept
add rule inet vertui outward ct state established,related goto admitted
add rule inet vertui outward ct state invalid meta l4proto tcp reject with tcp reset
add rule inet vertui outward ct state invalid drop
add rule inet vertui outward ip saddr vmap @egress
add rule inet vertui outward goto refuse
add rule inet vertui forward iifname "{EGRESS}" ct state established,related update @traffic {{ ip daddr }} accept
add rule inet vertui forward iifname "{EGRESS}" drop
add rule inet vertui forward ip daddr {BRANCHES} ct state established,related accept
add rule inet vertui forward ip saddr . ip daddr @linked ct state new ct mark set {PAIRED} accept
add rule inet vertui forward ip daddr {BRANCHES} reject with icmp type admin-prohibited
add rule inet vertui forward ip saddr {BRANCHES} goto outward
add rule inet vertui input iifname "lo" accept
add rule inet vertui input iifname "v*" ip daddr {HUB_ADDRESS} meta l4proto {{ tcp, udp }} th dport {RESOLVER_PORT} \
  update @asking {{ ip saddr limit rate {ASKED_PER_S}/second burst {ASKED_PER_S} packets }} accept
add rule inet vertui input iifname "v*" meta l4proto {{ tcp, udp }} th dport {RESOLVER_PORT} drop
add rule inet vertui input iifname "v*" ip daddr {HUB_ADDRESS} tcp dport {SWAPPER_PORT} ct state new \
  update @visiting {{ ip saddr limit rate {VISITS_PER_S}/second burst {BURST_VISITS} packets }} accept
add rule inet vertui input ct state established,related accept
add rule inet vertui input icmp type echo-request accept
add rule inet vertui masked oifname "{EGRESS}" ip saddr {BRANCHES} masquerade
"""
"""The hub. Branches meet only as pairs in `linked`, which survives a daemon, as what `egress` leads to does. A segment
of a connection between branches that is not known any more is reset, also where the other branch has no machine. Those
in `asleep` have none, and no route leads to them: what begins with them is led to `awaken` before one is looked for.

Guests cannot open connections to the hub itself, but to its resolver and for the swapper: what else listens there is
not theirs to talk to.
Answers to connections the hub opened come back, and a guest may ping its uplink.
"""


TELL = f"""
flush chain inet vertui tell
add rule inet vertui tell meta l4proto != {{ tcp, udp }} return
add rule inet vertui tell ip saddr . ip daddr . meta l4proto . th dport @heard return
add rule inet vertui tell update @trying {{ ip saddr limit rate over {TOLD_PER_S}/second burst {TOLD_PER_S} packets }} \
  return
add rule inet vertui tell add @heard {{ ip saddr . ip daddr . meta l4proto . th dport }} \
  log group {GROUP} snaplen {SEEN_BYTES} queue-threshold 1 \
  tcp flags & (fin | syn | rst | ack) == syn drop
flush chain inet vertui awaken
add rule inet vertui awaken \
  update @trying {{ ip saddr limit rate over {TOLD_PER_S}/second burst {TOLD_PER_S} packets }} drop
add rule inet vertui awaken log group {GROUP} snaplen {SEEN_BYTES} queue-threshold 1
add rule inet vertui awaken drop
"""
"""While somebody reads the log (`attempts.py`). What is for a branch that is asleep is dropped, and sent again: a
connection after a second, and after more.
"""

TELL_NOBODY = "flush chain inet vertui tell\nflush chain inet vertui awaken"


def shielded(addresses: Iterable[str]) -> str:
    """What no open egress leads to from now on: what never does, and the host's own addresses."""
    others = dict.fromkeys(address for address in addresses if not never(address))
    elements = ", ".join((*map(str, NEVER), *others))
    return f"flush set inet vertui never\nadd element inet vertui never {{ {elements} }}"


def paired(added: Iterable[Pair], removed: Iterable[Pair]) -> str:
    """Let these pairs of branches talk to each other from now on, and those no more."""
    changes = {"add": [*_both_ways(added)], "delete": [*_both_ways(removed)]}
    return "\n".join(
        f"{do} element inet vertui linked {{ {', '.join(ways)} }}" for do, ways in changes.items() if ways
    )


def asleep(indexes: Iterable[int]) -> str:
    """Exactly these branches are asleep."""
    elements = ", ".join(map(address_of, indexes))
    return "flush set inet vertui asleep" + (
        f"\nadd element inet vertui asleep {{ {elements} }}" if elements else ""
    )


def _both_ways(pairs: Iterable[Pair]) -> Iterator[str]:
    for one, other in (map(address_of, pair) for pair in pairs):
        yield f"{one} . {other}, {other} . {one}"


def egress(index: int, reach: Reach, ties: Iterable[Tie]) -> str:
    """Let a branch reach this and nothing else from now on, its names being what `ties` say."""
    if reach.mode is ReachMode.OFF:
        return no_egress(index)
    chain, address = f"inet vertui e{index}", address_of(index)
    lines = [
        *_there(index),
        f"flush chain {chain}",
        *(f"flush set inet vertui {kind}{index}" for kind in "hn"),
    ]
    lines += [*tied(index, ties), f"add rule {chain} ct mark set {index}"]
    lines += [f"add rule {chain} {match}" for match in _matches(index, reach)]
    lines += [
        f"add rule {chain} goto refuse",
        f"add element inet vertui egress {{ {address} : goto e{index} }}",
    ]
    return "\n".join(lines)


def tied(index: int, ties: Iterable[Tie]) -> Iterator[str]:
    """Let a branch's chain know what its names stand for; a tie that is there already holds for longer."""
    for tie in ties:
        end = f"{tie.address} . {tie.protocol} . {tie.port}" if tie.port else tie.address
        element = f"element inet vertui {'n' if tie.port else 'h'}{index} {{ {end}"
        yield f"add {element} }}"
        yield f"delete {element} }}"
        yield f'add {element} timeout {tie.seconds}s comment "{tie.name[-100:]}" }}'


def no_egress(index: int) -> str:
    """Let a branch reach nothing from now on."""
    element = f"element inet vertui egress {{ {address_of(index)} : goto e{index} }}"
    gone = (f"chain inet vertui e{index}", f"set inet vertui h{index}", f"set inet vertui n{index}")
    return "\n".join(
        (*_there(index), f"add {element}", f"delete {element}", *(f"delete {what}" for what in gone))
    )


def forgotten(addresses: Mapping[int, str], attempts: Iterable[str]) -> str:
    """No egress of these branches, nothing counted, none of these elements of `refused`: others get the addresses."""
    counted = [(name, address) for address in addresses.values() for name in ("traffic", "refusals")]
    known = [*counted, *(("refused", attempt) for attempt in attempts)]
    gone = (f"{do} element inet vertui {name} {{ {key} }}" for name, key in known for do in ("add", "delete"))
    return "\n".join((*map(no_egress, addresses), *gone))


def _there(index: int) -> tuple[str, ...]:
    return (
        f"add chain inet vertui e{index}",
        f"add set inet vertui h{index} {{ type ipv4_addr; flags timeout; }}",
        f"add set inet vertui n{index} {{ type ipv4_addr . inet_proto . inet_service; flags timeout; }}",
    )


def _matches(index: int, reach: Reach) -> Iterator[str]:
    if reach.mode is ReachMode.OPEN:
        yield "ip daddr != @never goto admitted"
        return
    for to in reach.to:
        if (net := network(to)) is not None:
            yield f"ip daddr {net}{_at(to)} goto admitted"
    yield f"ip daddr @h{index} goto admitted"
    yield f"ip daddr . meta l4proto . th dport @n{index} goto admitted"


def _at(to: Destination) -> str:
    return f" {to.protocol} dport {to.port}" if to.port else ""


COUNTING = """
add table inet vertui-tried
add chain inet vertui-tried counting
add rule inet vertui-tried counting ct state new ct count over 1 drop
add rule inet vertui-tried counting limit rate over 1/second burst 1 packets drop
delete table inet vertui-tried
"""
"""What bounds need."""


def branch(address: str, *, bounded: bool) -> str:
    """The namespace of the branch at `address`.

    A connection from before a fork is unknown here: its packets are `invalid` (with nf_conntrack_tcp_loose=0),
    so TCP gets a reset at once instead of hanging. Nothing leaves that the NAT has not rewritten. Nothing comes back
    to the tap, on whose link nobody else is: each address looked for there would take one of the 1,024 places that
    all namespaces, the host's own included, have for neighbours. A guest that is `bounded` has no more than
    MOST_CONNECTIONS that it began.
    """
    bound = f'add rule ip vertui forward iifname "tap*" ct state new ct count over {MOST_CONNECTIONS} drop'
    return f"""
add table ip vertui
add chain ip vertui prerouting {{ type nat hook prerouting priority dstnat; }}
add rule ip vertui prerouting iifname "{UPLINK}" ip daddr {address} dnat to {GUEST_ADDRESS}
add rule ip vertui prerouting iifname "tap*" ip daddr {GUEST_RESOLVER} meta l4proto {{ tcp, udp }} \
  th dport {{ {RESOLVER_PORT}, {SWAPPER_PORT} }} dnat to {HUB_ADDRESS}
add chain ip vertui postrouting {{ type nat hook postrouting priority srcnat; }}
add rule ip vertui postrouting oifname "{UPLINK}" ip saddr {GUEST_ADDRESS} snat to {address}
add chain ip vertui forward {{ type filter hook forward priority filter; }}
add rule ip vertui forward iifname "tap*" oifname "tap*" drop
add rule ip vertui forward iifname "tap*" ct state invalid meta l4proto tcp reject with tcp reset
add rule ip vertui forward ct state invalid drop
{bound if bounded else ""}
"""


def guard(tap: str, *, bounded: bool) -> str:
    """One tap: nothing comes in but from the guest's own MAC and address, of one that is `bounded` no more than
    MOST_FRAMES a second.
    """
    rate = f"limit rate over {MOST_FRAMES}/second burst {BURST_FRAMES} packets"
    bound = f"add rule netdev vertui {tap} {rate} drop"
    return f"""
add table netdev vertui
add chain netdev vertui {tap} {{ type filter hook ingress device "{tap}" priority 0; policy drop; }}
flush chain netdev vertui {tap}
{bound if bounded else ""}
add rule netdev vertui {tap} ether saddr {GUEST_MAC} ip saddr {GUEST_ADDRESS} accept
add rule netdev vertui {tap} ether saddr {GUEST_MAC} arp saddr ether {GUEST_MAC} arp saddr ip {GUEST_ADDRESS} accept
"""
