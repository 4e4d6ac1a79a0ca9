"""The first screen, while there is no machine: what is missing, one key to get there, and how far that is."""

import textwrap

from rich.text import Text

from core.model import Event, Tree
from vertui import theme
from vertui.actions import BY_ID
from vertui.steps import left_of, place_of
from vertui.text import printable
from vertui.widgets.events import bar
from vertui.widgets.lines import LineView

WIDTH = 71  # of what is shown: it stays where it is while words in it change
BAR_WIDTH = 60
MOST_NOTE_LINES = 3
LEARN = ("tour", "words", "help")  # actions for who knows nothing yet


class Welcome(LineView):
    """Two steps with their state, the progress of the one at work, and what stands in the way."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tree: Tree | None = None
        self._progress: Event | None = None
        self._note = ""  # what a build said that is worth knowing after it
        self._trouble = self._failure = ""
        self._jobs: tuple[str, ...] = ()

    def offer(self, tree: Tree) -> None:
        """There is a daemon, and this is what it has."""
        self._tree = tree
        self._draw()

    def progress(self, event: Event | None) -> None:
        """How far the step at work is."""
        self._progress = event
        if event is not None and event.progress is not None:
            self._note, self._failure = event.progress.note, ""
        self._draw()

    def trouble(self, text: str) -> None:
        """What stands in the way; nothing when it is empty."""
        self._trouble = text
        self._draw()

    def failed(self, why: str) -> None:
        """What was begun came to nothing."""
        self._failure = why
        self._draw()

    def jobs(self, doing: tuple[str, ...]) -> None:
        """What is at work."""
        self._jobs = doing
        if doing:
            self._failure = ""
        else:
            self._progress = None
        self._draw()

    def on_show(self) -> None:
        """Say what was told meanwhile."""
        self._draw()

    def on_resize(self) -> None:
        """Stay in the middle."""
        self._draw()

    def _draw(self) -> None:
        """All of it, in the middle of the pane while there is room around it; nothing while it is hidden."""
        if not self.display:
            return
        lines = [
            Text("vertui", style=f"bold {theme.BRIGHT}"),
            Text("running machines to commit, fork, compare and restore", style=theme.MUTED),
            Text(),
            *self._steps(),
            Text(),
            *self._state(),
            Text(),
            _keys(*LEARN),
        ]
        above = [Text()] * max(0, (self.size.height - len(lines)) // 3)
        left = " " * max(0, (self.size.width - WIDTH) // 2)
        self.show([*above, *(Text(left).append_text(line) for line in lines)])

    @property
    def _built(self) -> bool:
        return bool(self._tree and self._tree.images)

    def _steps(self) -> list[Text]:
        return [
            _step(self._built, "1", "build the image", "Debian: kernel, root disk, one boot; some minutes"),
            _step(False, "2", "start main", "the first machine, and the trunk"),
        ]

    def _state(self) -> list[Text]:
        if self._trouble:
            return _told("✗", self._trouble, theme.RED)
        if self._progress is not None:
            return [*_progress(self._progress), *self._notes(), Text(), _keys("cancel_build")]
        if self._jobs:
            return [Text(f"◌ {printable(job)}…", style=theme.TEAL) for job in self._jobs] + self._notes()
        words = "start main" if self._built else "begin"
        failure = [*_told("✗", self._failure, theme.RED), Text()] if self._failure else []
        key = f" {BY_ID['menu'].key_label} "
        begin = Text.assemble((key, f"bold {theme.TEAL}"), ("try again" if failure else words, theme.TEXT))
        return [*failure, *self._notes(), begin]

    def _notes(self) -> list[Text]:
        return _told("!", self._note, theme.GOLD) if self._note else []


def _step(done: bool, number: str, what: str, how: str) -> Text:
    mark, colour = ("✓", theme.GREEN) if done else (number, theme.TEAL)
    return Text.assemble((f" {mark}  ", f"bold {colour}"), (f"{what:<18}", theme.TEXT), (how, theme.MUTED))


def _progress(event: Event) -> list[Text]:
    """One bar for the whole, the step with the time left above it, and what happens in it below."""
    if (progress := event.progress) is None:
        return [bar(event, BAR_WIDTH), Text(printable(event.text), style=theme.MUTED)]
    head = Text.assemble((f"{place_of(progress)}  ", theme.MUTED), (printable(event.text), theme.TEXT))
    left = left_of(progress)
    head.append(f"{left:>{max(len(left) + 2, WIDTH - head.cell_len)}}", theme.MUTED)
    line = Text(printable(progress.line), style=theme.FAINT)
    line.truncate(WIDTH, overflow="ellipsis")
    return [head, bar(event, BAR_WIDTH), line]


def _told(mark: str, text: str, colour: str) -> list[Text]:
    """A few lines of what somebody has to know."""
    rows = textwrap.wrap(printable(text), WIDTH - 2)[:MOST_NOTE_LINES]
    return [Text(f"{' ' if place else mark} {row}", style=colour) for place, row in enumerate(rows)]


def _keys(*actions: str) -> Text:
    text = Text()
    for action in map(BY_ID.__getitem__, actions):
        text.append(f" {action.key_label} ", f"bold {theme.TEAL}").append(f"{action.label}   ", theme.MUTED)
    return text
