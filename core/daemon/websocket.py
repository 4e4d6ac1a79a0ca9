"""A WebSocket to the daemon, as a thread that reads and writes whenever it can: neither ever waits for the other.

What `send` takes goes before the data that `source` offers, so a signal waits for one message at most.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from core.daemon.connection import IDLE, Vigil, failure
from core.daemon.endpoint import Endpoint, connected, headers_of, place_of
from core.errors import VertuiError
from core.patience import patient
from core.ports import url_of

READ_BYTES = 128 * 1024
HANDSHAKE_S = patient(60.0)  # a daemon that serves others first; it never takes seconds for this itself
FLUSH_S = 5.0

Message = str | bytes


class WebSocket(threading.Thread):
    """Connected once made; OSError or WebSocketException when the daemon is not there, what it says when it refuses.
    `start` begins the traffic.

    `source` is asked for the next data message, None when there is none, and again after each `wake`. `received` and
    `ended` are called from the thread, `ended` once and last, with the reason where more is known than that it ended.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        resource: str,
        source: Callable[[], Message | None],
        received: Callable[[Message], None],
        ended: Callable[[VertuiError | None], None],
    ) -> None:
        super().__init__(name="stream", daemon=True)
        self._source, self._received, self._ended = source, received, ended
        self._lock = threading.Lock()
        self._urgent: deque[str] = deque()
        self._pending = b""
        self._closing = self._over = False
        uri = url_of(*place_of(endpoint)).replace("http", "ws", 1)
        self._protocol = ClientProtocol(parse_uri(f"{uri}{resource}"), max_size=None)
        self._socket = connected(endpoint, HANDSHAKE_S)
        self._vigil = Vigil(endpoint, IDLE)
        try:
            self._greet(headers_of(endpoint))
        except BaseException:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def send(self, text: str) -> bool:
        """Send ahead of all data, without waiting; False when the connection has ended."""
        self._urgent.append(text)
        return self.wake()

    def wake(self) -> bool:
        """Have `source` asked again; False when the connection has ended."""
        with self._lock:
            if not self._over:
                os.eventfd_write(self._wake, 1)
            return not self._over

    def close(self) -> None:
        """End the connection, once all there is to send is sent; the daemon may have some seconds to take it."""
        self._closing = True
        self.wake()
        if self.ident is None:
            self._release()
        else:
            self.join(FLUSH_S)

    def run(self) -> None:
        """Read and write until either side closes."""
        reason: VertuiError | None = None
        try:
            while not self._done():
                self._wait()
                self._write()
                if not self._read():
                    break
        except VertuiError as error:  # it hangs, or is somebody else's by now
            reason = error
        except (OSError, ValueError, KeyError):  # gone, or no daemon of ours
            pass
        finally:
            self._release()
            self._ended(reason)

    def _greet(self, headers: Mapping[str, str]) -> None:
        request = self._protocol.connect()
        request.headers.update(headers)
        self._protocol.send_request(request)
        self._socket.sendall(b"".join(self._protocol.data_to_send()))
        while self._protocol.state is not OPEN:
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError("closed during the handshake")
            self._protocol.receive_data(data)
            self._protocol.events_received()
            if isinstance(self._protocol.handshake_exc, InvalidStatus):
                raise failure(bytes(self._protocol.handshake_exc.response.body))
            if self._protocol.handshake_exc:
                raise self._protocol.handshake_exc

    def _done(self) -> bool:
        """Has all been sent that is to go before the end?"""
        self._fill()
        return self._closing and not self._pending

    def _fill(self) -> None:
        """Make the next message ready to be written."""
        if self._pending:
            return
        message = self._urgent.popleft() if self._urgent else self._source()
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        elif message is not None:
            self._protocol.send_binary(message)
        self._pending = b"".join(self._protocol.data_to_send())

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLOUT * bool(self._pending))
        poll.register(self._wake, select.POLLIN)
        if poll.poll(IDLE.quiet_s * 1000):
            self._vigil.heard()
        else:
            self._vigil.check(self._socket)
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _write(self) -> None:
        with suppress(BlockingIOError):
            if self._pending:
                self._pending = self._pending[self._socket.send(self._pending) :]

    def _read(self) -> bool:
        """Hand on what has come; False at the end."""
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                body = bytes(event.data)
                self._received(body.decode() if event.opcode is Opcode.TEXT else body)
        self._pending += b"".join(self._protocol.data_to_send())
        return self._protocol.close_rcvd is None and self._protocol.parser_exc is None

    def _release(self) -> None:
        with self._lock:
            if not self._over:
                self._over = True
                os.close(self._wake)
                self._socket.close()


__all__ = ["WebSocket", "WebSocketException"]
