"""The swapper's process: it attends to visitors, by means that it asks the daemon for (`core.swap`)."""

from __future__ import annotations

import asyncio
import contextlib
import encodings.idna  # noqa: F401  # asyncio would import it for the first host, when no file can be opened any more
import logging
import os
import socket
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count

from core.holder.confine import confine_server
from core.log import log_as
from core.patience import patient
from core.sites import Site, covers
from core.swap.requests import TurnedDown
from core.swap.streams import ByteStream
from core.swap.visit import Visit
from core.swap.wire import (
    CertificateMade,
    CertificateWanted,
    Channel,
    Denied,
    Message,
    SecretUsed,
    Swap,
    Swaps,
    VisitorCame,
    VisitorLeft,
    WayMade,
    WayWanted,
    opened,
)

CHANNEL_FD = 3
PROTOCOLS = ["http/1.1"]  # of ALPN: who prefers HTTP/2 goes on with this
KEPT_CERTIFICATES = 256
LEAVE_S = patient(900.0)  # to finish what is being said, when no daemon is there any more
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where distributions keep the authorities they trust, for a Python that was built to look elsewhere."""

logger = logging.getLogger("core.swap")


class Swapper:
    """Everybody who is here, and what may be swapped for them."""

    def __init__(self, channel: socket.socket, trusting: ssl.SSLContext, certificate_fd: int) -> None:
        self._channel = Channel(channel, self._heard, self._lost)
        self._trusting = trusting
        self._certificate_fd = certificate_fd
        self._swaps: tuple[Swap, ...] = ()
        self._visits: dict[asyncio.Task[None], Visit] = {}
        self._asked: dict[int, asyncio.Future[str | int]] = {}
        self._numbers = count(1)
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._over = asyncio.Event()
        self.leaving = False

    async def run(self) -> None:
        """Until the daemon has gone, and what was being said is finished."""
        await self._over.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await asyncio.gather(*self._visits, return_exceptions=True)

    # -- what visits ask for ---------------------------------------------------------------------------------

    def swaps_at(self, site: Site) -> Sequence[Swap]:
        """Those for a site."""
        return [swap for swap in self._swaps if any(covers(one, site) for one in swap.sites)]

    def trusting(self) -> ssl.SSLContext:
        """What verifies a server."""
        return self._trusting

    async def way(self, visitor: int, host: str, port: int) -> ByteStream:
        """A connection. TurnedDown says why there is none."""
        number = next(self._numbers)
        descriptor = await self._ask(number, WayWanted(number, visitor, host, port))
        assert isinstance(descriptor, int)
        return await ByteStream.over(descriptor)

    async def as_site(self, host: str) -> ssl.SSLContext:
        """What makes us that host to a guest. TurnedDown."""
        if host not in self._contexts:
            number = next(self._numbers)
            pem = await self._ask(number, CertificateWanted(number, host))
            self._contexts[host] = site_context(str(pem), self._certificate_fd)
        self._contexts.move_to_end(host)
        while len(self._contexts) > KEPT_CERTIFICATES:
            self._contexts.popitem(last=False)
        return self._contexts[host]

    def used(self, visitor: int, secret: str, host: str) -> None:
        """A secret was sent."""
        self._channel.send(SecretUsed(visitor, secret, host))

    async def _ask(self, number: int, question: Message) -> str | int:
        if self.leaving:
            raise TurnedDown(503, "the daemon is away: try again")
        answer: asyncio.Future[str | int] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._channel.send(question)
        try:
            return await answer
        finally:
            if self._asked.pop(number, None) is not None:
                answer.cancel()

    # -- the daemon ------------------------------------------------------------------------------------------

    def _heard(self, message: Message, descriptor: int | None) -> None:
        match message:
            case Swaps() if descriptor is not None:
                self._swaps = opened(descriptor)
                return
            case VisitorCame(id) if descriptor is not None:
                visit = Visit(self, id)
                task = asyncio.create_task(self._attend(visit, id, descriptor))
                self._visits[task] = visit
                task.add_done_callback(self._visits.pop)
                return
            case WayMade(id) if descriptor is not None and id in self._asked:
                self._asked.pop(id).set_result(descriptor)
                return
            case CertificateMade(id, pem) if id in self._asked:
                self._asked.pop(id).set_result(pem)
            case Denied(id, status, reason) if id in self._asked:
                self._asked.pop(id).set_exception(TurnedDown(status, reason))
        if descriptor is not None:  # nobody waits for it any more
            os.close(descriptor)

    async def _attend(self, visit: Visit, id: int, descriptor: int) -> None:
        try:
            await visit.attend(await ByteStream.over(descriptor))
        except OSError:  # it has left already
            pass
        except Exception:
            logger.exception("a visit ended by a mistake of ours")
        finally:
            self._channel.send(VisitorLeft(id))

    def _lost(self) -> None:
        self.leaving = True
        for answer in self._asked.values():
            answer.set_exception(TurnedDown(503, "the daemon is away: try again"))
        self._asked.clear()
        for task, visit in self._visits.items():
            if visit.waits:
                task.cancel()
        self._over.set()


def site_context(pem: str, certificate_fd: int) -> ssl.SSLContext:
    """What makes us a site to guests, of a certificate and its key: by a file in memory, as only files are read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(PROTOCOLS)
    os.truncate(certificate_fd, 0)
    os.pwrite(certificate_fd, pem.encode(), 0)
    context.load_cert_chain(f"/proc/self/fd/{certificate_fd}")
    return context


def trusting() -> ssl.SSLContext:
    """What verifies servers: as this host does, or as SSL_CERT_FILE and SSL_CERT_DIR say."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(PROTOCOLS)
    if "SSL_CERT_FILE" not in os.environ and not context.cert_store_stats()["x509_ca"]:
        for path in BUNDLES:
            with contextlib.suppress(OSError):
                context.load_verify_locations(path)
                break
    return context


async def serve() -> None:
    """With the channel to the daemon as descriptor 3. Nothing is read from it before this process is confined."""
    channel, context = socket.socket(fileno=CHANNEL_FD), trusting()
    certificate_fd = os.memfd_create("vertui-certificate", os.MFD_CLOEXEC)
    paths = ssl.get_default_verify_paths()
    found = (paths.cafile, paths.capath, os.environ.get(paths.openssl_capath_env))
    confine_server([path for path in found if path])
    await Swapper(channel, context, certificate_fd).run()


def main() -> None:
    """`python -m core.swap.server`."""
    log_as("swap")
    asyncio.run(serve())


if __name__ == "__main__":
    main()
