"""The pane that a shell is used in: draws its emulator's rows as they change, and sends it keys, mouse and paste.

Two states. Live, every key goes to the shell but those of `KEPT`. Reading, the view stands still in what was printed
while the shell goes on, and keys scroll and search; `shift+pageup` begins that, and escape ends it.
"""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from vertui import theme
from vertui.emulator import keys
from vertui.emulator.modes import Private
from vertui.emulator.places import Extent, Place, find, found_in, line_at, word_at
from vertui.emulator.rows import Row
from vertui.widgets.cells import runs, strip_of
from vertui.widgets.shell import Shell

KEPT = frozenset(
    {"ctrl+right_square_bracket", "ctrl+pageup", "ctrl+pagedown", "shift+pageup", "shift+pagedown"}
)
"""Keys that no shell gets."""

MOST_RUNS = 600  # pieces of rows drawn at once: some milliseconds, and more than most screens have
WHEEL_ROWS = 3
NO_BUTTON = 3
WHEEL_UP, WHEEL_DOWN = 64, 65
SELECTED = Style(bgcolor=theme.SELECTED, color=theme.BRIGHT)
FOUND = Style(bgcolor=theme.GOLD, color=theme.GROUND)
CURSOR = Style(bgcolor=theme.TEXT, color=theme.GROUND)
RESTING = Style(underline=True)  # the cursor, while the keys go elsewhere


