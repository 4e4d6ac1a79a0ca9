"""Links, addresses, routes and neighbours: the few rtnetlink messages a branch needs, made and encoded by pyroute2.

Importing pyroute2 takes 0.2 s and 11 MiB. Of our processes only the daemon does, before it serves, and the probe.
"""

import socket
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, rtnl
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP, ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import NUD_PERMANENT, ndmsg
from pyroute2.netlink.rtnl.rtmsg import RTNH_F_ONLINK, rtmsg

from core.network.forms import encoded_once

LOOPBACK_IFINDEX = 1

_NEW = NLM_F_CREATE | NLM_F_EXCL
_PUT = NLM_F_CREATE | NLM_F_REPLACE  # it may be there already
_MAIN_TABLE = 254
LAST = 1 << 30  # a route of this priority is taken when there is no other

Attributes = list[tuple[str, Any]]
"""As pyroute2 takes them: the kernel's name of each, and its value."""


@dataclass(frozen=True)
class End:
    """One end of a veth pair; `ifindex` is ours to choose."""

    name: str
    ifindex: int
    mac: str


@encoded_once("setting link {ifindex}")
def link_state(*, ifindex: int, up: bool) -> Any:
    """Bring an interface up or down."""
    return _link(ifindex, [], flags=IFF_UP if up else 0, change=IFF_UP)


@encoded_once("setting the MAC of link {ifindex}")
def link_mac(*, ifindex: int, mac: str) -> Any:
    """Give an interface its MAC."""
    return _link(ifindex, [("IFLA_ADDRESS", mac)])


@encoded_once("making veth {name}")
def veth(*, inner: End, name: str, ifindex: int, mac: str, descriptor: int) -> Any:
    """A pair: `inner` in this namespace, up; the other end in that of the descriptor, down.

    A peer cannot be made up: ENOTCONN.
    """
    outer = {"index": ifindex, "attrs": [*_end(name, mac), ("IFLA_NET_NS_FD", descriptor)]}
    info = [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", outer)]})]
    attributes = [*_end(inner.name, inner.mac), ("IFLA_LINKINFO", {"attrs": info})]
    return _link(inner.ifindex, attributes, mode=_NEW, flags=IFF_UP, change=IFF_UP)


@encoded_once("removing link {name}")
def delete_link(*, name: str) -> Any:
    """Remove an interface, and with a veth its other end."""
    return _link(0, [("IFLA_IFNAME", name)], kind=rtnl.RTM_DELLINK)


@encoded_once("adding address {ip}")
def address(*, ifindex: int, ip: str, prefix: int) -> Any:
    """Add an address; it may be there already."""
    attributes = [("IFA_LOCAL", ip), ("IFA_ADDRESS", ip)]
    fields = {"family": socket.AF_INET, "prefixlen": prefix, "index": ifindex}
    return _message(ifaddrmsg, rtnl.RTM_NEWADDR, _PUT, attributes, **fields)


@encoded_once("entering neighbour {ip}")
def neighbour(*, ifindex: int, ip: str, mac: str) -> Any:
    """Enter a neighbour for good.

    Permanent entries are not counted against the kernel's limit for all namespaces together (gc_thresh3,
    1024), and a paused guest that answers no ARP is not marked unreachable.
    """
    attributes = [("NDA_DST", ip), ("NDA_LLADDR", mac)]
    fields = {"family": socket.AF_INET, "ifindex": ifindex, "state": NUD_PERMANENT}
    return _message(ndmsg, rtnl.RTM_NEWNEIGH, _PUT, attributes, **fields)


@encoded_once("adding a route to {ip}")
def host_route(*, ip: str, ifindex: int, source: str) -> Any:
    """Reach one address through a link, coming from `source`."""
    attributes = [("RTA_DST", ip), ("RTA_OIF", ifindex), ("RTA_PREFSRC", source)]
    return _route(32, "RTN_UNICAST", "RT_SCOPE_LINK", attributes)


@encoded_once("adding the default route")
def default_route(*, ip: str, ifindex: int) -> Any:
    """Everything else goes to the gateway `ip`, which is on the link though no prefix says so."""
    attributes = [("RTA_GATEWAY", ip), ("RTA_OIF", ifindex)]
    return _route(0, "RTN_UNICAST", "RT_SCOPE_UNIVERSE", attributes, flags=RTNH_F_ONLINK)


@encoded_once("adding the last route")
def last_route(*, ifindex: int) -> Any:
    """What no other route leads anywhere goes through a link: rules refuse it there, and count."""
    attributes = [("RTA_OIF", ifindex), ("RTA_PRIORITY", LAST)]
    return _route(0, "RTN_UNICAST", "RT_SCOPE_LINK", attributes)


@encoded_once("refusing {ip}/{prefix}")
def unreachable_route(*, ip: str, prefix: int) -> Any:
    """Refuse a network at once, whatever the default route."""
    return _route(prefix, "RTN_UNREACHABLE", "RT_SCOPE_UNIVERSE", [("RTA_DST", ip)])


def _end(name: str, mac: str) -> Attributes:
    return [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac)]


def _link(
    ifindex: int, attributes: Attributes, *, kind: int = rtnl.RTM_NEWLINK, mode: int = 0, **fields: int
) -> Any:
    return _message(ifinfmsg, kind, mode, attributes, index=ifindex, **fields)


def _route(prefix: int, kind: str, scope: str, attributes: Attributes, **fields: int) -> Any:
    where = {"family": socket.AF_INET, "dst_len": prefix, "table": _MAIN_TABLE}
    what = {
        "type": rtnl.rtypes[kind],
        "scope": rtnl.rtscopes[scope],
        "proto": rtnl.rtprotos["RTPROT_STATIC"],
    }
    return _message(rtmsg, rtnl.RTM_NEWROUTE, _PUT, attributes, **where, **what, **fields)


def _message(of: Any, kind: int, mode: int, attributes: Attributes, **fields: int) -> Any:
    """A message of pyroute2's class `of`, which is a dictionary."""
    message = of()
    message["header"].update(type=kind, flags=NLM_F_REQUEST | mode)
    message.update(fields, attrs=attributes)
    return message
