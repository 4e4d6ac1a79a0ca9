"""The daemon's progress events shown while a call blocks: a bar on a terminal, a line a step elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from core.daemon.client import Client, EventStream
from core.errors import DaemonUnavailable
from core.model import Event
from vertui.output import clip, draw, line_width
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
    step = ""
    with suppress(DaemonUnavailable):  # the call itself will say why
        for event in events:
            if event.kind == "progress" and event.subject == subject:
                _draw(event, event.text != step)
                step = event.text


def _draw(event: Event, new_step: bool) -> None:
    text = printable(event.text)
    if sys.stderr.isatty():
        done = round(BAR * min(1.0, max(0.0, event.fraction)))
        line = f"{'█' * done}{'░' * (BAR - done)} {event.fraction:4.0%} {text}"
        draw(f"\r\x1b[K{clip(line, (line_width() or 80) - 1)}")
    elif new_step:
        draw(f"  {text}\n")
