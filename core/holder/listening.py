"""Sockets that listen in the host's network: bound by the porter, which is there, and passed in.

One SEQPACKET message to the porter asks for one: a JSON object {"address", "port", "protocol"}, and beside it the
socket that is to be answered on: {} with the descriptor, or {"errno"}.
"""

import errno
import json
import os
import socket
from typing import TypedDict

from core.errors import Conflict, DaemonUnavailable, NoRoom, Unsupported, UsageError, VertuiError
from core.holder.protocol import Held
from core.inward import PortProtocol
from core.patience import patient

KEY = "porter"
BACKLOG = 1024  # connections that wait while a daemon starts
ANSWER_S = patient(10.0)  # to bind takes 0.1 ms
PORTER_GONE = "the porter is gone: run `vertui daemon stop --all` and start again"
KINDS = {PortProtocol.TCP: socket.SOCK_STREAM, PortProtocol.UDP: socket.SOCK_DGRAM}
FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class PortAsked(TypedDict):
    """What is asked of the porter."""

    address: str
    port: int
    protocol: str


class PortTold(TypedDict, total=False):
    """What it answers when it could not."""

    errno: int


class PorterPorts:
    """`HostPorts` by the porter behind a descriptor that the holder keeps."""

    def __init__(self, held: Held) -> None:
        self._held = held

    def listen(self, address: str, port: int, protocol: PortProtocol) -> tuple[socket.socket, int]:
        """A socket of the host's that listens there, and its port."""
        porter = self._held.get(KEY)
        if porter is None:
            raise DaemonUnavailable(PORTER_GONE)
        asked: PortAsked = {"address": address, "port": port, "protocol": protocol}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, socket.socket(fileno=porter) as jobs:
            try:
                with theirs:
                    socket.send_fds(jobs, [json.dumps(asked).encode()], [theirs.fileno()])
                ours.settimeout(ANSWER_S)
                data, received, _, _ = socket.recv_fds(ours, 4096, 1)
            except OSError as error:
                raise DaemonUnavailable(PORTER_GONE) from error
        if received:
            os.set_inheritable(received[0], False)
            made = socket.socket(fileno=received[0])
            return made, made.getsockname()[1]
        if not data:
            raise DaemonUnavailable(PORTER_GONE)
        told: PortTold = json.loads(data)
        raise refused(told.get("errno", errno.EMFILE), address, port)


def answer(asked: PortAsked, reply: socket.socket) -> None:
    """The porter's side: bind and pass the socket on, or say why not."""
    told: PortTold = {}
    try:
        with bound(asked["address"], asked["port"], PortProtocol(asked["protocol"])) as made:
            socket.send_fds(reply, [json.dumps(told).encode()], [made.fileno()])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        told["errno"] = getattr(error, "errno", None) or errno.EINVAL
        reply.send(json.dumps(told).encode(), socket.MSG_DONTWAIT)


def bound(address: str, port: int, protocol: PortProtocol) -> socket.socket:
    """A socket of this process's network that listens, or is bound; OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, KINDS[protocol])
    try:
        if family == socket.AF_INET6:  # the same port of IPv4 is another one
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol is PortProtocol.TCP:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what is left of closed connections
        made.bind((address, port))
        if protocol is PortProtocol.TCP:
            made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def refused(number: int, address: str, port: int) -> VertuiError:
    """Why a port of the host cannot be had."""
    where = f"port {port} of {address}"
    if number == errno.EADDRINUSE:
        return Conflict(
            f"{where} is taken by another program of this host: give another, or none for a free one"
        )
    if number == errno.EADDRNOTAVAIL:
        return UsageError(f"this host has no address {address}: `ip addr` lists those it has")
    if number in (errno.EACCES, errno.EPERM):
        return Unsupported(f"{where} is only for root on this host: give one from 1024 on")
    if number in FULL:
        return NoRoom(
            f"{where} cannot be opened ({os.strerror(number)}): raise `ulimit -n`, or unpublish some"
        )
    return Unsupported(f"{where} cannot be opened: {os.strerror(number)}")
