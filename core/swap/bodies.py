"""Requests and bodies on their way from one side to the other."""

from __future__ import annotations

import h11

from core.patience import patient
from core.swap.streams import Side
from core.swap.swapping import Replacer

BODY_S = patient(600.0)  # for the next piece


async def ask(
    side: Side, server: Side, asked: h11.Request, body: bytes | None, replacer: Replacer | None
) -> None:
    """Send a request to a server, with the body that is known, or else as it comes."""
    await server.send(asked)
    if body is None:
        await invite(side)
        await carry(side, server, replacer)
        return
    if body:
        await server.send(h11.Data(data=body))
    await server.send(h11.EndOfMessage())


async def carry(source: Side, target: Side, replacer: Replacer | None) -> None:
    """A body as it comes, to its end; trailers are left out."""
    while not isinstance(event := await source.event(BODY_S), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            raise ConnectionResetError("it hung up")
        if data := replacer.piece(bytes(event.data)) if replacer else bytes(event.data):
            await target.send(h11.Data(data=data))
    if replacer and (data := replacer.rest()):
        await target.send(h11.Data(data=data))
    await target.send(h11.EndOfMessage())


async def whole(source: Side) -> bytes:
    """A body of a length that is told and no more than LARGEST_BODY."""
    await invite(source)
    data = bytearray()
    while not isinstance(event := await source.event(BODY_S), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            raise ConnectionResetError("it hung up")
        data += event.data
    return bytes(data)


async def invite(side: Side) -> None:
    """Let one send its body that asked whether it may (RFC 9110, 10.1.1)."""
    if side.http.our_role is h11.SERVER and side.http.they_are_waiting_for_100_continue:
        await side.send(h11.InformationalResponse(status_code=100, headers=[]))
