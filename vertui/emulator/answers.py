"""What the terminal says to a program that asks. What is not taken soon is dropped: no program need ask so often."""

MOST_BYTES = 4096
ATTRIBUTES = "\x1b[?62;22c"  # a VT220 with colours
VERSION = "\x1b[>1;10;0c"
NAME = "\x1bP>|vertui\x1b\\"
Colours = tuple[str, str]  # text and ground, as #rrggbb
DARK: Colours = ("#d0d0d0", "#000000")


class Answers:
    """A short queue of bytes."""

    def __init__(self, colours: Colours) -> None:
        self._bytes = bytearray()
        text, ground = map(_spelled, colours)
        self._colours = {"10": text, "11": ground, "12": text}

    def take(self) -> bytes:
        """What has been said since the last call."""
        data = bytes(self._bytes)
        self._bytes.clear()
        return data

    def say(self, text: str) -> None:
        """Answer this, as a whole or not at all."""
        if len(self._bytes) + len(text) <= MOST_BYTES:
            self._bytes += text.encode()

    def identify(self) -> None:
        """Primary device attributes."""
        self.say(ATTRIBUTES)

    def identify_version(self) -> None:
        """Secondary device attributes."""
        self.say(VERSION)

    def name(self) -> None:
        """XTVERSION."""
        self.say(NAME)

    def mode(self, number: int, state: int) -> None:
        """DECRPM."""
        self.say(f"\x1b[?{max(0, number)};{state}$y")

    def size(self, rows: int, columns: int) -> None:
        """The text area's size."""
        self.say(f"\x1b[8;{rows};{columns}t")

    def colour(self, code: str) -> None:
        """The colour of text, ground or cursor, so that a program knows that it is dark."""
        if code in self._colours:
            self.say(f"\x1b]{code};rgb:{self._colours[code]}\x1b\\")

    def device(self, question: str) -> None:
        """To DECRQSS and XTGETTCAP that there is no such thing: who asks waits for it."""
        if question.startswith("$q"):
            self.say("\x1bP0$r\x1b\\")
        elif question.startswith("+q"):
            self.say("\x1bP0+r\x1b\\")


def _spelled(colour: str) -> str:
    """`#0a0b0c` as `0a0a/0b0b/0c0c`."""
    return "/".join(colour[at : at + 2] * 2 for at in (1, 3, 5))
