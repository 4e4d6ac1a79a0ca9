"""What is said over one connection of a guest's, which takes the swapper for its HTTP proxy.

CONNECT to a secret's site     the swapper is that site to the guest, and the guest to it: requests are read and swapped
CONNECT to any other server    bytes are carried, unread
http://HOST/… in the clear     passed on, and swapped if it is a secret's site

The certificate of a site is verified before the guest is answered. A request goes to the site of its connection alone,
whatever host it names. Of what is said only messages are passed on, made anew: no framing of one end reaches the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

import h11

from core.patience import patient
from core.sites import Site
from core.swap.bodies import ask, carry, whole
from core.swap.requests import (
    LENGTH,
    TurnedDown,
    absolute,
    answered_with,
    authority,
    end_to_end,
    is_encoded,
    length_of,
    passed_on,
    within,
    without,
)
from core.swap.streams import ByteStream, Side, joined
from core.swap.swapping import LARGEST_BODY, Replacer, RequestSwaps
from core.swap.wire import Swap

HEAD_S = patient(60.0)  # for a request to come, and for its head to be whole
ANSWER_S = patient(900.0)  # for a server to answer: some compute meanwhile
LAST_WORDS_S = patient(5.0)  # for the answer of a server that does not take the request to its end
IDEMPOTENT = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")
LONGEST_REASON = (
    200  # of the reason beside a status, which is all that clients show of a tunnel that they do not get
)
FAREWELL_S = 1.0  # to take what it is told, for who is still sending


class VisitorGone(OSError):
    """Nobody waits for an answer any more."""


class Means(Protocol):
    """What a visit is given."""

    @property
    def leaving(self) -> bool:
        """Is what is said now the last?"""

    def swaps_at(self, site: Site) -> Sequence[Swap]:
        """Those for a site."""

    async def way(self, visitor: int, host: str, port: int) -> ByteStream:
        """A connection. TurnedDown says why there is none."""

    async def as_site(self, host: str) -> ssl.SSLContext:
        """What makes us that host to a guest. TurnedDown."""

    def trusting(self) -> ssl.SSLContext:
        """What verifies a server."""

    def used(self, visitor: int, secret: str, host: str) -> None:
        """A secret was sent."""


class Visit:
    """One visitor's."""

    def __init__(self, means: Means, id: int) -> None:
        self._means, self._id = means, id
        self._server: Side | None = None
        self._site: Site | None = None
        """Whose connection `_server` is."""
        self.waits = False
        """For a request, and nothing else."""

    async def attend(self, stream: ByteStream) -> None:
        """Until it is over. What breaks off is no error."""
        side = Side(stream, h11.SERVER)
        try:
            await self._serve(side)
            await side.stream.close()
        except (OSError, TimeoutError, h11.ProtocolError):
            side.stream.abort()
        except BaseException:
            side.stream.abort()
            raise
        finally:
            self._hang_up()

    async def _serve(self, side: Side, inside: Site | None = None) -> None:
        """Requests one after the other; of a connection that was made to a site they are `inside` it."""
        while (request := await self._next(side)) is not None:
            try:
                if inside is None and request.method == b"CONNECT":
                    await self._connect(side, request)
                    return
                site, target = within(request, inside) if inside else absolute(request)
                await self._exchange(side, request, site, target)
            except TurnedDown as refused:
                await _turn_down(side, refused)
                return
            except h11.RemoteProtocolError as error:
                await _turn_down(side, TurnedDown(error.error_status_hint, f"this is no HTTP/1.1: {error}"))
                return
            if not side.goes_on() or self._means.leaving:
                return

    async def _next(self, side: Side) -> h11.Request | None:
        self.waits = True
        try:
            event = await side.event(HEAD_S)
        except TimeoutError:
            if side.http.trailing_data[0]:
                raise
            return None
        except h11.RemoteProtocolError as error:
            await _turn_down(side, TurnedDown(error.error_status_hint, f"this is no HTTP/1.1: {error}"))
            return None
        finally:
            self.waits = False
        return event if isinstance(event, h11.Request) else None

    # -- connections -----------------------------------------------------------------------------------------

    async def _connect(self, side: Side, request: h11.Request) -> None:
        site = Site(*authority(request.target, None), tls=True)
        while not isinstance(await side.event(HEAD_S), h11.EndOfMessage):
            pass
        if not self._means.swaps_at(site):
            way = await self._means.way(self._id, site.host, site.port)
            try:
                await side.send(h11.Response(status_code=200, headers=[], reason=b"Connected"))
                await way.write(side.http.trailing_data[0])
                await joined(side.stream, way)
                await way.close()
            finally:
                way.abort()
            return
        context = await self._means.as_site(site.host)
        await self._reach(site)
        await side.send(h11.Response(status_code=200, headers=[], reason=b"Connected"))
        if side.http.trailing_data[0]:
            raise ConnectionResetError("it does not wait for the answer")
        side.stream = await side.stream.secured(context)
        await self._serve(Side(side.stream, h11.SERVER), site)

    async def _reach(self, site: Site) -> tuple[Side, bool]:
        """A connection to a site on which nothing is being said, and whether it is a new one."""
        if self._server is not None and self._site == site and not self._server.stream.has_ended:
            return self._server, False
        self._hang_up()
        stream = await self._means.way(self._id, site.host, site.port)
        if site.tls:
            stream = await self._verified(stream, site)
        self._server, self._site = Side(stream, h11.CLIENT), site
        return self._server, True

    async def _verified(self, stream: ByteStream, site: Site) -> ByteStream:
        """TLS with a site, if that is who answers. TurnedDown."""
        try:
            return await stream.secured(self._means.trusting(), host=site.host)
        except BaseException as error:
            stream.abort()
            if not isinstance(error, OSError):
                raise
            why = f"no TLS with {site.host}:{site.port}: {_said(error)}"
            if isinstance(error, ssl.SSLCertVerificationError):
                why = f"the certificate of {site.host} is not to be trusted: {error.verify_message}"
            raise TurnedDown(HTTPStatus.BAD_GATEWAY, why) from error

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.stream.abort()
        self._server = self._site = None

    # -- requests --------------------------------------------------------------------------------------------

    async def _exchange(self, side: Side, request: h11.Request, site: Site, target: bytes) -> None:
        """One request to a site, and its answer."""
        at = self._means.swaps_at(site)
        swaps = RequestSwaps(at)
        headers = passed_on(request, site, plain=bool(at))
        replacer, body = swaps.body(headers), None
        if (length := length_of(request)) is not None:
            small = replacer is not None and length <= LARGEST_BODY
            if not length or small:
                body = await whole(side)
            if replacer is not None and body:
                body = replacer.whole(body)
                headers = [*without(headers, LENGTH), (LENGTH, b"%d" % len(body))]
            replacer = None
        try:
            asked = h11.Request(
                method=request.method, target=swaps.url(target), headers=swaps.headers(headers)
            )
        except h11.LocalProtocolError as error:
            why = "the value of a secret cannot stand where its placeholder does"
            raise TurnedDown(HTTPStatus.BAD_REQUEST, why) from error
        server, head, sending = await self._answered(side, asked, site, body, replacer)
        self._note(swaps, site)
        try:
            if isinstance(head, h11.InformationalResponse):
                await self._switch(side, server, head)
                return
            bodyless = request.method == b"HEAD" or head.status_code in (204, 304)
            await self._pass_on(side, server, head, swaps.answer() if at else None, bodyless=bodyless)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._note(swaps, site)
        if not server.goes_on():
            self._hang_up()

    def _note(self, swaps: RequestSwaps, site: Site) -> None:
        """Tell which secrets were sent since this was told last."""
        while swaps.used:
            self._means.used(self._id, swaps.used.popitem()[0], site.host)

    async def _answered(
        self, side: Side, asked: h11.Request, site: Site, body: bytes | None, replacer: Replacer | None
    ) -> tuple[Side, h11.Response | h11.InformationalResponse, asyncio.Task[None]]:
        """Ask, and have the head of the answer; what is still being sent is a task. A connection that was kept may have
        ended meanwhile: what can be said again is said over another.
        """
        while True:
            server, new = await self._reach(site)
            sending = asyncio.create_task(ask(side, server, asked, body, replacer))
            try:
                return server, await self._head(side, server, sending), sending
            except BaseException as error:
                sending.cancel()
                failures = await asyncio.gather(sending, return_exceptions=True)
                self._hang_up()
                if isinstance(error, VisitorGone) or not isinstance(error, Exception):
                    raise
                if isinstance(failures[0], h11.RemoteProtocolError):
                    raise failures[0] from error
                if new or body is None or asked.method not in IDEMPOTENT:
                    why = f"{site.host}:{site.port} gives no answer: {_said(error)}"
                    raise TurnedDown(HTTPStatus.BAD_GATEWAY, why) from error

    async def _head(
        self, side: Side, server: Side, sending: asyncio.Task[None]
    ) -> h11.Response | h11.InformationalResponse:
        """The head of an answer, or of one that switches the protocol; others that only inform are passed on."""
        while True:
            asking, leaving = (
                asyncio.create_task(server.event(ANSWER_S)),
                asyncio.create_task(side.stream.ended()),
            )
            try:
                waited = {asking, leaving} | ({sending} if not sending.done() else set())
                done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if done == {sending} and sending.exception() is None:
                    done, _ = await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
                if done == {leaving}:
                    raise VisitorGone
                event = await asyncio.wait_for(asking, LAST_WORDS_S)
            finally:
                for task in (asking, leaving):
                    task.cancel()
                await asyncio.gather(asking, leaving, return_exceptions=True)
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise ConnectionResetError("it hung up")
            if event.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                return event
            with contextlib.suppress(h11.LocalProtocolError):
                await side.send(
                    h11.InformationalResponse(status_code=event.status_code, headers=event.headers)
                )

    async def _pass_on(
        self, side: Side, server: Side, head: h11.Response, replacer: Replacer | None, *, bodyless: bool
    ) -> None:
        """An answer, values taken out of it."""
        headers = end_to_end(head.headers)
        if self._means.leaving:
            headers.append((b"connection", b"close"))
        if replacer is not None:
            headers = [(name, replacer.whole(value)) for name, value in headers]
            if bodyless or is_encoded(headers):
                replacer = None
        length = length_of(head)
        if replacer is not None and length is not None and length <= LARGEST_BODY:
            body = replacer.whole(await whole(server))
            headers = [*without(headers, LENGTH), (LENGTH, b"%d" % len(body))]
            await side.send(answered_with(head, headers))
            await side.send(h11.Data(data=body))
            await side.send(h11.EndOfMessage())
            return
        if replacer is not None:
            headers = without(headers, LENGTH)
        await side.send(answered_with(head, headers))
        await carry(server, side, replacer)

    async def _switch(self, side: Side, server: Side, head: h11.InformationalResponse) -> None:
        """To another protocol, which passes unread."""
        await side.send(h11.InformationalResponse(status_code=head.status_code, headers=head.headers))
        await side.stream.write(server.http.trailing_data[0])
        await server.stream.write(side.http.trailing_data[0])
        await joined(side.stream, server.stream)


async def _turn_down(side: Side, refused: TurnedDown) -> None:
    """Answer it ourselves, if nothing was answered yet, and hang up afterwards; else break off."""
    said = f"vertui: {refused.reason}\n".encode(errors="replace")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (LENGTH, b"%d" % len(said)),
        (b"connection", b"close"),
    ]
    try:
        reason = refused.reason.encode("ascii", errors="replace")[:LONGEST_REASON]
        await side.send(h11.Response(status_code=refused.status, headers=headers, reason=reason))
        await side.send(h11.Data(data=said))
        await side.send(h11.EndOfMessage())
    except h11.LocalProtocolError as error:
        raise ConnectionResetError("its answer has begun") from error
    side.stream.end()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            while await side.stream.read():
                pass


def _said(error: BaseException) -> str:
    """Why, in a few words, on one line."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())[:200]
