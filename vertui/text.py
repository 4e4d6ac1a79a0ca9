"""Values as people read them: sizes, ages, short ids, and text nobody can trust made safe to print."""

import re
import time
import unicodedata

from core.model import Branch
from core.refs import CRASH

SHORT_ID = 8  # hex digits shown of a commit id; six are the least a REF accepts
MARKS = ("Mn", "Me")  # they stand on the character before them
UNITS = ("B", "K", "M", "G", "T")
NUMBERS = re.compile(r"(\d+)")
INVISIBLE = (
    re.compile(  # what Unicode calls printable and no terminal shows; Unicode's Default_Ignorable and blanks
        "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
    )
)


def printable(text: str) -> str:
    """`text` on one line with every character that is not seen shown as `\\xNN`: it may come from a hostile guest.

    A mark that would stand on what is printed before `text` is escaped too.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else _escaped(char) for char in text)
    shown = INVISIBLE.sub(lambda found: _spelled(found[0]), shown)
    return _spelled(shown[0]) + shown[1:] if unicodedata.category(shown[0]) in MARKS else shown


def size(count: int) -> str:
    """Bytes as at most five characters: `0`, `812B`, `4.0K`, `21M`, `1.5G`."""
    if not count:
        return "0"
    value, unit = float(count), 0
    while abs(value) >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 1 if unit and abs(value) < 9.95 else 0
    return f"{value:.{digits}f}{UNITS[unit]}"


def age(seconds: float) -> str:
    """A duration as its largest unit: `3s`, `5m`, `2h`, `9d`."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def millis(value: float) -> str:
    """A duration in milliseconds: `0.8 ms`, `13 ms`, `4.2 s`."""
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def short(commit: str) -> str:
    """The first digits of a commit id."""
    return commit[:SHORT_ID]


def number(value: float | None) -> str:
    """A score without a needless `.0`; nothing for None."""
    return "" if value is None else f"{value:g}"


def counted(count: int, noun: str) -> str:
    """A number of things: `1 file`, `2 files`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def short_count(count: int) -> str:
    """A number in at most five characters: `9999`, `12k`, `3400k`, `12M`."""
    for size, unit in ((10_000_000, "M"), (10_000, "k")):
        if count >= size:
            return f"{count // (1_000_000 if unit == 'M' else 1000)}{unit}"
    return str(count)


def natural(name: str) -> list[str | int]:
    """Sort key under which b2 comes before b10."""
    return [int(part) if part.isdecimal() else part for part in NUMBERS.split(name)]


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _spelled(char: str) -> str:
    """Its bytes, as `core.names` spells what it cannot show: such a character may be part of a name told by it."""
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def left_of(branch: Branch) -> str:
    """What a branch's machine left when it died, by its name; empty when it left nothing."""
    if branch.crash is None:
        return ""
    ago = age(time.time() - branch.crash.died)
    return f"{branch.name}{CRASH} is its disk as it died {ago} ago, {size(branch.crash.size_bytes)}"
