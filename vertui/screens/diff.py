"""What differs between two REFs: the files at the left, the text diff of the one under the cursor at the right."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer

from core.errors import VertuiError
from vertui import theme
from vertui.screens.base import VertuiScreen
from vertui.screens.main import BREAKPOINTS
from vertui.text import printable, size
from vertui.widgets.footer import KeyHints
from vertui.widgets.guest_text import clean
from vertui.widgets.lines import MOST_LINES, LineView
from vertui.widgets.rows import RowList, columns

JsonObject = dict[str, Any]
SETTLE_S = 0.08  # the cursor rests this long before a file's text is asked for
MARKS = {
    "added": ("+", theme.GREEN),
    "removed": ("-", theme.RED),
    "modified": ("~", theme.GOLD),
    "renamed": ("→", theme.BLUE),
}
PATCH_COLOURS = {"+": theme.GREEN, "-": theme.RED, "@": theme.TEAL}


class DiffScreen(VertuiScreen):
    """Reads the diff when it opens, each file's text when the cursor rests on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d", "app.pop_screen", show=False),
        Binding("x", "swap", show=False),
        Binding("J,ctrl+down", "scroll_patch(5)", show=False),
        Binding("K,ctrl+up", "scroll_patch(-5)", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS

    def __init__(self, a: str, b: str) -> None:
        super().__init__()
        self._a, self._b = a, b
        self._patches: dict[str, list[Text]] = {}
        self._settling: Timer | None = None

    def compose(self) -> ComposeResult:
        """Files, text, keys."""
        with Horizontal(id="panes"):
            yield RowList[JsonObject](_draw, lambda entry: entry["path"], id="files")
            yield LineView(id="patch")
        yield KeyHints(("j/k", "file"), ("J/K", "scroll the text"), ("x", "swap sides"), ("esc", "back"))

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

    def action_scroll_patch(self, by: int) -> None:
        """Scroll the text while the files have the focus."""
        self.query_one("#patch").scroll_relative(y=by, animate=False)

    def _read(self) -> None:
        a, b = self._a, self._b
        self._files.border_title = f"{a} → {b}"
        self._files.border_subtitle = "comparing…"
        self.vertui.call(
            f"comparing {a} with {b}", lambda: self.vertui.client.diff(a, b), self._show, self._failed
        )

    def _failed(self, error: VertuiError) -> None:
        if self.is_attached:
            self._files.border_subtitle = "not compared"
            self._unreadable(error)

    def _show(self, diff: JsonObject) -> None:
        if not self.is_attached:
            return
        entries = diff["entries"]
        counts = {kind: sum(entry["kind"] == kind for entry in entries) for kind in MARKS}
        said = " · ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        self._files.border_subtitle = said or "nothing differs"
        self._files.show(entries)
        notes = [Text(printable(str(note)), style=theme.GOLD) for note in diff.get("notes", ())]
        self.query_one("#patch", LineView).show(notes or [Text(said or "no file differs", style=theme.MUTED)])
        if entries:
            self._ask_patch()

    def _ask_patch(self) -> None:
        entry = self._files.current
        if entry is None:
            return
        path, pair = entry["path"], (self._a, self._b)
        self.query_one("#patch").border_title = printable(path)
        if path in self._patches:
            self.query_one("#patch", LineView).show(self._patches[path])
            return

        def arrived(lines: list[Text]) -> None:
            if self.is_attached and pair == (self._a, self._b):
                self._patches[path] = lines
                self._ask_patch()

        self.vertui.ask(
            lambda: _patch_lines(self.vertui.client.patch(*pair, path=[path]), entry),
            arrived,
            self._unreadable,
        )

    def _unreadable(self, error: VertuiError) -> None:
        if self.is_attached:
            self.query_one("#patch", LineView).show([Text(printable(str(error)), style=theme.RED)])

    @property
    def _files(self) -> RowList[JsonObject]:
        return self.query_one("#files", RowList)


def _patch_lines(patch: bytes, entry: JsonObject) -> list[Text]:
    """The facts of an entry, then its text diff, coloured."""
    shown, in_head = [*_facts(entry), Text()], True
    for line in patch.decode(errors="replace").splitlines()[:MOST_LINES]:
        in_head = in_head and not line.startswith("@@")
        colour = theme.MUTED if in_head else PATCH_COLOURS.get(line[:1], theme.TEXT)
        shown.append(Text(clean(line), style=colour))
    return shown


def _facts(entry: JsonObject) -> list[Text]:
    """What changed besides the text."""
    lines = [Text(f"{entry['kind']}  {', '.join(entry['what'])}", style=theme.MUTED)]
    if "from" in entry:
        lines.append(Text(f"was {printable(entry['from'])}", style=theme.BLUE))
    before, after = _sides(entry)
    for name in ("type", "mode", "owner", "target", "size", "flags", "project"):
        if before.get(name) != after.get(name):
            text = " → ".join(printable(str(side[name])) for side in (before, after) if name in side)
            lines.append(Text.assemble((f"{name:<7}", theme.MUTED), (text, theme.TEXT)))
    return lines


def _sides(entry: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Both states of a file, empty where there was none, with the owner as one value."""
    before, after = (entry[key] or {} for key in ("before", "after"))
    return _with_owner(before), _with_owner(after)


def _with_owner(side: JsonObject) -> JsonObject:
    return side | {"owner": f"{side['uid']}:{side['gid']}"} if side else side


def _draw(entry: JsonObject, width: int) -> Text:
    glyph, colour = MARKS.get(entry["kind"], ("?", theme.MUTED))
    left = Text.assemble((f"{glyph} ", f"bold {colour}"), (printable(entry["path"]), theme.TEXT))
    sizes = " → ".join(size(side["size"]) for side in _sides(entry) if side)
    return columns(left, Text(sizes, style=theme.MUTED), width)
