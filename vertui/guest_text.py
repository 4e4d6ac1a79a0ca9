"""Guest output as plain lines. A guest may print anything; none of it may reach the user's terminal as control.

Escape sequences are dropped, and with them C0 and C1, as a terminal would; what else is not seen (bidi, format and
zero-width characters, U+2028) is shown escaped. A sequence never goes on past its line, whatever a terminal would do:
no output can swallow what comes after it. A carriage return starts its line again: a progress bar stays one line.
"""

import codecs
import re
import unicodedata

from vertui.text import printable

LONGEST_LINE = 2000  # characters shown of one line: what scrolls past a screen's width ten times is not read
TAB = 8  # columns
LONGEST_RAW = 2 * LONGEST_LINE  # … and looked at: some are not shown
LONGEST_REST = 4 * LONGEST_LINE  # characters kept of a line that does not end
ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # two-character sequences
)


class GuestText:
    """Decodes one stream. `feed` returns the lines completed, `rest` is the line being printed: as they came."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.rest = ""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes as they came; the lines they complete."""
        *lines, rest = (self.rest + self._decode(data)).split("\n")
        self.rest = rest[-LONGEST_REST:]
        return lines


def clean(line: str) -> str:
    """One line without anything that is not printed: tabs become spaces, the last carriage return wins."""
    line = line[-LONGEST_REST:]
    if "\x1b" in line:
        line = ESCAPE.sub("", line)
    line = line.rstrip("\r").rsplit("\r", 1)[-1]
    return visible(untabbed(line, 0)[:LONGEST_RAW], first=True)[:LONGEST_LINE]


def untabbed(piece: str, column: int) -> str:
    """A piece of a line that begins at a column of it, with spaces for its tabs."""
    return (" " * (column % TAB) + piece).expandtabs(TAB)[column % TAB :] if "\t" in piece else piece


def visible(piece: str, *, first: bool) -> str:
    """A piece of a line as it is shown: C0 and C1 go. A mark may stand on what is before it, unless it is the first."""
    if piece.isascii() and piece.isprintable():
        return piece
    kept = "".join(char for char in piece if unicodedata.category(char) != "Cc")
    return printable(kept) if first and kept else printable(f"a{kept}")[1:]
