"""Standard streams that are there and take any text, whatever this process was started with; and its interrupts."""

import contextlib
import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from core.errors import VertuiError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NAMES = {1: "standard output", 2: "standard error"}


class _Descriptor(io.FileIO):
    """Descriptor 1 or 2: one that does not block is waited for, and what cannot be written is an error of ours.

    That the reader has left stays a BrokenPipeError: it ends a command quietly.
    """

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            while (written := super().write(data)) is None:
                select.select((), (self,), ())
            return written
        except BrokenPipeError:
            raise
        except OSError as error:
            raise VertuiError(f"cannot write to {NAMES[self.fileno()]}: {error.strerror}") from error


def prepare() -> None:
    """Make `sys.stdin`, `stdout` and `stderr` usable, and those that Textual draws on, `__stdout__` and `__stderr__`.

    A descriptor that was closed gets a /dev/null that has no input and takes no output, so that no file opened later
    takes its number. What the encoding lacks is written as a backslash escape. All that is written is: under
    PYTHONUNBUFFERED, as in most containers, Python itself loses the rest of what a signal interrupts.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _occupy(number)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = _text(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text(2, sys.stderr)  # type: ignore[misc]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Where an interrupt would end the process, let it be a KeyboardInterrupt in the body."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish() -> None:
    """Write out what is buffered, or drop it: the interpreter's own try at its end would complain of a failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, VertuiError):
            with contextlib.suppress(OSError):
                nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(nothing, stream.fileno())
                os.close(nothing)


def _occupy(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)
    os.set_inheritable(number, True)


def _text(number: int, former: TextIO | None) -> io.TextIOWrapper:
    """`former` may be None: Python found the descriptor closed."""
    raw = _Descriptor(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        former.encoding if former else "utf-8",
        "backslashreplace",
        line_buffering=number == 2 or raw.isatty(),
    )
