"""A line for a command: what was run before comes back by key, and what is begun is completed."""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import Suggester

from vertui.plain import TextInput
from vertui.text import printable

WORDS = re.compile(r"(?:\\.|[^\s'\"|&;<>()$`=:])+")  # of a shell's line; one that it ends with may be a path
SPECIAL = re.compile(r"([^\w@%+,./~-])")  # to a shell

Names = list[str]
Ask = Callable[[str, Callable[[Names], object]], object]
"""Asks what may stand at a place of a line; told on the loop, or never."""
PlaceOf = Callable[[str], tuple[str, str] | None]
"""The place at the end of a line, and what is typed there so far; None where nothing is completed."""


class Suggestions(Suggester):
    """The newest line that begins so, else the first name; of each place it is asked once."""

    def __init__(self, ask: Ask, place_of: PlaceOf) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.earlier: Names = []  # the newest first
        self._ask, self._place_of = ask, place_of
        self._asked: dict[str, asyncio.Future[Names]] = {}

    def learn(self, lines: Iterable[str]) -> None:
        """What was run before, the newest first. What is not seen as it is, is not offered."""
        self.earlier = [line for line in dict.fromkeys(lines) if line and printable(line) == line]

    async def get_suggestion(self, value: str) -> str | None:
        """All of the line, completed; None for nothing to say."""
        if line := next((line for line in self.earlier if line != value and line.startswith(value)), None):
            return line
        if (found := self._place_of(value)) is None:
            return None
        place, begun = found
        names = await self._names(place)
        name = next((name for name in names if name != begun and name.startswith(begun)), None)
        return value + name[len(begun) :] if name else None

    async def _names(self, place: str) -> Names:
        if place not in self._asked:
            self._asked[place] = answer = asyncio.get_running_loop().create_future()

            def told(names: Names) -> None:
                if not answer.done():
                    answer.set_result([name for name in names if printable(name) == name])

            self._ask(place, told)
        return await asyncio.shield(self._asked[place])  # whoever asked may have gone on typing


class CommandLine(TextInput):
    """Up and down go through what was run before; right, at the end, takes what is suggested."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(1)", show=False),
        Binding("down", "recall(-1)", show=False),
    ]

    def __init__(self, suggestions: Suggestions, value: str = "", *, hint: str, id: str) -> None:
        super().__init__(value, hint=hint, id=id)
        self.suggester = self.suggestions = suggestions
        self._place = 0  # of what was run before, from 1
        self._own = ""  # what was typed before that was looked at

    def take(self) -> str:
        """What is typed; the line is empty then."""
        line, self.value, self._place = self.value, "", 0
        return line

    def action_recall(self, by: int) -> None:
        """The one before, or the one after: at last what was typed."""
        lines = self.suggestions.earlier
        place = min(max(self._place + by, 0), len(lines))
        if place == self._place:
            return
        if not self._place:
            self._own = self.value
        self._place = place
        self.value = lines[place - 1] if place else self._own
        self.cursor_position = len(self.value)


def path_at_end(line: str) -> tuple[str, str] | None:
    """The directory of a path that a line for a shell ends with, and what there is of a name in it."""
    words = WORDS.findall(line)
    directory, slash, begun = (
        words[-1].rpartition("/") if words and line.endswith(words[-1]) else ("", "", "")
    )
    if not slash or directory[:1] not in ("", "/", "~", "."):
        return None
    return re.sub(r"\\(.)", r"\1", directory + slash), begun


def word_at_end(line: str) -> tuple[str, str]:
    """A line up to its last word, and that."""
    before, blank, begun = line.rpartition(" ")
    return before + blank, begun


def quoted(name: str) -> str:
    """A name as it is typed for a shell."""
    return SPECIAL.sub(r"\\\1", name)
