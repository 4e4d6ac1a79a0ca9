"""The bar below every screen while the demo plays: what is said, and the keys that are pressed."""

from dataclasses import dataclass

from rich.text import Text
from textual.widget import Widget

from vertui.plain import entitle

HOLDS = "any key holds it"
HELD = "held: space goes on · ⏎ the UI is yours · q leaves"
OVER = "the end: ⏎ the UI is yours · q leaves"


@dataclass(frozen=True)
class Cue:
    """What the bar shows: a scene and what is said of it, the newest keys as they are printed, and what somebody's own
    key does.
    """

    scene: str = ""
    text: str = ""
    keys: tuple[str, ...] = ()
    hint: str = HOLDS


class CaptionBar(Widget):
    """Three lines of text and keys in a frame."""

    DEFAULT_CSS = """
    CaptionBar {
        dock: bottom;
        height: 5;
        border: round $accent;
        border-title-color: $accent;
        border-title-style: bold;
        border-subtitle-color: $text-muted;
        background: $panel;
        color: $foreground;
        padding: 0 1;
    }
    """

    def __init__(self, caption: Cue) -> None:
        super().__init__()
        self._caption = caption
        self._entitle()

    def become(self, caption: Cue) -> None:
        """Show this."""
        self._caption = caption
        self._entitle()
        self.refresh()

    def render(self) -> Text:
        """What is said, and below it the keys as they are pressed."""
        lines = list(Text(self._caption.text).wrap(self.app.console, max(1, self.size.width)))[:2]
        keys = Text(" ").join(Text(f" {key} ", style="reverse bold") for key in self._caption.keys)
        return Text("\n").join([*lines, *([Text()] * (2 - len(lines))), keys])

    def _entitle(self) -> None:
        scene = self._caption.scene
        entitle(self, f"demo · {scene}" if scene else "demo", self._caption.hint)
