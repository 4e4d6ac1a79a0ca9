"""The command palette over the action registry."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import cast

from textual.command import DiscoveryHit, Hit, Provider

from vertui.actions import ACTIONS, Action
from vertui.base import BaseApp
from vertui.plain import plain


class ActionProvider(Provider):
    """Finds actions by label and help; those that cannot run say why."""

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """All actions, before anything is typed."""
        for action, words in self._actions():
            act = partial(self._vertui.act, action.id)
            yield DiscoveryHit(action.label, act, help=plain(words))  # type: ignore[arg-type]

    async def search(self, query: str) -> AsyncIterator[Hit]:
        """The actions that have all words, those first whose label begins so. Letters far apart are no word."""
        matcher = self.matcher(query)
        for action, words in self._actions():
            if action.fits(query.lower().split()):
                act = partial(self._vertui.act, action.id)
                score = 1.0 + action.label.startswith(query.lower())
                yield Hit(score, matcher.highlight(action.label), act, help=plain(words))  # type: ignore[arg-type]

    def _actions(self) -> Iterator[tuple[Action, str]]:
        selection = self._vertui.selection
        for action in ACTIONS:
            reason = action.refuse(selection)
            yield action, f"{action.key_label}  {action.help}" + (f" · not now: {reason}" if reason else "")

    @property
    def _vertui(self) -> BaseApp:
        return cast(BaseApp, self.app)
