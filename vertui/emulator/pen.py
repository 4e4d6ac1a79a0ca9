"""Pens: the look of a cell in one number of 62 bits, so that a screen of them is a list of small values.

From the lowest bit: the foreground, 26 bits; the background, 26 bits; the attributes. A colour is its kind in two bits
above 24 bits of value. The sequences that change a pen are those of SGR in ECMA-48 and xterm's `ctlseqs`.
"""

from collections.abc import Sequence

COLOUR_BITS = 26
COLOUR = (1 << COLOUR_BITS) - 1
INDEXED, DIRECT = 1 << 24, 2 << 24  # kinds of colour: of the 256, or red, green and blue; 0 is the default
VALUE = (1 << 24) - 1
FOREGROUND, BACKGROUND = COLOUR, COLOUR << COLOUR_BITS
BOLD, DIM, ITALIC, UNDERLINE, BLINK, REVERSE, CONCEALED, STRUCK, OVERLINED = (
    1 << (2 * COLOUR_BITS + bit) for bit in range(9)
)
PLAIN = 0

_SET = {1: BOLD, 2: DIM, 3: ITALIC, 4: UNDERLINE, 5: BLINK, 6: BLINK, 7: REVERSE, 8: CONCEALED, 9: STRUCK}
_SET |= {21: UNDERLINE, 53: OVERLINED}
_CLEAR = {22: BOLD | DIM, 23: ITALIC, 24: UNDERLINE, 25: BLINK, 27: REVERSE, 28: CONCEALED, 29: STRUCK}
_CLEAR |= {39: FOREGROUND, 49: BACKGROUND, 55: OVERLINED}

Parameters = Sequence[tuple[int, ...]]


def foreground(pen: int) -> int:
    """A pen's foreground colour."""
    return pen & COLOUR


def background(pen: int) -> int:
    """A pen's background colour."""
    return pen >> COLOUR_BITS & COLOUR


def blank(pen: int) -> int:
    """The pen of what is erased: the background alone."""
    return pen & BACKGROUND


def changed(pen: int, parameters: Parameters) -> int:
    """The pen after the parameters of an SGR; each is a tuple, of one value unless it was written with colons."""
    at = 0
    while at < len(parameters):
        code, *rest = parameters[at]
        at += 1
        if code in (38, 48):
            if rest:
                colour = _colour(rest)
            else:
                colour, used = _colour_behind([one[0] for one in parameters[at : at + 4]])
                at += used
            if colour is not None:
                pen = _with(pen, colour, code == 48)
        elif code == 4 and rest:
            pen = pen | UNDERLINE if rest[0] else pen & ~UNDERLINE
        else:
            pen = _one(pen, max(0, code))
    return pen


def _one(pen: int, code: int) -> int:
    if code == 0:
        return PLAIN
    if code in _SET:
        return pen | _SET[code]
    if code in _CLEAR:
        return pen & ~_CLEAR[code]
    for first, dark, behind in ((30, 0, False), (40, 0, True), (90, 8, False), (100, 8, True)):
        if first <= code < first + 8:
            return _with(pen, INDEXED | (code - first + dark), behind)
    return pen


def _with(pen: int, colour: int, behind: bool) -> int:
    if behind:
        return pen & ~BACKGROUND | colour << COLOUR_BITS
    return pen & ~FOREGROUND | colour


def _colour(parts: list[int]) -> int | None:
    """What stands behind 38 with colons: `5:n`, `2:r:g:b` or `2:space:r:g:b`."""
    if parts[0] == 5 and len(parts) > 1:
        return INDEXED | max(0, parts[1]) & 255
    if parts[0] == 2 and len(parts) > 3:
        return _direct(parts[2:5] if len(parts) > 4 else parts[1:4])
    return None


def _colour_behind(values: list[int]) -> tuple[int | None, int]:
    """The same written with semicolons, and how many parameters it took."""
    if values[:1] == [5] and len(values) > 1:
        return INDEXED | max(0, values[1]) & 255, 2
    if values[:1] == [2] and len(values) > 3:
        return _direct(values[1:4]), 4
    return None, len(values)


def _direct(parts: list[int]) -> int:
    red, green, blue = (max(0, part) & 255 for part in parts)
    return DIRECT | red << 16 | green << 8 | blue
