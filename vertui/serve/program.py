"""A program in a terminal of its own, of which this is the other end, as bytes."""

import asyncio
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from core.patience import patient
from vertui.browser import PAGE, PAGE_FILES

READ_BYTES = 64 * 1024
END_S = patient(5.0)  # for a program whose terminal is gone; the UI takes no more than three
LEAST_SIZE, LARGEST_SIZE = 2, 1000  # columns or rows: a page says any number


class TerminalProgram:
    """Started when it is made. By a pipe of its own it says what the page is to do, a line each (`vertui.browser`), and
    `files` is where it puts what the page is to save.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], columns: int, rows: int) -> None:
        self._directory = TemporaryDirectory(prefix="vertui-", ignore_cleanup_errors=True)
        self.files = Path(self._directory.name)
        self._master, slave = pty.openpty()
        told, tell = os.pipe()
        self.told = os.fdopen(told, "rb", buffering=0)
        self._open = True
        try:
            self.resize(columns, rows)
            self._child = subprocess.Popen(
                ["setsid", "--ctty", *argv], stdin=slave, stdout=slave, stderr=slave,
                env={**environment, PAGE: str(tell), PAGE_FILES: str(self.files)}, pass_fds=(tell,),
            )  # fmt: skip
        except BaseException:
            self._hang_up()
            self._directory.cleanup()
            raise
        finally:
            os.close(slave)
            os.close(tell)
        os.set_blocking(self._master, False)

    async def printed(self) -> bytes:
        """What it printed next; nothing when it has ended."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self._master, READ_BYTES)
            except BlockingIOError:
                await _until(loop.add_reader, loop.remove_reader, self._master)
            except OSError:  # nobody has the terminal open any more
                return b""

    async def type(self, data: bytes) -> None:
        """Type into it; what it has no room for is waited for."""
        loop = asyncio.get_running_loop()
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await _until(loop.add_writer, loop.remove_writer, self._master)
            except OSError:
                return

    def resize(self, columns: int, rows: int) -> None:
        """Its terminal is as large as this."""
        size = tuple(min(LARGEST_SIZE, max(LEAST_SIZE, number)) for number in (rows, columns))
        with suppress(OSError):
            termios.tcsetwinsize(self._master, (size[0], size[1]))

    async def end(self) -> None:
        """Close its terminal, and wait for its end. What does not end by that is killed. Its files go."""
        self._hang_up()
        try:
            await asyncio.to_thread(self._wait)
        finally:
            self._directory.cleanup()

    def _hang_up(self) -> None:
        if self._open:
            self._open = False
            os.close(self._master)
            self.told.close()

    def _wait(self) -> None:
        try:
            self._child.wait(END_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.kill()
            self._child.wait()


async def _until(add: Callable[..., object], remove: Callable[[int], object], descriptor: int) -> None:
    """Wait for a descriptor to be ready."""
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
