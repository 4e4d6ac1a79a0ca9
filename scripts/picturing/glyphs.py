"""Characters that must meet their neighbours, as paths in a cell: no two fonts draw them alike."""

WIDTH, HEIGHT = 8.4, 17.0  # of a cell, in pixels, for letters of 14
MIDDLE_X, MIDDLE_Y = WIDTH / 2, HEIGHT / 2
ROUND = 4.0
LEFT = f"M0 {MIDDLE_Y}H{MIDDLE_X}"
RIGHT = f"M{MIDDLE_X} {MIDDLE_Y}H{WIDTH}"
UP = f"M{MIDDLE_X} 0V{MIDDLE_Y}"
DOWN = f"M{MIDDLE_X} {MIDDLE_Y}V{HEIGHT}"
LINES = {
    "─": LEFT + RIGHT, "│": UP + DOWN, "┌": RIGHT + DOWN, "┐": LEFT + DOWN, "└": RIGHT + UP, "┘": LEFT + UP,
    "├": RIGHT + UP + DOWN, "┤": LEFT + UP + DOWN, "┬": LEFT + RIGHT + DOWN, "┴": LEFT + RIGHT + UP,
    "┼": LEFT + RIGHT + UP + DOWN,
    "╭": f"M{MIDDLE_X} {HEIGHT}V{MIDDLE_Y + ROUND}Q{MIDDLE_X} {MIDDLE_Y} {WIDTH} {MIDDLE_Y}",
    "╮": f"M{MIDDLE_X} {HEIGHT}V{MIDDLE_Y + ROUND}Q{MIDDLE_X} {MIDDLE_Y} 0 {MIDDLE_Y}",
    "╰": f"M{MIDDLE_X} 0V{MIDDLE_Y - ROUND}Q{MIDDLE_X} {MIDDLE_Y} {WIDTH} {MIDDLE_Y}",
    "╯": f"M{MIDDLE_X} 0V{MIDDLE_Y - ROUND}Q{MIDDLE_X} {MIDDLE_Y} 0 {MIDDLE_Y}",
}  # fmt: skip
THICK = {"━": LEFT + RIGHT, "┃": UP + DOWN}


def _block(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:g} {y:g}h{width:g}v{height:g}h{-width:g}z"


BLOCKS = {
    "█": _block(0, 0, WIDTH, HEIGHT), "▀": _block(0, 0, WIDTH, HEIGHT / 2),
    "▐": _block(WIDTH / 2, 0, WIDTH / 2, HEIGHT),
    "▔": _block(0, 0, WIDTH, HEIGHT / 8), "▕": _block(WIDTH * 7 / 8, 0, WIDTH / 8, HEIGHT),
    **{char: _block(0, HEIGHT * (8 - n) / 8, WIDTH, HEIGHT * n / 8) for n, char in enumerate("▁▂▃▄▅▆▇", 1)},
    **{char: _block(0, 0, WIDTH * n / 8, HEIGHT) for n, char in enumerate("▏▎▍▌▋▊▉", 1)},
}  # fmt: skip
"""Those that are filled; of the others the line is drawn."""


def is_drawn(char: str) -> bool:
    """Is it one of these?"""
    return char in LINES or char in THICK or char in BLOCKS


def drawn(char: str, colour: str, x: float) -> str:
    """It, in a row that begins at 0."""
    place = f' transform="translate({x:g})"' if x else ""
    if char in BLOCKS:
        return f'<path{place} d="{BLOCKS[char]}" fill="{colour}"/>'
    thick = 2.2 if char in THICK else 1.1
    return f'<path{place} d="{LINES.get(char) or THICK[char]}" fill="none" stroke="{colour}" stroke-width="{thick}"/>'
