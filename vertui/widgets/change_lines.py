"""The lines of a change as they are drawn: numbers and sign, syntax, words that differ, what is searched for."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from rich.style import Style
from rich.text import Text

from vertui import theme
from vertui.compare.change import NOWHERE, FilePatch, LinePart
from vertui.compare.colourist import KINDS
from vertui.compare.words import changed_words

MOST_KEPT = 1000  # lines: some screens of them
MOST_FOUND = 2000  # lines with what is searched for: more letters find fewer
SIGNS = {
    LinePart.ADDED: ("+", theme.GREEN),
    LinePart.REMOVED: ("-", theme.RED),
    LinePart.CONTEXT: (" ", theme.FAINT),
}
QUIET = ("≈", theme.MUTED)
GROUNDS = {LinePart.ADDED: theme.ADDED_GROUND, LinePart.REMOVED: theme.REMOVED_GROUND}
WORDS = {
    LinePart.ADDED: Style(bgcolor=theme.ADDED_WORDS, bold=True),
    LinePart.REMOVED: Style(bgcolor=theme.REMOVED_WORDS, bold=True),
}
WHOLE = {LinePart.HUNK: theme.TEAL, LinePart.REMARK: theme.MUTED}
"""Lines that are of no side, without numbers."""

FOUND = Style(bgcolor=theme.FOUND, color=theme.BRIGHT, underline=True)
SYNTAX = [Style(color=theme.SYNTAX[kind]) for kind in KINDS]
ENDLESS = " ⊘ no newline at the end"


class ChangeLines:
    """Of one change. `blank` draws changes of white space alone as if they were none."""

    def __init__(self, change: FilePatch, blank: bool, sought: str) -> None:
        self.change, self.blank, self.sought = change, blank, sought
        self._digits = max(3, len(str(change.last)))
        self._blanks: dict[int, bool] = {}  # blocks that change white space alone
        self._texts: dict[int, Text] = {}

    def text(self, line: int) -> Text:
        """A line with all its colours."""
        if (text := self._texts.get(line)) is None:
            if len(self._texts) > MOST_KEPT:
                self._texts.clear()
            text = self._texts[line] = self._coloured(line)
        return text

    def ground(self, line: int) -> Style:
        """What is behind a line."""
        ground = None if self._is_quiet(line) else GROUNDS.get(self.change.part(line))
        return Style(bgcolor=ground)

    def gutter(self, line: int, sides: Sequence[int]) -> Text:
        """A line's numbers on these sides, and its sign."""
        numbers = [(self.change.old, self.change.new)[side][line] for side in sides]
        told = "".join(f"{number or '':>{self._digits}} " for number in numbers)
        sign, colour = QUIET if self._is_quiet(line) else SIGNS[self.change.part(line)]
        return Text.assemble((told, theme.FAINT), (f"{sign} ", f"bold {colour}"))

    def gutter_width(self, sides: Sequence[int]) -> int:
        """How many cells that takes."""
        return len(sides) * (self._digits + 1) + 2

    def forget(self) -> None:
        """The change has other colours."""
        self._texts.clear()

    def is_blank(self, block: int) -> bool:
        """Does a block change white space alone?"""
        if (found := self._blanks.get(block)) is None:
            found = self._blanks[block] = self.change.blocks[block].is_blank(self.change)
        return found

    def find(self) -> list[int]:
        """The lines with what is searched for. The bytes are searched, not what is shown of them."""
        change, found = self.change, list[int]()
        if not self.sought or not len(change):
            return found
        wanted = self.sought.encode(errors="replace")
        data = change.data.lower() if _is_small(self.sought) else change.data
        at = change.starts[0]
        while len(found) < MOST_FOUND and (hit := data.find(wanted, at)) >= 0:
            line = bisect_right(change.starts, hit) - 1
            at = hit + len(wanted)
            if at <= change.ends[line]:
                found.append(line)
                at = change.ends[line]
        return found

    def _coloured(self, line: int) -> Text:
        change, part = self.change, self.change.part(line)
        plain = change.text(line)
        text = Text(plain, style=WHOLE.get(part, theme.TEXT), end="", no_wrap=True)
        at = 0
        for length, kind in change.colours.get(line, ()):
            if kind >= 0:
                text.stylize(SYNTAX[kind], at, at + length)
            at += length
        if part in WORDS and not self._is_quiet(line):
            for start, end in self._changed_words(line, plain):
                text.stylize(WORDS[part], start, end)
        for start in _places(plain, self.sought):
            text.stylize(FOUND, start, start + len(self.sought))
        if line in change.unended:
            text.append(ENDLESS, theme.FAINT)
        return text

    def _changed_words(self, line: int, plain: str) -> Iterable[tuple[int, int]]:
        block = self.change.blocks[self.change.block_at(line)]
        if (partner := block.partner(line)) == NOWHERE:
            return ()
        other = self.change.text(partner)
        return changed_words(plain, other)[0] if line < block.added else changed_words(other, plain)[1]

    def _is_quiet(self, line: int) -> bool:
        block = self.change.block_at(line) if self.blank else NOWHERE
        return block != NOWHERE and self.is_blank(block)


def _places(line: str, sought: str) -> Iterator[int]:
    """Where a text stands in a line."""
    line = line.lower() if _is_small(sought) else line
    at = line.find(sought) if sought else -1
    while at >= 0:
        yield at
        at = line.find(sought, at + len(sought))


def _is_small(sought: str) -> bool:
    """One in small letters is found in large ones too."""
    return sought == sought.lower()
