"""The local terminal: raw mode, its size, and output that a person can tell apart."""

import os
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from core.daemon.streams import STDERR
from vertui.output import styled

PREFIX_COLOURS = ("cyan", "green", "yellow", "magenta", "blue")
OUTPUT = threading.Lock()  # one writer at a time, so that lines of several branches stay whole


@contextmanager
def raw() -> Iterator[None]:
    """Standard input's terminal in raw mode, put back whatever happens; nothing where it is no terminal."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    saved = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)


def window_size() -> tuple[int, int]:
    """Rows and columns of the terminal; 24 by 80 where there is none."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        try:
            size = os.get_terminal_size(stream.fileno())
        except OSError:
            continue
        if size.lines and size.columns:
            return size.lines, size.columns
    return 24, 80


def write(stream: int, data: bytes) -> None:
    """Pass a command's bytes on as they are, at once."""
    target = sys.stderr.buffer if stream == STDERR else sys.stdout.buffer
    with OUTPUT:
        target.write(data)
        target.flush()


class Prefixed:
    """Whole lines, each under its branch's name; an unfinished last line is kept until `flush`."""

    def __init__(self, name: str, width: int, index: int) -> None:
        colour = PREFIX_COLOURS[index % len(PREFIX_COLOURS)]
        self._prefix = styled(f"{name:<{width}} | ", colour).encode()
        self._rest: dict[int, bytes] = {}

    def __call__(self, stream: int, data: bytes) -> None:
        """Take bytes, print the lines they complete."""
        *lines, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        self._rest[stream] = rest
        if lines:
            write(stream, b"".join(self._prefix + line + b"\n" for line in lines))

    def flush(self) -> None:
        """Print what was left without an end of line."""
        for stream, rest in self._rest.items():
            if rest:
                write(stream, self._prefix + rest + b"\n")
        self._rest.clear()
