"""How many columns a character takes, as rich counts them, and what stands in for what no terminal may be sent."""

import unicodedata
from functools import lru_cache

from rich.cells import get_character_cell_size

from vertui.text import INVISIBLE

DROPPED = ("Cc", "Cf")  # controls, and what joins, orders or hides the characters beside it
REPLACED = "\N{REPLACEMENT CHARACTER}"


@lru_cache(8192)
def shown(char: str) -> tuple[str, int]:
    """What is shown for a character, and its columns: 0 for a mark that stands on the one before, or for nothing."""
    category = unicodedata.category(char)
    if category in DROPPED:
        return "", 0
    if category == "Zs" or char == "\N{BRAILLE PATTERN BLANK}":
        return " ", 1
    if INVISIBLE.match(char):
        return "", 0
    if not char.isprintable():
        return REPLACED, 1
    width = get_character_cell_size(char)
    return (char, width) if width or category[0] == "M" else ("", 0)
