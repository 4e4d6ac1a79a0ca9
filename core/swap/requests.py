"""What a request asks of a proxy, and what of messages is passed on: h11's values, looked at and made anew."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import h11

from core.reach import is_name
from core.sites import CLEAR, PORTS, Site
from core.swap.swapping import Headers

OF_ONE_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te",
    b"trailer", b"transfer-encoding", b"upgrade", b"expect",
}  # fmt: skip
LENGTH = b"content-length"


class TurnedDown(Exception):
    """A request is answered by us: with a status, and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def absolute(request: h11.Request) -> tuple[Site, bytes]:
    """The site that a proxy is asked for, and the target there. TurnedDown."""
    if not request.target.lower().startswith(CLEAR.encode()):
        why = "this is the proxy by which secrets leave: have programs use it as http_proxy and https_proxy"
        raise TurnedDown(HTTPStatus.BAD_REQUEST, why)
    named, slash, rest = request.target[len(CLEAR) :].partition(b"/")
    if b"?" in named:
        raise TurnedDown(HTTPStatus.BAD_REQUEST, "the request names no path")
    host, port = authority(named, PORTS[False])
    return Site(host, port, tls=False), slash + rest or b"/"


def within(request: h11.Request, site: Site) -> tuple[Site, bytes]:
    """The target at a site that was connected to. TurnedDown for what is of another: servers that are many hosts' would
    take a request, with its values, to whichever it names.
    """
    if not request.target.startswith(b"/") and request.target != b"*":
        raise TurnedDown(HTTPStatus.BAD_REQUEST, "the request names no path")
    named = [value for name, value in request.headers if name == b"host"]
    if len(named) != 1 or authority(named[0], PORTS[True]) != (site.host, site.port):
        why = f"the request is for another host than {site.host}, which it was connected to"
        raise TurnedDown(HTTPStatus.MISDIRECTED_REQUEST, why)
    return site, request.target


def authority(text: bytes, usual: int | None) -> tuple[str, int]:
    """A host and a port, which may be the usual one. TurnedDown."""
    host, colon, port = text.decode("ascii", errors="replace").lower().partition(":")
    number = int(port) if port.isdecimal() and len(port) <= 5 else 0 if colon else usual or 0
    host = host.removesuffix(".")
    if not is_name(host) or not 1 <= number <= 65535:
        raise TurnedDown(HTTPStatus.BAD_REQUEST, "the request names no host and port")
    return host, number


def passed_on(request: h11.Request, site: Site, *, plain: bool) -> Headers:
    """Those that a request has at a site, which is asked to answer `plain` where values are to be found in that."""
    upgrade = [value for name, value in request.headers if name == b"upgrade"]
    named = site.host if site.port == PORTS[site.tls] else f"{site.host}:{site.port}"
    kept = [(b"host", named.encode()), *without(end_to_end(request.headers), b"host")]
    if plain:
        kept = [*without(kept, b"accept-encoding"), (b"accept-encoding", b"identity")]
    if any(name == b"transfer-encoding" for name, _ in request.headers):
        kept.append((b"transfer-encoding", b"chunked"))
    if upgrade == [b"websocket"]:
        kept += [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]
    return kept


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Those that are not for the next hop alone (RFC 9110, 7.6.1)."""
    told = [value.lower().split(b",") for name, value in headers if name == b"connection"]
    dropped = OF_ONE_HOP | {word.strip() for words in told for word in words}
    return [(name, value) for name, value in headers if name not in dropped]


def without(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> Headers:
    """The others."""
    return [one for one in headers if one[0] != name]


def length_of(message: h11.Request | h11.Response) -> int | None:
    """Bytes of its body where that is told; of a request without a body 0."""
    told = dict(message.headers)
    if b"transfer-encoding" in told:
        return None
    if LENGTH in told:
        return int(told[LENGTH])
    return 0 if isinstance(message, h11.Request) else None


def is_encoded(headers: Headers) -> bool:
    """Is a body with these headers compressed?"""
    return any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers)


def answered_with(head: h11.Response, headers: Headers) -> h11.Response:
    """The same head with other headers."""
    return h11.Response(status_code=head.status_code, headers=headers, reason=head.reason)
