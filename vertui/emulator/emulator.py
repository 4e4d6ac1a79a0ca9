"""The terminal as a whole: what each control and sequence does.

What is done is what xterm does (invisible-island.net/xterm/ctlseqs), less what would let a program at the other end do
something here: nobody may read the title or the clipboard, or write to the clipboard, by printing.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from vertui.emulator import pen as pens
from vertui.emulator.answers import DARK, Answers, Colours
from vertui.emulator.modes import Modes, Private
from vertui.emulator.parser import Parser, numbers
from vertui.emulator.rows import History, Row
from vertui.emulator.screen import Saved, Screen
from vertui.emulator.widths import shown

GRAPHICS = str.maketrans(
    "`abcdefghijklmnopqrstuvwxyz{|}~_", "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£· "
)  # fmt: skip
CHARSETS = {"0": GRAPHICS, "A": str.maketrans("#", "£")}  # what is not as in ASCII
LONGEST_TITLE = 200

Order = Callable[["Emulator", Sequence[int]], object]


def _count(parameters: Sequence[int]) -> int:
    """How often; 0 and nothing mean once."""
    return max(1, parameters[0])


class Emulator:
    """Feed it with `feed`, look at `screen`, send on what `answers.take()` gives."""

    def __init__(self, rows: int, columns: int, colours: Colours = DARK) -> None:
        self.history = History()
        self._main = Screen(rows, columns, self.history)
        self._other = Screen(rows, columns)
        self.screen = self._main
        self.answers = Answers(colours)
        self.modes = Modes()
        self.title = ""
        self.bells = 0
        self._charsets, self._shifted = ["B", "B"], False
        self._last = " "
        self._parser = Parser(self)

    @property
    def rows(self) -> int:
        """Rows in view."""
        return len(self.screen.rows)

    @property
    def columns(self) -> int:
        """Columns."""
        return self.screen.columns

    @property
    def alternate(self) -> bool:
        """Is the alternate screen shown?"""
        return self.screen is self._other

    def feed(self, data: bytes) -> None:
        """Take what a program printed, cut anywhere."""
        self._parser.feed(data)

    def resize(self, rows: int, columns: int) -> None:
        """Another size."""
        for screen in (self._main, self._other):
            screen.resize(rows, columns)

    # -- lines by number ---------------------------------------------------------------------------------------

    @property
    def first(self) -> int:
        """The oldest line that can be looked at. The alternate screen has no past."""
        return self.history.total if self.alternate else self.history.dropped

    @property
    def stop(self) -> int:
        """The number behind the newest line's."""
        return self.history.total + self.rows

    def line(self, number: int) -> Row:
        """A line from `first` to before `stop`, as a row."""
        y = number - self.history.total
        return self.screen.rows[y] if y >= 0 else self.history.line(number).row(self.columns)

    def text(self, number: int) -> str:
        """What a line says."""
        y = number - self.history.total
        return self.screen.rows[y].text if y >= 0 else self.history.line(number).said

    # -- what the parser tells ---------------------------------------------------------------------------------

    def print(self, text: str) -> None:
        """Characters."""
        if table := CHARSETS.get(self._charsets[self._shifted]):
            text = text.translate(table)
        if text.isascii():
            self.screen.print_narrow(text)
            self._last = text[-1]
            return
        narrow: list[str] = []
        for char in text:
            char, width = shown(char)
            if width == 1:
                narrow.append(char)
            elif char:
                self._print(narrow)
                self.screen.print_wide(char) if width == 2 else self.screen.print_mark(char)
            self._last = char if width else self._last
        self._print(narrow)

    def _print(self, narrow: list[str]) -> None:
        if narrow:
            self.screen.print_narrow("".join(narrow))
            narrow.clear()

    def control(self, char: str) -> None:
        """A C0 control."""
        screen = self.screen
        if char == "\r":
            screen.x = 0
        elif char in "\n\v\f":
            screen.line_feed()
            if self.modes.new_line:
                screen.x = 0
        elif char == "\b":
            screen.x = max(0, screen.column - 1)
        elif char == "\t":
            screen.tab(1)
        elif char == "\a":
            self.bells += 1
        elif char in "\x0e\x0f":
            self._shifted = char == "\x0e"

    def escape(self, between: str, final: str) -> None:
        """An ESC sequence."""
        if between in ("(", ")"):
            self._charsets[between == ")"] = final
        elif between == "#" and final == "8":
            self._align()
        elif not between and final in self._ESCAPES:
            self._ESCAPES[final](self)

    def csi(self, prefix: str, parameters: str, between: str, final: str) -> None:
        """A control sequence."""
        told = numbers(parameters)
        if final == "m" and not prefix + between:
            self.screen.pen = pens.changed(self.screen.pen, told)
            return
        given = [one[0] for one in told]
        if prefix == "?" and not between and final in "hl":
            for number in given:
                self._set_private(number, final == "h")
        elif order := self._ORDERS.get(prefix + between + final):
            order(self, given)

    def string(self, kind: str, text: str) -> None:
        """A control string."""
        code, _, value = text.partition(";")
        if kind == "P":
            self.answers.device(text)
        elif kind != "]":
            return
        elif code in ("0", "2"):
            self.title = "".join(char for char in value if shown(char)[1])[:LONGEST_TITLE]
        elif value == "?":
            self.answers.colour(code)

    # -- controls ----------------------------------------------------------------------------------------------

    def _next_line(self) -> None:
        self.screen.x = 0
        self.screen.line_feed()

    def _set_tab(self) -> None:
        self.screen.tabs.add(self.screen.column)

    def _clear_tabs(self, which: int) -> None:
        if which == 3:
            self.screen.tabs.clear()
        elif which <= 0:
            self.screen.tabs.discard(self.screen.column)

    def _save(self) -> None:
        screen = self.screen
        charsets = (self._charsets[0], self._charsets[1])
        screen.saved = Saved(screen.x, screen.y, screen.pen, screen.origin, charsets, self._shifted)

    def _restore(self) -> None:
        screen, saved = self.screen, self.screen.saved
        screen.x, screen.y = min(saved.x, screen.columns), min(saved.y, len(screen.rows) - 1)
        screen.pen, screen.origin = saved.pen, saved.origin
        self._charsets, self._shifted = list(saved.charsets), saved.shifted

    def _align(self) -> None:
        """DECALN: a screen full of E."""
        screen = self.screen
        screen.origin = False
        screen.margins(0, self.rows - 1)
        screen.go(0, 0)
        for row in screen.rows:
            row.put(0, "E" * screen.columns, pens.PLAIN)
        screen.changed.update(range(self.rows))

    def _reset(self) -> None:
        """RIS: as it was at first; the history stays."""
        rows, columns = self.rows, self.columns
        self._main, self._other = Screen(rows, columns, self.history), Screen(rows, columns)
        self.screen = self._main
        self.screen.changed.update(range(rows))
        self.title = ""
        self._soft_reset()

    def _soft_reset(self) -> None:
        """DECSTR."""
        self.modes = Modes()
        self._charsets, self._shifted = ["B", "B"], False
        screen = self.screen
        screen.origin, screen.inserting, screen.wrapping = False, False, True
        screen.top, screen.bottom, screen.pen = 0, self.rows - 1, pens.PLAIN
        screen.saved = Saved()

    def _margins(self, given: Sequence[int]) -> None:
        bottom = given[1] if len(given) > 1 and given[1] > 0 else self.rows
        self.screen.margins(max(given[0], 1) - 1, bottom - 1)

    def _go(self, given: Sequence[int]) -> None:
        self.screen.go(max(given[0], 1) - 1, max(given[1] if len(given) > 1 else 1, 1) - 1)

    def _go_row(self, given: Sequence[int]) -> None:
        self.screen.go(_count(given) - 1, self.screen.column)

    def _go_column(self, given: Sequence[int]) -> None:
        self.screen.x = min(_count(given), self.columns) - 1

    def _erase_display(self, given: Sequence[int]) -> None:
        screen, what = self.screen, max(0, given[0])
        if what == 0:
            screen.erase(screen.column, self.columns)
            screen.erase_rows(screen.y + 1, self.rows)
        elif what == 1:
            screen.erase_rows(0, screen.y)
            screen.erase(0, screen.column + 1)
        elif what == 2:
            screen.erase_rows(0, self.rows)
        elif what == 3 and not self.alternate:
            self.history.clear()
            screen.changed.update(range(self.rows))

    def _erase_line(self, given: Sequence[int]) -> None:
        screen, what = self.screen, max(0, given[0])
        if what <= 2:
            start = screen.column if what == 0 else 0
            screen.erase(start, screen.column + 1 if what == 1 else self.columns)

    def _erase_characters(self, given: Sequence[int]) -> None:
        self.screen.erase(self.screen.column, self.screen.column + _count(given))

    def _repeat(self, given: Sequence[int]) -> None:
        """REP, at most a row full."""
        self.print(self._last * min(_count(given), self.columns))

    def _scroll_down(self, given: Sequence[int]) -> None:
        if len(given) < 2:  # more are xterm's highlight tracking
            self.screen.scroll_down(_count(given))

    # -- modes -------------------------------------------------------------------------------------------------

    def _set_mode(self, given: Sequence[int], on: bool) -> None:
        for number in given:
            if number == 4:
                self.screen.inserting = on
            elif number == 20:
                self.modes.new_line = on

    def _set_private(self, number: int, on: bool) -> None:
        screen = self.screen
        self.modes.set(number, on)
        if number == Private.ORIGIN:
            screen.origin = on
            screen.go(0, 0)
        elif number == Private.WRAP:
            screen.wrapping = on
        elif number == Private.REVERSED:
            screen.changed.update(range(self.rows))
        elif number == Private.COLUMNS and self.modes.on(Private.COLUMNS_ALLOWED):
            screen.margins(0, self.rows - 1)
            screen.erase_rows(0, self.rows)
            screen.go(0, 0)
        elif number in (Private.OTHER_SCREEN, Private.OTHER_SCREEN_CLEARED, Private.OTHER_SCREEN_SAVED):
            self._show_other(number, on)
        elif number == Private.SAVED_CURSOR:
            self._save() if on else self._restore()

    def _show_other(self, number: int, on: bool) -> None:
        if on is self.alternate:
            return
        if on:
            if number == Private.OTHER_SCREEN_SAVED:
                self._save()
            here = self.screen
            self.screen = self._other
            self.screen.x, self.screen.y, self.screen.pen = here.x, here.y, here.pen
            if number == Private.OTHER_SCREEN_SAVED:
                self.screen.erase_rows(0, self.rows)
        else:
            here = self.screen
            if number == Private.OTHER_SCREEN_CLEARED:
                here.erase_rows(0, self.rows)
            self.screen = self._main
            self.screen.x, self.screen.y, self.screen.pen = here.x, here.y, here.pen
            if number == Private.OTHER_SCREEN_SAVED:
                self._restore()
        self.screen.origin, self.screen.wrapping = here.origin, here.wrapping
        self.screen.inserting = here.inserting
        self.screen.changed = set(range(self.rows))

    def _report_position(self, mark: str) -> None:
        screen = self.screen
        y = screen.y - (screen.top if screen.origin else 0)
        self.answers.say(f"\x1b[{mark}{y + 1};{screen.column + 1}R")

    def _report(self, given: Sequence[int]) -> None:
        if given[0] == 5:
            self.answers.say("\x1b[0n")
        elif given[0] == 6:
            self._report_position("")

    _ESCAPES: ClassVar[dict[str, Callable[["Emulator"], object]]] = {
        "7": _save,
        "8": _restore,
        "D": lambda it: it.screen.line_feed(),
        "E": _next_line,
        "H": _set_tab,
        "M": lambda it: it.screen.reverse_line_feed(),
        "Z": lambda it: it.answers.identify(),
        "c": _reset,
        "=": lambda it: it.modes.set(Private.KEYPAD, True),
        ">": lambda it: it.modes.set(Private.KEYPAD, False),
    }
    _ORDERS: ClassVar[dict[str, Order]] = {
        "@": lambda it, given: it.screen.insert(_count(given)),
        "A": lambda it, given: it.screen.move(-_count(given), 0),
        "B": lambda it, given: it.screen.move(_count(given), 0),
        "C": lambda it, given: it.screen.move(0, _count(given)),
        "D": lambda it, given: it.screen.move(0, -_count(given)),
        "E": lambda it, given: it.screen.move(_count(given), -it.columns),
        "F": lambda it, given: it.screen.move(-_count(given), -it.columns),
        "G": _go_column,
        "H": _go,
        "I": lambda it, given: it.screen.tab(_count(given)),
        "J": _erase_display,
        "?J": _erase_display,
        "K": _erase_line,
        "?K": _erase_line,
        "L": lambda it, given: it.screen.insert_rows(_count(given)),
        "M": lambda it, given: it.screen.delete_rows(_count(given)),
        "P": lambda it, given: it.screen.delete(_count(given)),
        "S": lambda it, given: it.screen.scroll_up(_count(given)),
        "T": _scroll_down,
        "X": _erase_characters,
        "Z": lambda it, given: it.screen.tab(-_count(given)),
        "`": _go_column,
        "a": lambda it, given: it.screen.move(0, _count(given)),
        "b": _repeat,
        "c": lambda it, given: it.answers.identify(),
        ">c": lambda it, given: it.answers.identify_version(),
        "d": _go_row,
        "e": lambda it, given: it.screen.move(_count(given), 0),
        "f": _go,
        "g": lambda it, given: it._clear_tabs(given[0]),
        "h": lambda it, given: it._set_mode(given, True),
        "l": lambda it, given: it._set_mode(given, False),
        "n": _report,
        "?n": lambda it, given: it._report_position("?") if given[0] == 6 else None,
        "!p": lambda it, given: it._soft_reset(),
        "?$p": lambda it, given: it.answers.mode(given[0], it.modes.told(given[0], it.alternate)),
        ">q": lambda it, given: it.answers.name(),
        "r": _margins,
        "s": lambda it, given: it._save(),
        "t": lambda it, given: it.answers.size(it.rows, it.columns) if given[0] == 18 else None,
        "u": lambda it, given: it._restore(),
    }
