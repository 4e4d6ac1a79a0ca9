"""The rule sets: what the hub lets through, and what a branch's namespace does to its guest's packets.

A kernel may lack the modules that count; then a guest is not `bounded`.
"""

from core.network.addresses import GUEST_ADDRESS, GUEST_MAC, UPLINK

MOST_CONNECTIONS = 4096
"""Of a guest's own making, at a time: each takes a place in tables that all branches share. Sixty-four such guests fill
a usual table of the hub's.
"""
MOST_FRAMES = 50_000
"""Of a guest, a second. It sends 64 KiB in a frame, where it sends much."""
BURST_FRAMES = 20_000

HUB = """
add table inet vertui
add set inet vertui linked { type ipv4_addr . ipv4_addr; }
add chain inet vertui forward { type filter hook forward priority filter; policy drop; }
add chain inet vertui input { type filter hook input priority filter; policy drop; }
flush chain inet vertui forward
flush chain inet vertui input
add rule inet vertui forward ct state established,related accept
add rule inet vertui forward ip saddr . ip daddr @linked accept
add rule inet vertui input iifname "lo" accept
add rule inet vertui input ct state established,related accept
add rule inet vertui input icmp type echo-request accept
"""
"""The hub. Branches meet only as pairs in `linked`, which survives a daemon.

Guests cannot open connections to the hub itself: what listens there (the daemon, later an egress) is not
theirs to talk to. Answers to connections the hub opened come back, and a guest may ping its uplink.
"""


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
    so TCP gets a reset at once instead of hanging. Nothing leaves that the NAT has not rewritten. A guest that is
    `bounded` has no more than MOST_CONNECTIONS that it began.
    """
    bound = f'add rule ip vertui forward iifname "tap*" ct state new ct count over {MOST_CONNECTIONS} drop'
    return f"""
add table ip vertui
add chain ip vertui prerouting {{ type nat hook prerouting priority dstnat; }}
add rule ip vertui prerouting iifname "{UPLINK}" ip daddr {address} dnat to {GUEST_ADDRESS}
add chain ip vertui postrouting {{ type nat hook postrouting priority srcnat; }}
add rule ip vertui postrouting oifname "{UPLINK}" ip saddr {GUEST_ADDRESS} snat to {address}
add chain ip vertui forward {{ type filter hook forward priority filter; }}
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
