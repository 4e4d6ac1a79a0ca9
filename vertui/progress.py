"""The daemon's progress events shown while a call blocks: one bar on a terminal, a line a step elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from core.daemon.client import Client, EventStream
from core.errors import DaemonUnavailable
from core.model import Event
from vertui.output import clip, draw, line_width
from vertui.steps import left_of, place_of
from vertui.text import printable

BAR = 24  # cells


@contextmanager
def progress(client: Client, subject: str) -> Iterator[None]:
    """Show progress events of `subject` until the block ends."""
    events = client.events()
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
        done = round(BAR * min(1.0, max(0.0, event.fraction)))
        line = f"{'█' * done}{'░' * (BAR - done)} {event.fraction:4.0%} {printable(_words(event))}"
        draw(f"\r\x1b[K{clip(line, (line_width() or 80) - 1)}")


def _words(event: Event) -> str:
    progress = event.progress
    if progress is None:
        return event.text
    return f"{place_of(progress)}: {event.text}, {left_of(progress)}"
