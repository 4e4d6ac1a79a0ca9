"""What programs draw is what they meant: vttest's screens by golden, and the UI itself in a terminal of its own kind.

vttest (invisible-island.net/vttest) says on each screen how it must look, and the goldens look so.
`VERTUI_GOLDENS=write` writes them anew.
"""

import os
import shutil
import sys

import pytest

from tests.conftest import full
from tests.ui.looks import GOLDENS
from tests.ui.ptys import OnPty, on_pty

MENUS = {"1": "cursor", "2": "features", "8": "inserting"} if full() else {"8": "inserting"}
MENU = "Enter choice number (0 - 12)"
NEXT = "\f\n"  # between two screens of a golden
SETTLED_S = 1.5
TAKEN_S = 0.3  # vttest throws away what is typed before it has said all
MOST_SCREENS = 60


@pytest.mark.skipif(not shutil.which("vttest"), reason="vttest is not here")
@pytest.mark.parametrize("menu", MENUS)
def test_screens_of_vttest(menu: str) -> None:
    path = GOLDENS / f"vttest-{MENUS[menu]}.txt"
    with on_pty("vttest", "24x80.80") as terminal:
        terminal.until_seen(MENU)
        terminal.press(*menu, "enter")
        if os.environ.get("VERTUI_GOLDENS") == "write":
            path.write_text(NEXT.join(_screens(terminal)))
            return
        for number, expected in enumerate(path.read_text().split(NEXT)):
            terminal.until(lambda expected=expected: terminal.look == expected)  # type: ignore[misc]
            print(f"screen {number} is right")
            terminal.settle(TAKEN_S)
            terminal.press("enter")


def _screens(terminal: OnPty) -> list[str]:
    """All there are, up to the menu."""
    found = list[str]()
    for _ in range(MOST_SCREENS):
        terminal.settle(SETTLED_S)
        if MENU in terminal.text:
            break
        found.append(terminal.look)
        terminal.press("enter")
    return found


def test_the_ui_in_a_terminal_of_its_own_kind_looks_as_it_does() -> None:
    with on_pty(sys.executable, "-m", "tests.ui.living") as terminal:
        golden = (GOLDENS / "tree-80x24.txt").read_text()
        terminal.until(lambda: terminal.text == golden)
        terminal.press("B")
        terminal.until_seen("scoreboard", "▲")
        terminal.press("escape")
        terminal.until(lambda: terminal.text == golden)
        terminal.press("q")
        terminal.until(lambda: terminal.ended)
        assert not terminal.emulator.alternate, "the terminal is as it was"
