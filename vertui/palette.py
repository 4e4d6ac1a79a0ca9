"""The command palette over the action registry, and the themes."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import cast

from textual.command import DiscoveryHit, Hit, Provider

from vertui.actions import ACTIONS, LEAST_FIT, Action
from vertui.base import BaseApp
from vertui.plain import plain
from vertui.screens.base import VertuiScreen
from vertui.themes import THEMES


class ActionProvider(Provider):
    """Finds actions by label and help, as help does; those that cannot run say why. A theme is found by its name."""

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """All actions, before anything is typed."""
        for action in ACTIONS:
            yield DiscoveryHit(action.label, self._act(action), help=plain(self._words(action)))  # type: ignore[arg-type]

    async def search(self, query: str) -> AsyncIterator[Hit]:
        """What fits, best first."""
        matcher = self.matcher(query)
        for action in ACTIONS:
            if (fit := action.fit(query)) >= LEAST_FIT:
                label = matcher.highlight(action.label)
                yield Hit(fit, label, self._act(action), help=plain(self._words(action)))  # type: ignore[arg-type]
        for worn in THEMES:
            if all(word in f"theme {worn.name} {worn.about}" for word in query.lower().split()):
                label, wear = matcher.highlight(f"theme: {worn.name}"), partial(self._vertui.wear, worn)
                yield Hit(1.0, label, wear, help=plain(worn.about))  # type: ignore[arg-type]

    def _act(self, action: Action) -> Callable[[], object]:
        """What its key does on the screen that the palette was opened on."""
        screen = self.screen
        if isinstance(screen, VertuiScreen) and (way := screen.way_of(action.id)):
            return partial(screen.run_action, way)
        return partial(self._vertui.act, action.id)

    def _words(self, action: Action) -> str:
        screen = self.screen
        here = screen if isinstance(screen, VertuiScreen) and action.id in screen.done_here else self._vertui
        reason = action.refuse(here.selection)
        return f"{action.key_label}  {action.help}" + (f" · not now: {reason}" if reason else "")

    @property
    def _vertui(self) -> BaseApp:
        return cast(BaseApp, self.app)
