"""The rule sets: what the hub lets through, and what a branch's namespace does to its guest's packets."""

from core.network.addresses import GUEST_ADDRESS, GUEST_MAC, UPLINK

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


def branch(address: str) -> str:
    """The namespace of the branch at `address`.

    A connection from before a fork is unknown here: its packets are `invalid` (with nf_conntrack_tcp_loose=0),
    so TCP gets a reset at once instead of hanging. Nothing leaves that the NAT has not rewritten.
    """
    return f"""
add table ip vertui
add chain ip vertui prerouting {{ type nat hook prerouting priority dstnat; }}
add rule ip vertui prerouting iifname "{UPLINK}" ip daddr {address} dnat to {GUEST_ADDRESS}
add chain ip vertui postrouting {{ type nat hook postrouting priority srcnat; }}
add rule ip vertui postrouting oifname "{UPLINK}" ip saddr {GUEST_ADDRESS} snat to {address}
add chain ip vertui forward {{ type filter hook forward priority filter; }}
add rule ip vertui forward iifname "tap*" ct state invalid meta l4proto tcp reject with tcp reset
add rule ip vertui forward ct state invalid drop
"""


def guard(tap: str) -> str:
    """One tap: nothing comes in but from the guest's own MAC and address."""
    return f"""
add table netdev vertui
add chain netdev vertui {tap} {{ type filter hook ingress device "{tap}" priority 0; policy drop; }}
flush chain netdev vertui {tap}
add rule netdev vertui {tap} ether saddr {GUEST_MAC} ip saddr {GUEST_ADDRESS} accept
add rule netdev vertui {tap} ether saddr {GUEST_MAC} arp saddr ether {GUEST_MAC} arp saddr ip {GUEST_ADDRESS} accept
"""
