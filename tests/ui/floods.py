"""Branches that print as fast as anybody takes it."""

import random
from collections.abc import Iterator
from functools import cache

from core.daemon.streams import STDOUT, Exit, Output, StreamMessage
from core.model import Tree
from tests.ui.trees import GOLDEN, IMAGE, HandMadeFeed, Told, branch
from vertui.feed import Offsets, Printing

LINES_A_PIECE = 500
NOISE_BYTES = 64 * 1024
NINE = Tree(
    tuple(branch(f"x{number}", "77d05a", trunk=number == 0) for number in range(9)), (GOLDEN,), (IMAGE,), "x0"
)


@cache
def pieces(lines: int) -> tuple[bytes, ...]:
    """Coloured lines, as the daemon would send them."""
    return tuple(
        b"".join(
            b"\x1b[3%dmline\x1b[0m %d of what a test prints\n" % (at % 8, at)
            for at in range(begin, begin + LINES_A_PIECE)
        )
        for begin in range(0, lines, LINES_A_PIECE)
    )


class Flood(HandMadeFeed):
    """Every branch prints these lines."""

    def __init__(self, tree: Tree, lines: int) -> None:
        super().__init__(tree)
        self._lines = lines

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """All of them, and the end."""
        return Told(self._printed())

    def _printed(self) -> Iterator[StreamMessage]:
        offset = 0
        for data in pieces(self._lines):
            yield Output(STDOUT, offset, data)
            offset += len(data)
        yield Exit(0, False)


class Hiss(HandMadeFeed):
    """Every branch prints random bytes without end, and so does every console."""

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """A command's."""
        return Told(self._printed())

    def console(self, branch: str) -> Printing:
        """A machine's."""
        return Told(self._printed())

    def _printed(self) -> Iterator[StreamMessage]:
        chance, offset = random.Random(7), 0
        data = [chance.randbytes(NOISE_BYTES) for _ in range(8)]
        while True:
            yield Output(STDOUT, offset, chance.choice(data))
            offset += NOISE_BYTES
