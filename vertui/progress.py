"""The daemon's progress events shown while a call blocks: one bar on a terminal, a line a step elsewhere."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress

from core.daemon.client import Client, EventStream
from core.errors import DaemonUnavailable
from core.model import Event, new_key
from vertui.output import clip, draw, line_width
from vertui.steps import left_of, place_of
from vertui.text import printable, size

BAR = 24  # cells
REDRAW_S = 0.1


@contextmanager
def tallied(client: Client) -> Iterator[str]:
    """Show how far a request is that has the key which this gives; on a terminal alone, as scripts want the outcome."""
    key = new_key()
    with progress(client, key) if sys.stderr.isatty() else nullcontext():
        yield key


@contextmanager
def progress(client: Client, subject: str) -> Iterator[None]:
    """Show progress events of `subject` until the block ends."""
    events = client.events(figures=False)
    thread = threading.Thread(target=_show, args=(events, subject))
    thread.start()
    try:
        yield
    finally:
        events.close()
        thread.join()
        if sys.stderr.isatty():
            draw("\r\x1b[K")


def _show(events: EventStream, subject: str) -> None:
    told: set[str] = set()
    with suppress(DaemonUnavailable):  # the call itself will say why
        for event in events:
            if event.kind == "progress" and event.subject == subject:
                _draw(event, told)


def _draw(event: Event, told: set[str]) -> None:
    """Draw the bar anew; above it what is worth a line of its own and was not told yet."""
    terminal, note = sys.stderr.isatty(), event.progress.note if event.progress else ""
    lines = (note,) if terminal else (note, event.text)
    for line in lines:
        if line and line not in told:
            told.add(line)
            draw(f"\r\x1b[K  {printable(line)}\n" if terminal else f"  {printable(line)}\n")
    if terminal:
        _draw_bar(event.fraction, _words(event))


def _draw_bar(fraction: float | None, words: str) -> None:
    """Where nobody knows how much the whole is, there is no bar to lie."""
    line = printable(words)
    if fraction is not None:
        done = round(BAR * min(1.0, max(0.0, fraction)))
        line = f"{'█' * done}{'░' * (BAR - done)} {fraction:4.0%} {line}"
    draw(f"\r\x1b[K{clip(line, (line_width() or 80) - 1)}")


def _words(event: Event) -> str:
    progress = event.progress
    if progress is None:
        return event.text
    return f"{place_of(progress)}: {event.text}, {left_of(progress)}"


class Meter:
    """Bytes so far, of so many where that is known, redrawn on a terminal and silent elsewhere."""

    def __init__(self, total_bytes: int = 0) -> None:
        self._shown = sys.stderr.isatty()
        self._total_bytes = total_bytes
        self._done = 0
        self._drawn = 0.0

    def __call__(self, count: int) -> None:
        """Hear of a block."""
        self._done += count
        if not self._shown or time.monotonic() - self._drawn <= REDRAW_S:
            return
        self._drawn = time.monotonic()
        if self._total_bytes:
            _draw_bar(self._done / self._total_bytes, f"{size(self._done)} of {size(self._total_bytes)}")
        else:
            draw(f"\r\x1b[K{size(self._done)}")

    def clear(self) -> None:
        """Leave the line empty for what follows."""
        if self._shown:
            draw("\r\x1b[K")

    def along(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, heard of as they are taken."""
        try:
            for piece in pieces:
                yield piece
                self(len(piece))
        finally:
            self.clear()
