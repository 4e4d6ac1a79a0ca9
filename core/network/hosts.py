"""Which branch an HTTP request is for: `http://PORT.BRANCH.localhost:…/` names it, as browsers take all of localhost
to be this machine. A page of another origin cannot name it so.
"""

import asyncio
import re
import socket
from http import HTTPStatus

from core.network.doors import NoWay

LARGEST_HEAD = 64 * 1024
HEAD_S = 30.0  # for a visitor to say what it wants
PIECE_BYTES = 16 * 1024
HOST = re.compile(rb"^host:[ \t]*([^\s]*)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
END = re.compile(rb"\r?\n\r?\n")
NAMED = re.compile(r"(?P<port>[0-9]{1,5})\.(?P<branch>[a-z0-9-]{1,31})\.localhost\.?(?::[0-9]*)?")


async def asked_for(visitor: socket.socket) -> tuple[bytes, str, int]:
    """What was read of a visitor's first request, and the branch and port that its Host names.

    All that follows on the connection goes there, too, as browsers keep one for each origin. Raises NoWay.
    """
    head = await _head(visitor)
    found = HOST.search(head)
    named = NAMED.fullmatch(found[1].decode("latin-1").lower()) if found else None
    if named is None or not 0 < int(named["port"]) < 1 << 16:
        raise NoWay(page(HTTPStatus.NOT_FOUND, "give http://PORT.BRANCH.localhost, as in `vertui proxy`"))
    return head, named["branch"], int(named["port"])


async def _head(visitor: socket.socket) -> bytes:
    """At least the head of a request."""
    loop, head = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(HEAD_S):
            while not END.search(head):
                data = await loop.sock_recv(visitor, PIECE_BYTES)
                if not data:
                    raise NoWay
                head += data
                if len(head) > LARGEST_HEAD:
                    raise NoWay(page(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "that is no HTTP request"))
    except TimeoutError as error:
        raise NoWay from error
    return head


def page(status: HTTPStatus, said: str) -> bytes:
    """An answer of plain text that ends the connection."""
    body = f"vertui: {said}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
