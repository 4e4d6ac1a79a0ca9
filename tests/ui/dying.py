"""A program that shows the UI over a hand-made feed, and dies of a bug at the first key."""

import sys
from pathlib import Path

from textual.events import Key

from core.home import Home
from tests.ui.trees import DEMO, HandMadeFeed
from vertui import cli, ui


class Dying(ui.VertuiApp):
    """The UI with a bug."""

    CSS_PATH = str(Path(ui.__file__).parent / "theme.tcss")

    def on_key(self, event: Key) -> None:
        """Die."""
        raise RuntimeError("of [/a key\x1b[31m")


def main() -> int:
    """As `vertui` does it."""
    try:
        return Dying(Home(Path("/nowhere"), Path("/nowhere")), lambda: HandMadeFeed(DEMO)).live()
    except Exception as error:
        return cli._bug(error)


if __name__ == "__main__":
    sys.exit(main())
