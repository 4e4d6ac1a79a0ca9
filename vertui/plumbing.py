"""Standard input and output, joined to a connection, or standard output's reader given the connection itself."""

import os
import select
import socket
import sys
import threading
from contextlib import suppress

from core.errors import UsageError

STDIN, STDOUT = 0, 1
PIECE_BYTES = 128 * 1024


def join(connection: socket.socket) -> None:
    """Carry bytes both ways, none faster than they are taken, up to both ends.

    Input that ends is told to the peer, whose answer goes on; a peer that says no more ends the output, while input
    goes on, but for one that somebody types. OSError when the connection breaks.
    """
    feeding = threading.Thread(target=_feed, args=(connection,), daemon=True)
    feeding.start()
    while data := connection.recv(PIECE_BYTES):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    _put_away(STDOUT, os.O_WRONLY)
    if not sys.stdin.isatty():
        feeding.join()


def hand_on(connection: socket.socket) -> None:
    """Give the connection itself to who reads standard output, as ssh's ProxyUseFdpass wants it."""
    try:
        with socket.socket(fileno=os.dup(STDOUT)) as reader:
            socket.send_fds(reader, [b"\0"], [connection.fileno()])
    except OSError as error:
        raise UsageError("--pass goes with a Unix socket as standard output, which ssh gives it") from error


def _feed(connection: socket.socket) -> None:
    with suppress(OSError):  # of a connection that breaks the other direction tells
        while data := _read():
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return
    _put_away(STDIN, os.O_RDONLY)  # whoever writes to us is told that nobody takes it


def _read() -> bytes:
    while True:
        try:
            return os.read(STDIN, PIECE_BYTES)
        except BlockingIOError:
            select.select((STDIN,), (), ())


def _put_away(descriptor: int, mode: int) -> None:
    """Close it for whoever is at its other end. Its number stays taken: no file opened later is mistaken for it."""
    nothing = os.open(os.devnull, mode | os.O_CLOEXEC)
    os.dup2(nothing, descriptor)
    os.close(nothing)
