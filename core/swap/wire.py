"""What daemon and swapper tell each other: one message of a SEQPACKET socket each, a descriptor beside some.

daemon → swapper    Swaps +file, VisitorCame +socket, WayMade +socket, Denied, CertificateMade
swapper → daemon    WayWanted, CertificateWanted, VisitorLeft, SecretUsed
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable

import msgspec
from msgspec import Struct

from core.sites import Site

LARGEST_MESSAGE = 64 * 1024


class Swap(Struct, frozen=True):
    """A secret that is swapped in, and where besides headers."""

    name: str
    placeholder: str
    value: str
    sites: tuple[Site, ...]
    in_url: bool = False
    in_body: bool = False


class Swaps(Struct, frozen=True, tag=True):
    """All there are from now on: JSON in the file that comes along."""


class VisitorCame(Struct, frozen=True, tag=True):
    """Somebody has come."""

    id: int


class WayWanted(Struct, frozen=True, tag=True):
    """A connection is wanted for a visitor."""

    id: int
    visitor: int
    host: str
    port: int


class WayMade(Struct, frozen=True, tag=True):
    """Here it is."""

    id: int


class Denied(Struct, frozen=True, tag=True):
    """There is none, nor a certificate: an HTTP status, and the reason."""

    id: int
    status: int
    reason: str


class CertificateWanted(Struct, frozen=True, tag=True):
    """A certificate is wanted, by which to be this host."""

    id: int
    host: str


class CertificateMade(Struct, frozen=True, tag=True):
    """Here it is, with its key: PEM."""

    id: int
    pem: str


class VisitorLeft(Struct, frozen=True, tag=True):
    """A visitor is no more."""

    visitor: int


class SecretUsed(Struct, frozen=True, tag=True):
    """A secret was sent to a host for a visitor."""

    visitor: int
    secret: str
    host: str


FromDaemon = Swaps | VisitorCame | WayMade | Denied | CertificateMade
FromSwapper = WayWanted | CertificateWanted | VisitorLeft | SecretUsed
Message = FromDaemon | FromSwapper
_decoder = msgspec.json.Decoder(Message)


class Channel:
    """One end. `heard` is called with each message and its descriptor, which is the callee's then; `lost` once, when
    the other end has gone.
    """

    def __init__(
        self, end: socket.socket, heard: Callable[[Message, int | None], None], lost: Callable[[], None]
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._heard, self._lost = heard, lost
        self._waiting: deque[tuple[bytes, int | None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end, self._ready)

    def send(self, message: Message, descriptor: int | None = None) -> None:
        """Send it, with a copy of the descriptor; never fails: what nobody hears needs no answer."""
        if self._socket.fileno() < 0:
            return
        copy = None if descriptor is None else os.dup(descriptor)
        self._waiting.append((msgspec.json.encode(message), copy))
        if len(self._waiting) == 1:
            self._flush()

    def close(self) -> None:
        """Hear and send no more; idempotent."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        while self._waiting:
            _close(self._waiting.popleft()[1])

    def _flush(self) -> None:
        while self._waiting:
            data, descriptor = self._waiting[0]
            try:
                socket.send_fds(self._socket, [data], [] if descriptor is None else [descriptor])
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._flush)
                return
            except OSError:  # the reader finds that out
                pass
            self._waiting.popleft()
            _close(descriptor)
        self._loop.remove_writer(self._socket)

    def _ready(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._socket, LARGEST_MESSAGE, 1, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self.close()
            self._lost()
            return
        descriptor = descriptors[0] if descriptors else None
        try:
            message = _decoder.decode(data)
        except msgspec.MsgspecError:  # the other end is not to be trusted more than that
            _close(descriptor)
            return
        self._heard(message, descriptor)


def sealed(swaps: tuple[Swap, ...]) -> int:
    """A file in memory with these, whatever their size; its descriptor is the caller's."""
    descriptor = os.memfd_create("vertui-swaps", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "r+b") as file:
        file.write(msgspec.json.encode(swaps))
    return descriptor


def opened(descriptor: int) -> tuple[Swap, ...]:
    """What `sealed` wrote; the descriptor is closed."""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return msgspec.json.decode(file.read(), type=tuple[Swap, ...])


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)
