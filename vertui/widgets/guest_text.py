"""Guest output as plain lines. A guest may print anything; none of it may reach the user's terminal as control.

Escape sequences are dropped, and with them C0 and C1, as a terminal would; what else is not seen (bidi, format and
zero-width characters, U+2028) is shown escaped. A sequence never goes on past
its line, whatever a terminal would do, so that no output can swallow what comes after it. A carriage return starts
its line again: a progress bar stays one line.
"""

import codecs
import re
import unicodedata

from vertui.text import printable

LONGEST_LINE = 2000  # characters shown of one line: what scrolls past a screen's width ten times is not read
LONGEST_REST = 4 * LONGEST_LINE  # characters kept of a line that does not end
ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # two-character sequences
)


class GuestText:
    """Decodes one stream. `feed` returns the lines completed; `rest` is the raw line being printed."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.rest = ""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes as they came; the lines they complete, cleaned."""
        *lines, rest = (self.rest + self._decode(data)).split("\n")
        self.rest = rest[-LONGEST_REST:]
        return [clean(line) for line in lines]


def clean(line: str) -> str:
    """One line without anything that is not printed: tabs become spaces, the last carriage return wins."""
    line = line[-LONGEST_REST:]
    if "\x1b" in line:
        line = ESCAPE.sub("", line)
    line = line.rstrip("\r").rsplit("\r", 1)[-1].expandtabs(8)[:LONGEST_LINE]
    if line.isascii() and line.isprintable():
        return line
    return printable("".join(char for char in line if unicodedata.category(char) != "Cc"))[:LONGEST_LINE]
