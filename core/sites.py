"""Secrets as others may know of them, and sites: the servers that one may be sent to, and how people write them.

HOST[:PORT]           over TLS, at port 443 unless told
*.HOST[:PORT]         every name below one, the same way
http://HOST[:PORT]    in the clear, at port 80 unless told
"""

from msgspec import Struct

from core.errors import UsageError
from core.reach import Destination, destination, names, network

CLEAR, TLS = "http://", "https://"
PORTS = {True: 443, False: 80}  # by whether it is TLS
MOST_SITES = 64  # of one secret


class Site(Struct, frozen=True):
    """A server: a name, `*.NAME` for all names below one, or an IPv4 address; its port; and whether it speaks TLS."""

    host: str
    port: int
    tls: bool = True


class Secret(Struct, frozen=True):
    """A value that is kept and not shown: its name, and when it was set. One that is for some `sites` alone is handed
    to commands as its placeholder, and swapped in for these: in headers, and where else it says.
    """

    name: str
    changed: float
    sites: tuple[Site, ...] = ()
    placeholder: str = ""
    in_url: bool = False
    in_body: bool = False


def site(text: str) -> Site:
    """The site that somebody wrote; UsageError when it is none."""
    tls = not text.strip().lower().startswith(CLEAR)
    bare = text.strip()
    for scheme in (CLEAR, TLS):
        if bare.lower().startswith(scheme):
            bare = bare[len(scheme) :].removesuffix("/")
    try:
        found = destination(bare)
    except UsageError as error:
        raise _none(text) from error
    net = network(found)
    if found.protocol == "udp" or (net is not None and net.prefixlen < 32):
        raise _none(text)
    return Site(found.host, found.port or PORTS[tls], tls)


def spelled(of: Site) -> str:
    """A site as people write it."""
    port = "" if of.port == PORTS[of.tls] else f":{of.port}"
    return f"{'' if of.tls else CLEAR}{of.host}{port}"


def covers(some: Site, one: Site) -> bool:
    """Is `one`, which is of a single host, among them?"""
    return (some.port, some.tls) == (one.port, one.tls) and names(Destination(some.host), one.host)


def _none(text: str) -> UsageError:
    return UsageError(f"'{text[:60]}' is no site: give HOST[:PORT] or *.HOST for TLS, http://HOST for none")
