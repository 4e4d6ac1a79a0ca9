"""What differs between two REFs: the files at the left, the text diff of the one under the cursor at the right."""

from collections.abc import Iterable
from itertools import islice
from typing import ClassVar

from msgspec.structs import asdict
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget

from core.diff.entry import Aspect, DiffKind
from core.diff.result import Diff, FileDiff
from core.errors import VertuiError
from vertui import theme
from vertui.feed import News
from vertui.patches import LineKind, patch_lines
from vertui.plain import Words, entitle
from vertui.screens.base import BREAKPOINTS, SCROLL_BESIDE_KEYS, VertuiScreen
from vertui.text import printable, size
from vertui.widgets.footer import KeyHints
from vertui.widgets.guest_text import LONGEST_LINE
from vertui.widgets.lines import MOST_LINES, LineView
from vertui.widgets.rows import RowList, columns

SETTLE_S = 0.08  # the cursor rests this long before a file's text is asked for
MARKS = {
    DiffKind.ADDED: ("+", theme.GREEN),
    DiffKind.REMOVED: ("-", theme.RED),
    DiffKind.MODIFIED: ("~", theme.GOLD),
    DiffKind.RENAMED: ("→", theme.BLUE),
}
FACTS = (
    Aspect.TYPE, Aspect.MODE, Aspect.OWNER, Aspect.TARGET, Aspect.SIZE, Aspect.FLAGS, Aspect.PROJECT,
)  # fmt: skip
PATCH_COLOURS = {
    LineKind.HEAD: theme.MUTED,
    LineKind.HUNK: theme.TEAL,
    LineKind.ADDED: theme.GREEN,
    LineKind.REMOVED: theme.RED,
    LineKind.REMARK: theme.MUTED,
}


class DiffScreen(VertuiScreen):
    """Reads the diff when it opens, each file's text when the cursor rests on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d", "app.pop_screen", show=False),
        Binding("x", "swap", show=False),
        Binding("r", "read", show=False),
        *SCROLL_BESIDE_KEYS,
    ]
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS

    def __init__(self, a: str, b: str) -> None:
        super().__init__()
        self._a, self._b = a, b
        self._patches: dict[str, list[Text]] = {}
        self._settling: Timer | None = None
        self._unread = False  # a comparison failed

    def compose(self) -> ComposeResult:
        """Files, text, what limits the comparison, keys."""
        with Horizontal(id="panes"):
            yield RowList[FileDiff](_draw, lambda entry: entry.path, id="files")
            yield LineView(id="patch")
        yield Words(id="notes")
        yield KeyHints(
            ("j/k", "file"),
            ("J/K", "scroll the text"),
            ("ctrl+f/b", "by pages"),
            ("ctrl+g/l", "to its ends"),
            ("x", "swap sides"),
            ("r", "compare again"),
            ("esc", "back"),
        )

    def on_mount(self) -> None:
        """Ask for the files."""
        self._read()

    def on_row_list_moved(self) -> None:
        """Another file."""
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(SETTLE_S, self._ask_patch)

    def action_swap(self) -> None:
        """Compare the other way round."""
        self._a, self._b = self._b, self._a
        self._patches.clear()
        self._read()

    def scrolled(self) -> Iterable[Widget]:
        """The text, while the files have the focus."""
        return self.query("#patch")

    def hear(self, news: News) -> None:
        """Compare again if the daemon went away meanwhile."""
        if news.fresh and self._unread:
            self._read()

    def action_read(self) -> None:
        """Compare again: running branches have gone on."""
        self._patches.clear()
        self._read()

    def _read(self) -> None:
        a, b = self._a, self._b
        self._unread = False
        entitle(self._files, f"{a} → {b}", "comparing…")
        self.vertui.call(
            f"comparing {a} with {b}", lambda: self.vertui.client.diff(a, b), self._show, self._failed
        )

    def _failed(self, error: VertuiError) -> None:
        if self.is_attached:
            self._unread = True
            entitle(self._files, below="not compared: r tries again")
            self._unreadable(error)

    def _show(self, diff: Diff) -> None:
        if not self.is_attached:
            return
        said = " · ".join(f"{count} {kind}" for kind, count in asdict(diff.counts).items() if count)
        entitle(self._files, below=said or "nothing differs")
        self._files.show(diff.entries)
        notes = "\n".join(map(printable, diff.notes))
        self.query_one("#notes", Words).display = bool(notes)
        self.query_one("#notes", Words).say(Text(notes, style=theme.GOLD))
        self.query_one("#patch", LineView).show([Text(said or "no file differs", style=theme.MUTED)])
        self.on_row_list_moved()  # the same file may have another text now; if another came, both count as one

    def _ask_patch(self) -> None:
        entry = self._files.current
        if entry is None:
            return
        path, pair = entry.path, (self._a, self._b)
        # Without its old path a file that moved is a new one.
        paths = [path, *filter(None, (entry.source,))]
        entitle(self.query_one("#patch"), path)
        if path in self._patches:
            self.query_one("#patch", LineView).show(self._patches[path])
            return

        def arrived(lines: list[Text]) -> None:
            if self.is_attached and pair == (self._a, self._b):
                self._patches[path] = lines
                self._ask_patch()

        self.vertui.ask(
            lambda: _patch_lines(self.vertui.client.patch(*pair, path=paths), entry),
            arrived,
            self._unreadable,
        )

    def _unreadable(self, error: VertuiError) -> None:
        if self.is_attached:
            self.query_one("#patch", LineView).show([Text(printable(str(error)), style=theme.RED)])

    @property
    def _files(self) -> RowList[FileDiff]:
        return self.query_one("#files", RowList)


def _patch_lines(patch: bytes, entry: FileDiff) -> list[Text]:
    """The facts of an entry, then its text diff, coloured."""
    lines = [
        Text(line[:LONGEST_LINE], style=PATCH_COLOURS.get(part, theme.TEXT))
        for part, line in islice(patch_lines(patch), MOST_LINES)
    ]
    return [*_facts(entry), Text(), *lines]


def _facts(entry: FileDiff) -> list[Text]:
    """What changed besides the text."""
    lines = [Text(printable(f"{entry.kind}  {', '.join(entry.what)}"), style=theme.MUTED)]
    if entry.source is not None:
        lines.append(Text(f"was {printable(entry.source)}", style=theme.BLUE))
    for fact in FACTS:
        values = [side and getattr(side, fact) for side in (entry.before, entry.after)]
        if values[0] != values[1]:
            text = " → ".join(printable(str(value)) for value in values if value is not None)
            lines.append(Text.assemble((f"{fact:<7}", theme.MUTED), (text, theme.TEXT)))
    return lines


def _draw(entry: FileDiff, width: int) -> Text:
    glyph, colour = MARKS[entry.kind]
    left = Text.assemble((f"{glyph} ", f"bold {colour}"), (printable(entry.path), theme.TEXT))
    sizes = " → ".join(size(side.size) for side in (entry.before, entry.after) if side)
    return columns(left, Text(sizes, style=theme.MUTED), width)
