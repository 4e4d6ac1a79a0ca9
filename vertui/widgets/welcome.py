"""The first screen, while there is no machine: what is missing, and one key to get there."""

from rich.text import Text

from core.model import Event, Tree
from vertui import theme
from vertui.text import printable
from vertui.widgets.events import progress_bar
from vertui.widgets.lines import LineView


class Welcome(LineView):
    """Two steps with their state, the progress of the one at work, and what stands in the way."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tree: Tree | None = None
        self._progress: Event | None = None
        self._trouble = ""
        self._jobs: tuple[str, ...] = ()

    def offer(self, tree: Tree) -> None:
        """There is a daemon, and this is what it has."""
        self._tree = tree
        self._draw()

    def progress(self, event: Event | None) -> None:
        """How far the step at work is."""
        self._progress = event
        self._draw()

    def trouble(self, text: str) -> None:
        """What stands in the way; nothing when it is empty."""
        self._trouble = text
        self._draw()

    def jobs(self, doing: tuple[str, ...]) -> None:
        """What is at work."""
        self._jobs = doing
        if not doing:
            self._progress = None
        self._draw()

    def on_resize(self) -> None:
        """Stay in the middle."""
        self._draw()

    def _draw(self) -> None:
        """All of it, in the middle of the pane while there is room around it."""
        lines = [
            Text("vertui", style=f"bold {theme.BRIGHT}"),
            Text("running machines to commit, fork, compare and restore", style=theme.MUTED),
            Text(),
            *self._steps(),
            Text(),
            *self._state(),
        ]
        above = [Text()] * max(0, (self.size.height - len(lines)) // 3)
        left = " " * max(0, (self.size.width - max(line.cell_len for line in lines)) // 2)
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
            return [Text(f"✗ {printable(self._trouble)}", style=theme.RED)]
        lines = [Text(f"◌ {printable(job)}…", style=theme.TEAL) for job in self._jobs]
        if self._progress is not None:
            return [*lines, progress_bar(self._progress)]
        if self._jobs:
            return lines
        words = "start main" if self._built else "begin"
        return [Text.assemble((" ⏎ ", f"bold {theme.TEAL}"), (words, theme.TEXT))]


def _step(done: bool, number: str, what: str, how: str) -> Text:
    mark, colour = ("✓", theme.GREEN) if done else (number, theme.TEAL)
    return Text.assemble((f" {mark}  ", f"bold {colour}"), (f"{what:<18}", theme.TEXT), (how, theme.MUTED))
