"""The virtio-serial port: connected or not, never spinning, never blocking.

Answers go before data: whoever asks waits for the one frame that is under way, not for what is queued.

While no host is connected the port polls as hung up without end. It is then taken out of the poll set and the driver
asked to raise SIGIO, which it does when a host comes (or goes); a slow timer looks as well, should one be missed.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from .kernel import names_in, open_filesystem, read_file
from .loop import READ, WRITE, Poller, Timer, Timers

PORT_NAME = b"vertui.agent"
LOOK_AGAIN_S = 15.0
"""SIGIO tells of a connection at once; this only bounds the harm should the driver ever not raise it."""

READ_BYTES = 128 * 1024
"""Taken at once: a request and its being given up are seen together."""

PAGE_BYTES = 4096
"""What the driver hands out at a time: readv(2) goes on to the next page by itself, as long as each is filled."""


def open_port() -> int:
    """Our port, whatever the guest has mounted where; FileNotFoundError when QEMU offers none."""
    sysfs, ports = open_filesystem("sysfs"), "class/virtio-ports"
    for name in names_in(ports, sysfs):
        if read_file(f"{ports}/{name}/name", 256, sysfs).strip() == PORT_NAME:
            return os.open(name, os.O_RDWR, dir_fd=open_filesystem("devtmpfs"))
    raise FileNotFoundError(f"no virtio port is called {PORT_NAME!r}")


class Port:
    """One end of the line: hands what arrives to `received`, says `lost` when the host goes."""

    def __init__(
        self,
        fd: int,
        poller: Poller,
        timers: Timers,
        received: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self._fd = fd
        self._poller = poller
        self._timers = timers
        self._received = received
        self._lost = lost
        self._rest = b""
        self._room = memoryview(bytearray(READ_BYTES))
        self._pages = [self._room[at : at + PAGE_BYTES] for at in range(0, READ_BYTES, PAGE_BYTES)]
        self._answers: deque[bytes] = deque()
        self._data: deque[bytes] = deque()
        self._flags = fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK
        fcntl.fcntl(fd, fcntl.F_SETFL, self._flags)
        self._events = select.poll()
        self._events.register(fd, select.POLLIN)
        self._timer: Timer | None = None
        self._watch_signals()
        self._leave()

    def send(self, frame: bytes) -> None:
        """Queue an answer; `flush` sends it."""
        self._answers.append(frame)

    def send_data(self, frame: bytes) -> None:
        """Queue a frame that every answer may overtake."""
        self._data.append(frame)

    def clear(self) -> None:
        """Forget what is queued, be it half sent."""
        self._rest = b""
        self._answers.clear()
        self._data.clear()

    @property
    def answer_bytes(self) -> int:
        """Answers that wait to be sent."""
        return sum(map(len, self._answers)) if self._answers else 0

    def flush(self, *, data: bool) -> bool:
        """Send what the host takes now, `data` too or answers alone; True when nothing is left of that."""
        try:
            while frame := self._rest or self._next(data=data):
                self._rest = frame
                self._rest = frame[os.write(self._fd, frame) :]
        except BlockingIOError:
            return False
        except OSError:
            self._leave()
        return True

    def _next(self, *, data: bool) -> bytes:
        if self._answers:
            return self._answers.popleft()
        return self._data.popleft() if data and self._data else b""

    def expect(self, *, read: bool, write: bool) -> None:
        """Say what to wake up for; without effect while no host is connected."""
        if self.connected:
            self._poller.watch(self._fd, READ * read | WRITE * write, self._ready)

    def _ready(self) -> None:
        data, gone = self._read()
        if data:
            self._received(data)
        if gone:
            self._leave()

    def _read(self) -> tuple[bytes, bool]:
        """What has arrived, and whether the host has left."""
        try:
            size = os.readv(self._fd, self._pages)
        except BlockingIOError:
            return b"", False
        except OSError:
            size = 0
        return bytes(self._room[:size]), size == 0

    def _watch_signals(self) -> None:
        wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGIO, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        fcntl.fcntl(self._fd, fcntl.F_SETOWN, os.getpid())
        self._poller.watch(wake, READ, lambda: self._signalled(wake))

    def _signalled(self, wake: int) -> None:
        with suppress(BlockingIOError):
            os.read(wake, 4096)
        self._look()

    def _leave(self) -> None:
        """The host is gone: wait for the next."""
        self.connected = False
        self._poller.forget(self._fd)
        self.clear()
        self._lost()
        fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags | os.O_ASYNC)
        self._look()

    def _look(self) -> None:
        """Has a host come? SIGIO is wanted only until then: connected, the driver raises it for all that arrives."""
        if self.connected:
            return
        self._timers.cancel(self._timer)
        self._timer = self._timers.after(LOOK_AGAIN_S, self._look)
        if not any(events & select.POLLHUP for _, events in self._events.poll(0)):
            fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags)
            self._timers.cancel(self._timer)
            self.connected = True
            self.expect(read=True, write=False)
