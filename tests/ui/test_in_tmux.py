"""The UI of a real daemon in a real terminal, tmux: at three sizes, in dark, light and sixteen colours, it is whole."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from core.daemon.start import end_all, ensure_daemon
from core.home import Home, find_home
from core.model import BranchState
from tests.conftest import full
from tests.tmux import Tmux, in_tmux
from tests.ui.test_sizes import check_hints, check_lines, check_named
from tests.unit.engines import engine_of, put
from vertui.actions import ACTIONS
from vertui.remembered import Remembered, ScreenLook

pytestmark = pytest.mark.skipif(
    not full() or not shutil.which("tmux"),
    reason="scripts/test --all, with tmux: the same as test_sizes, slower",
)
NAMES = ("main", "b1", "b2", "a-name-as-long-as-some-are")
SCREENS = {
    "B": "scoreboard",
    "l": "operation log",
    "i": "images",
    "T": "trash",
    "?": "type to search",
    "f": "children",
}
DRAWN_WHOLE = "BliT"  # the others stand over what is behind them
GROUNDS = re.compile(r"\x1b\[[0-9;]*?48;2;(\d+);(\d+);(\d+)[0-9;]*m")
DIRECT = re.compile(r"\x1b\[[0-9;]*?[34]8;[25];")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Branches that are only rows, with a daemon."""
    with tempfile.TemporaryDirectory(prefix="vertui-") as directory:  # a short way, as sockets need it
        monkeypatch.setenv("VERTUI_HOME", f"{directory}/home")
        monkeypatch.setenv("COLORTERM", "truecolor")
        with engine_of(Path(directory)) as engine:
            for name in NAMES:
                put(engine, name, BranchState.STOPPED)
            engine.catalog.set_setting("trunk", "main")
        home = find_home(f"{directory}/home")
        ensure_daemon(home)
        yield home
        end_all(home)
        shutil.rmtree(home.runtime, ignore_errors=True)


def check_colours(tmux: Tmux, theme: str) -> None:
    """The ground of most cells is light or dark, as the theme is; the terminal's own sixteen are named as such."""
    drawn = tmux.run("capture-pane", "-p", "-e")
    if theme == "sixteen":
        assert not DIRECT.search(drawn)
        return
    grounds = [sum(map(int, found)) > 3 * 128 for found in GROUNDS.findall(drawn)]
    assert grounds and grounds.count(theme == "paper") > 3 * grounds.count(theme != "paper"), theme


@pytest.mark.parametrize("theme", ["dusk", "paper", "sixteen"])
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
def test_it_is_whole(home: Home, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    Remembered(home).keep(ScreenLook(theme=theme))
    with in_tmux(tmp_path / "tmux", [sys.executable, "-m", "vertui"], *size) as tmux:
        tmux.sees(*NAMES, "? help", "q quit")
        for name in NAMES:
            check_named(name, tmux.screen)
        check_lines(tmux.screen, size[0])
        check_hints(
            tmux.screen.rstrip("\n").splitlines()[-1] + " ", [(one.key_label, one.label) for one in ACTIONS]
        )
        check_colours(tmux, theme)
        for key, words in SCREENS.items():
            tmux.press(key)
            tmux.sees(words)
            if key in DRAWN_WHOLE:
                check_lines(tmux.screen, size[0])
            assert all(cell_len(line) <= size[0] for line in tmux.screen.splitlines())
            check_colours(tmux, theme)
            tmux.press("Escape")
            tmux.sees("q quit")
            tmux.sees_no(words)
