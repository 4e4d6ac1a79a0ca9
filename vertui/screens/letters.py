"""Letters before the rows of a list: typing them goes to their row. The list is seen below, nothing else is drawn."""

from collections.abc import Collection
from itertools import islice, product

from textual.events import Key

from vertui.screens.base import Dialog

LETTERS = "asdfghjklqwertyuiopzxcvbnm"  # the easiest to type first


def labels(count: int) -> list[str]:
    """So many, none of which another begins with: a letter each, or two where there are more."""
    length = 1 if count <= len(LETTERS) else 2
    return ["".join(found) for found in islice(product(LETTERS, repeat=length), count)]


class LettersScreen(Dialog[str]):
    """Answers the letters that were typed, once they are those of a row; None at any other key."""

    DEFAULT_CSS = "LettersScreen { background: transparent; }"

    def __init__(self, labels: Collection[str]) -> None:
        super().__init__()
        self._labels, self._typed = labels, ""

    def on_key(self, event: Key) -> None:
        """A letter, or what ends it."""
        event.stop()
        event.prevent_default()
        self._typed += event.character or "\n"
        if self._typed in self._labels:
            self.dismiss(self._typed)
        elif not any(label.startswith(self._typed) for label in self._labels):
            self.dismiss(None)