class TerminalPane(Widget, can_focus=True):
    """Shows one shell."""

    ALLOW_SELECT = False  # Textual's own selection knows nothing of rows that scroll away
    BINDINGS: ClassVar[list[BindingType]] = [  # live, only those of KEPT come here
        Binding("shift+pageup,pageup,ctrl+u,ctrl+b", "page(-1)", show=False),
        Binding("shift+pagedown,pagedown,ctrl+d,ctrl+f,space", "page(1)", show=False),
        Binding("k,up", "rows(-1)", show=False),
        Binding("j,down", "rows(1)", show=False),
        Binding("g,home", "edge(-1)", show=False),
        Binding("G,end", "edge(1)", show=False),
        Binding("n", "find(-1)", show=False),
        Binding("N", "find(1)", show=False),
        Binding("escape,q,enter", "live", show=False),
    ]

    class ViewChanged(Message):
        """It reads elsewhere or is live again, or something was copied: `copied` characters."""

        def __init__(self, copied: int = 0) -> None:
            super().__init__()
            self.copied = copied

    class NotTaken(Message):
        """What was typed or pasted is not taken."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shell: Shell | None = None
        self.words = ""  # looked for
        self._top: int | None = None  # the first line in view while reading
        self._selection: Extent | None = None
        self._selecting = False
        self._pressed = NO_BUTTON  # the button that the program was told of
        self._moved_to: Place = (-1, -1)
        self._drawn: tuple[object, ...] = ()  # where the cursor was drawn

    # -- what is shown -----------------------------------------------------------------------------------------

    def look_at(self, shell: Shell | None) -> None:
        """Show this shell, live."""
        self.shell, self._top, self._selection = shell, None, None
        self._fit()
        self.refresh()

    @property
    def reading(self) -> bool:
        """Does the view stand still?"""
        return self._top is not None

    @property
    def rows_up(self) -> int:
        """How far above the newest rows the view is."""
        return self.shell.emulator.history.total - self._first_line if self.shell else 0

    def paint(self) -> bool:
        """Draw rows that changed; whether some are left for the next time."""
        shell = self.shell
        if shell is None:
            return False
        changed, total = shell.emulator.screen.changed, shell.emulator.history.total
        top, cost, regions = self._first_line, 0, list[Region]()
        for y in sorted(changed):
            if cost > MOST_RUNS:
                break
            changed.discard(y)
            if y < shell.emulator.rows and 0 <= (at := total + y - top) < self.size.height:
                cost += runs(shell.emulator.screen.rows[y].pens)
                regions.append(self._row_region(at))
        cursor = self._cursor
        if cursor != self._drawn:
            regions += [self._row_region(place[0]) for place in (cursor, self._drawn) if place]
            self._drawn = cursor
        if regions:
            self.refresh(*regions)
        return bool(changed)

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width, blank = self.size.width, self.rich_style
        if self.shell is None:
            return Strip.blank(width, blank)
        emulator, number = self.shell.emulator, self._first_line + y
        if not emulator.first <= number < emulator.stop:
            return Strip.blank(width, blank)
        row = emulator.line(number)
        strip = strip_of(row.chars, row.pens, emulator.modes.on(Private.REVERSED))
        for start, stop, style in self._marks(number, row):
            strip = _styled(strip, start, stop, style)
        return strip.adjust_cell_length(width, blank)

    def _marks(self, number: int, row: Row) -> list[tuple[int, int, Style]]:
        """Parts of a row that look different: found, selected, under the cursor."""
        marks: list[tuple[int, int, Style]] = []
        if self.words and self.reading:
            marks += [(*columns, FOUND) for columns in found_in(row, self.words)]
        if self._selection:
            marks.append((*self._selection.columns(number, len(row.chars)), SELECTED))
        cursor = self._cursor
        if cursor and number == self._first_line + cursor[0]:
            column = cursor[1]
            wide = column + 1 < len(row.chars) and not row.chars[column + 1]
            marks.append((column, column + 1 + wide, CURSOR if cursor[2] else RESTING))
        return marks

    @property
    def _cursor(self) -> tuple[int, int, bool] | tuple[()]:
        """Where the cursor is seen, and whether keys go to it; nothing while it is not."""
        shell = self.shell
        if shell is None or self.reading or shell.ended or not shell.emulator.modes.on(Private.CURSOR):
            return ()
        screen = shell.emulator.screen
        return screen.y, screen.column, self.has_focus

    @property
    def _first_line(self) -> int:
        """The line in the first row."""
        if self.shell is None:
            return 0
        emulator = self.shell.emulator
        newest = emulator.history.total
        return newest if self._top is None else min(max(self._top, emulator.first), newest)

    def _row_region(self, y: object) -> Region:
        assert isinstance(y, int)
        return Region(0, y, self.size.width, 1)

    def _fit(self) -> None:
        if self.shell is not None and self.size.height > 0 and self.size.width > 0:
            self.shell.resize(self.size.height, self.size.width)

    def on_resize(self) -> None:
        """The shell's terminal has the pane's size."""
        self._fit()
        self.refresh()

    def on_focus(self) -> None:
        """Keys come here."""
        self._focused(True)

    def on_blur(self) -> None:
        """Keys go elsewhere."""
        self._focused(False)

    def _focused(self, gained: bool) -> None:
        if self.shell is not None:
            self._send(keys.focus(gained, self.shell.emulator.modes))
            self.paint()

    # -- keys and paste ----------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """A key for the shell, unless it is kept, or moves the view."""
        if self.shell is None or self.reading or self.shell.ended or event.key in KEPT:
            return
        event.stop()
        event.prevent_default()
        self._select(None)
        self._send(keys.key(event.key, event.character, self.shell.emulator.modes))

    def on_paste(self, event: events.Paste) -> None:
        """Text for the shell."""
        event.stop()
        if self.shell is not None and not self.shell.ended:
            self.action_live()
            self._send(keys.pasted(event.text, self.shell.emulator.modes))

    def _send(self, data: bytes) -> None:
        if self.shell is not None and data and not self.shell.ended and not self.shell.type(data):
            self.post_message(self.NotTaken())

    # -- reading -----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where there is nothing to end, its keys are left to the screen."""
        return self.reading if action == "live" else True

    def action_page(self, by: int) -> None:
        """By what is in view, less a row."""
        self.action_rows(by * max(1, self.size.height - 1))

    def action_rows(self, by: int) -> None:
        """By rows. Going up from the newest begins to read."""
        if self.shell is not None and (self.reading or by < 0):
            self._read_from(self._first_line + by)

    def action_edge(self, way: int) -> None:
        """To the oldest or the newest line."""
        if self.shell is not None and self.reading:
            self._read_from(self.shell.emulator.history.total if way > 0 else self.shell.emulator.first)

    def action_live(self) -> None:
        """Go on: keys are the shell's again."""
        if self.reading:
            self._top = None
            self._select(None)
            self.refresh()
            self.post_message(self.ViewChanged())

    def action_find(self, step: int) -> None:
        """The next line with the words looked for, older or newer."""
        if self.shell is not None and self.reading and self.words:
            found = find(self.shell.emulator, self.words, self._first_line + step, step)
            if found is None:
                self.app.bell()
            else:
                self._read_from(found)

    def look_for(self, words: str) -> bool:
        """Go to the newest line in view or above with these words; whether there is one."""
        self.words = words
        self.refresh()
        if self.shell is None or not words:
            return True
        found = find(self.shell.emulator, words, self._first_line + self.size.height - 1, -1)
        if found is not None and not self._first_line <= found < self._first_line + self.size.height:
            self._read_from(found)
        return found is not None

    def _read_from(self, top: int) -> None:
        assert self.shell is not None
        emulator = self.shell.emulator
        self._top = min(max(top, emulator.first), emulator.history.total)
        self.refresh()
        self.post_message(self.ViewChanged())

    # -- the mouse ---------------------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A button for the program if it asks for that; else a selection begins. Shift selects always."""
        if self._report(event, event.button - 1):
            self._pressed = event.button - 1
        elif event.button == 1:
            self._selecting = True
            self._select(None)
            self._anchor = self._place(event)
        else:
            return
        self.capture_mouse()
        event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """A selection goes on, or the program is told."""
        if self._selecting:
            self._select(Extent(self._anchor, self._place(event)))
        else:
            self._report(event, self._pressed, moved=True)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """What was selected is copied."""
        self.release_mouse()
        if self._selecting:
            self._selecting = False
            self._copy()
        elif self._pressed != NO_BUTTON:
            self._report(event, self._pressed, up=True)
            self._pressed = NO_BUTTON

    def on_click(self, event: events.Click) -> None:
        """A double click selects a word, a third a line."""
        event.stop()
        if self.shell is None or event.chain < 2 or (self._asks_for_mouse and not event.shift):
            return
        self._select((word_at if event.chain == 2 else line_at)(self.shell.emulator, self._place(event)))
        self._copy()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        self._wheel(event, WHEEL_UP)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        self._wheel(event, WHEEL_DOWN)

    def _wheel(self, event: events.MouseEvent, button: int) -> None:
        """For the program; as arrows for one that fills the screen; else it scrolls the view."""
        event.stop()
        if self.shell is None or self._report(event, button):
            return
        modes, up = self.shell.emulator.modes, button == WHEEL_UP
        if self.shell.emulator.alternate and not self.reading and modes.on(Private.WHEEL_ARROWS):
            self._send(keys.key("up" if up else "down", None, modes) * WHEEL_ROWS)
            return
        self.action_rows(-WHEEL_ROWS if up else WHEEL_ROWS)
        if self._top is not None and not up and self._top >= self.shell.emulator.history.total:
            self.action_live()

    @property
    def _asks_for_mouse(self) -> bool:
        shell = self.shell
        return (
            shell is not None
            and not self.reading
            and not shell.ended
            and shell.emulator.modes.mouse is not None
        )

    def _report(
        self, event: events.MouseEvent, button: int, *, moved: bool = False, up: bool = False
    ) -> bool:
        """Tell the program, if it asks for the mouse."""
        if self.shell is None or event.shift or not self._asks_for_mouse:
            return False
        line, column = self._place(event)
        modifiers = keys.ALT * bool(event.meta) + keys.CTRL * bool(event.ctrl)
        if moved and (line, column) == self._moved_to:
            return True
        self._moved_to = line, column
        y, modes = line - self._first_line, self.shell.emulator.modes
        self._send(keys.mouse(button, column, y, modifiers, modes, moved=moved, up=up))
        return True

    def _place(self, event: events.MouseEvent) -> Place:
        """The line and column under the mouse, or nearest to it."""
        y = min(max(event.y, 0), self.size.height - 1)
        return self._first_line + y, min(max(event.x, 0), self.size.width - 1)

    def _select(self, selection: Extent | None) -> None:
        if selection != self._selection:
            self._selection = selection
            self.refresh()

    def _copy(self) -> None:
        if self.shell is not None and self._selection and (text := self._selection.text(self.shell.emulator)):
            self.app.copy_to_clipboard(text)
            self.post_message(self.ViewChanged(len(text)))


def _styled(strip: Strip, start: int, stop: int, style: Style) -> Strip:
    """A strip with another style from a column to before another."""
    if start >= stop:
        return strip
    before, middle, after = strip.crop(0, start), strip.crop(start, stop), strip.crop(stop)
    marked = Strip([Segment(text, (old or Style()) + style) for text, old, _ in middle])
    return Strip.join([before, marked, after])
