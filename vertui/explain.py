"""The command palette's way to what things are."""

from collections.abc import AsyncIterator
from functools import partial

from textual.command import Hit, Provider

from vertui.plain import plain
from vertui.words import WORDS

BEGINS, BEHIND = 1.9, 0.5  # scores: an action whose label begins so stands first


class WordProvider(Provider):
    """Finds words by their names, and shows what they mean."""

    async def search(self, query: str) -> AsyncIterator[Hit]:
        """The words in whose names all of it is."""
        matcher, words = self.matcher(query), query.lower().split()
        for one in WORDS:
            if all(word in one.name.lower() for word in words):
                show = partial(self._show, one.name)
                shown = matcher.highlight(f"what is: {one.name}")
                score = BEGINS if one.name.lower().startswith(query.lower()) else BEHIND
                yield Hit(score, shown, show, help=plain(one.meaning))  # type: ignore[arg-type]

    def _show(self, name: str) -> None:
        from vertui.screens.words import WordsScreen

        self.app.push_screen(WordsScreen(name))
