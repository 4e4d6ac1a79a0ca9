"""The daemon's progress events shown while a call blocks: a bar on a terminal, a line a step elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core.daemon.client import Client
from core.errors import VertuiError
from core.model import Event
from vertui.output import clip, line_width
from vertui.text import printable

BAR = 24  # cells


@contextmanager
def progress(client: Client, subject: str) -> Iterator[None]:
    """Show progress events of `subject` until the block ends."""
    over = threading.Event()
    threading.Thread(target=_show, args=(client, subject, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _show(client: Client, subject: str, over: threading.Event) -> None:
    step = ""
    try:
        for event in client.events():
            if over.is_set():
                return
            if event.kind == "progress" and event.subject == subject:
                _draw(event, event.text != step)
                step = event.text
    except VertuiError:
        return  # the call itself will say why


def _draw(event: Event, new_step: bool) -> None:
    text = printable(event.text)
    if sys.stderr.isatty():
        done = round(BAR * min(1.0, max(0.0, event.fraction)))
        line = f"{'█' * done}{'░' * (BAR - done)} {event.fraction:4.0%} {text}"
        print(f"\r\x1b[K{clip(line, (line_width() or 80) - 1)}", end="", file=sys.stderr, flush=True)
    elif new_step:
        print(f"  {text}", file=sys.stderr, flush=True)
