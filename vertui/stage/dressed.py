"""The UI with a bar below every screen."""

from pathlib import Path
from typing import Any

from textual.screen import Screen

from vertui.stage.bar import CaptionBar, Cue
from vertui.ui import VertuiApp


class DressedApp(VertuiApp):
    """Shows captions, until it is undressed."""

    CSS_PATH = str(Path(__file__).parents[1] / VertuiApp.CSS_PATH)  # Textual would look beside this module

    _caption: Cue | None = None

    def on_mount(self) -> None:
        """Each screen gets a bar as it comes."""
        self.screen_change_signal.subscribe(self, self._dress)

    def show_caption(self, caption: Cue) -> None:
        """In the bar of every screen."""
        self._caption = caption
        for screen in self.screen_stack:
            for bar in screen.query(CaptionBar):
                bar.become(caption)
        self._dress(self.screen)

    def undress(self) -> None:
        """From now on it is the UI as it always is."""
        self._caption = None
        for screen in self.screen_stack:
            screen.query(CaptionBar).remove()

    def _dress(self, screen: Screen[Any]) -> None:
        if self._caption is not None and screen.is_attached and not screen.query(CaptionBar):
            screen.mount(CaptionBar(self._caption))
