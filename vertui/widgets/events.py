"""The event line: what happens now at the left, what happened last after it."""

import time
from collections import deque
from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from core.model import Event
from vertui import theme
from vertui.actions import BY_ID
from vertui.plain import cut
from vertui.steps import left_of, place_of
from vertui.text import printable

BAR_WIDTH = 16
KEPT = 20  # more than fit any width


class EventLine(Widget):
    """One line. A notice (the reason a key did nothing, a failure) stays until the next key or event."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._notice = Text()
        self._trouble = ""
        self._jobs: tuple[str, ...] = ()
        self.progress: Event | None = None
        self.quiet = False  # about what is under way: another widget says that

    def add(self, events: Iterable[Event]) -> None:
        """Say what happened."""
        for event in events:
            if event.kind == "progress":
                self.progress = None if event.fraction is not None and event.fraction >= 1 else event
                continue
            if event.kind in ("image", "operation"):  # what was under way has ended
                self.progress = None
            if event.text not in ("", event.subject, self._newest):
                self._events.appendleft(event)
                self._notice = Text()
        self.refresh()

    def notice(self, text: str, colour: str = theme.GOLD) -> None:
        """Say something about the key just pressed."""
        self._notice = Text(printable(text), style=colour)
        self.refresh()

    def trouble(self, text: str) -> None:
        """Say that the feed is broken; an empty text that it is whole."""
        self._trouble = text
        self.refresh()

    def jobs(self, doing: tuple[str, ...]) -> None:
        """Say what runs."""
        self._jobs = doing
        if not doing:
            self.progress = None
        self.refresh()

    @property
    def build(self) -> Event | None:
        """How far the image build is that is going on."""
        return self.progress if self.progress is not None and self.progress.progress is not None else None

    @property
    def _newest(self) -> str:
        return self._events[0].text if self._events else ""

    def render(self) -> Text:
        """Trouble, jobs, notice, then events, newest first, as many as fit."""
        parts = [Text(f"✗ {printable(self._trouble)}", style=theme.RED)] if self._trouble else []
        if not self.quiet:
            parts += [Text(f"◌ {printable(job)}…", style=theme.TEAL) for job in self._jobs]
            parts += [progress_bar(self.progress)] if self.progress else []
        if self._notice:
            parts.append(self._notice)
        parts += [_said(event, first=not index) for index, event in enumerate(self._events)]
        line = Text(" ").append_text(Text("  ·  ", style=theme.FAINT).join(parts))
        return cut(line, self.size.width)


def progress_bar(event: Event) -> Text:
    """A bar, the percentage, the step and the time left."""
    text = bar(event, BAR_WIDTH).append(printable(event.text), theme.MUTED)
    if (progress := event.progress) is not None:
        text.append(f"  {place_of(progress)}, {left_of(progress)}", theme.FAINT)
    return text


def bar(event: Event, width: int) -> Text:
    """A bar of so many cells, and the percentage; nothing where nobody knows how much the whole is."""
    if event.fraction is None:
        return Text()
    full = int(max(0.0, min(1.0, event.fraction)) * width)
    return Text.assemble(
        ("━" * full, theme.TEAL),
        ("━" * (width - full), theme.BORDER),
        (f" {event.fraction:4.0%} ", theme.BRIGHT),
    )


def _said(event: Event, first: bool) -> Text:
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    helps = f": {BY_ID['let'].key_label} lets it" if event.refused else ""
    return Text.assemble(
        (f"{clock} ", theme.FAINT), (printable(event.text) + helps, theme.TEXT if first else theme.FAINT)
    )
