"""Branch networks: how each machine is reached, and why it reaches nobody else.

    hub        the private network namespace the daemon runs in; every branch meets here, routed, not bridged
    namespace  one per branch, held by a descriptor only, with `tap0` (QEMU's) and `up0` (to the hub)
    veth       `v<index>` in the hub, `up0` in the branch's namespace
    address    10.77.x.y/32, the branch's own; inside, every guest is 10.0.2.15 with the same MAC
    link       whether frames of the guest's tap pass; down until the guest has its own identity
    guard      the ingress chain on `tap0`: only the guest's MAC with the guest's address passes
    door       a socket that listens in the host's network, and who comes in by it led to a guest: `doors`, for UDP
               `datagrams`, and `hosts` for one that leads to every branch by the name in an HTTP request
    pair       two branches that may talk to each other: each is reached by the other at its own address (`pairs`)
    reset      what ends the hub's connections to a guest that is gone (`diag`): whoever holds one notices at once
    reach      what of the outside a guest may reach: nothing, what is named, or everything (`core.reach`)
    tie        an address that a name was answered with, by which a rule on names holds for packets
    attempt    what a rule refused; heard of as it is tried (`attempts`), while its connection waits for the answer
    way out    `eg0` in the hub: a tap of `pasta`'s, which sends on from the host's network what the rules let out
    message    a request to rtnetlink: `messages` has pyroute2 make it, `forms` keeps it encoded, `netlink` sends it

                 hub (10.77.255.254)                      namespace of branch 7
    daemon ── route 10.77.0.7/32 ── v7 ═══════ up0 10.77.0.7 ── NAT ── tap0 10.0.2.2 ── guest 10.0.2.15
    outside ── pasta ── eg0 ── NAT ── rules ──┘    guest asks 10.0.2.3 for names: that is the hub's resolver

Life cycle: `HubNetwork()` → `prepare()` once → `create(index)` → `set_link(True)` when the guest may talk →
`close()`. A daemon that was started again gets its networks back by `adopt(index, namespace_fd)` and removes
what nobody knows by `sweep(keep)`. Everything blocks for about a millisecond and may be called from any thread.
"""

from core.network.addresses import GATEWAY, GUEST_ADDRESS, GUEST_MAC, HUB_ADDRESS
from core.network.hub import HubNetwork
from core.network.protocol import BranchNetwork, Network, NetworkInfo

__all__ = [
    "GATEWAY",
    "GUEST_ADDRESS",
    "GUEST_MAC",
    "HUB_ADDRESS",
    "BranchNetwork",
    "HubNetwork",
    "Network",
    "NetworkInfo",
]
