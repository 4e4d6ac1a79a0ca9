"""Values as people read them: sizes, ages, short ids, and text nobody can trust made safe to print."""

import re

SHORT_ID = 8  # hex digits shown of a commit id; six are the least a REF accepts
UNITS = ("B", "K", "M", "G", "T")
NUMBERS = re.compile(r"(\d+)")


def printable(text: str) -> str:
    """`text` on one line with every control character shown as `\\xNN`: it may come from a hostile guest."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


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


def natural(name: str) -> list[str | int]:
    """Sort key under which b2 comes before b10."""
    return [int(part) if part.isdigit() else part for part in NUMBERS.split(name)]


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
