"""A program that shows the UI over a hand-made feed: a Textual app, to be used in a terminal."""

import sys
from pathlib import Path

from core.home import Home
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.ui import VertuiApp

if __name__ == "__main__":
    sys.exit(VertuiApp(Home(Path("/nowhere"), Path("/nowhere")), lambda: HandMadeFeed(DEMO)).live())
