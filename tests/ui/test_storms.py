"""What comes thick and fast: sizes of the terminal, random bytes without end. After it the UI shows what is so."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

from textual import events
from textual.geometry import Size
from textual.pilot import Pilot

from core.daemon.streams import Output, Started
from core.home import Home
from core.model import Operation, OperationState, Plan, TrashEntry
from tests.conftest import full
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.floods import NINE, Hiss
from tests.ui.looks import app_of, until, until_seen
from tests.ui.shells import Line
from tests.ui.test_compare import ANSWERS, siblings
from tests.ui.trees import DEMO, NOON, HandMadeFeed
from vertui.screens.board import BoardScreen
from vertui.screens.diff import DiffScreen
from vertui.screens.log import LogScreen
from vertui.screens.matrix import MatrixScreen
from vertui.screens.plan import plan_dialog
from vertui.screens.terminals import NAME, TerminalsScreen
from vertui.screens.trash import TrashScreen
from vertui.screens.watch import WatchScreen
from vertui.selection import NOTHING
from vertui.ui import VertuiApp

SIZE = (120, 36)
SIZES = 200 if full() else 6  # in a storm
MOST_ROWS, MOST_COLUMNS = 70, 250
LOGGED = [Operation(1, "r", "fork", "main into 4", OperationState.DONE, True, NOON, NOON + 1)]
THROWN = [TrashEntry("t1", "branch", "b9", 5, NOON, NOON + 1e9)]
EVERYTHING = {
    **ANSWERS, "/v1/siblings": siblings, "/v1/log": LOGGED, "/v1/trash": THROWN,
}  # fmt: skip


def terminals(app: VertuiApp) -> None:
    line = Line()
    app.install_screen(TerminalsScreen(line), NAME)
    app.push_screen(NAME)
    app.get_screen(NAME, TerminalsScreen).open("main")
    line.say(
        Started(1), Output(1, 0, b"%\r\n")
    )  # as in xterm, what was beyond the edge of a narrow one is gone


SCREENS: dict[str, tuple[Callable[[VertuiApp], object], tuple[str, ...]]] = {
    "main": (lambda app: None, ("★ trunk", "all green", "9c01be")),
    "grid": (lambda app: app.push_screen(WatchScreen(("main", "b1", "b2"))), ("served 42", "╭")),
    "board": (lambda app: app.push_screen(BoardScreen()), ("scoreboard", "0.95", "hangs in test_totals")),
    "diff": (lambda app: app.push_screen(DiffScreen("main", "b1")), ("all files", "app.py")),
    "matrix": (lambda app: app.push_screen(MatrixScreen(("b1", "b2", "b3"))), ("all files", "1 b1")),
    "plan": (
        lambda app: app.push_screen(
            plan_dialog(Plan("p", "prune", (), (), 1, True, ("b1 goes",)), "Prune", "now")
        ),
        ("b1 goes", "Cancel"),
    ),
    "log": (lambda app: app.push_screen(LogScreen()), ("main into 4",)),
    "trash": (lambda app: app.push_screen(TrashScreen()), ("b9",)),
    "terminal": (terminals, ("%", "● main")),
}


async def test_every_screen_is_right_after_a_storm_of_sizes(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance, home = random.Random(seed), Home(tmp_path, tmp_path / "r")
    with standing_in(home, EVERYTHING):
        async with VertuiApp(home, lambda: HandMadeFeed(DEMO)).run_test(size=SIZE) as pilot:
            app = app_of(pilot)
            await until(pilot, lambda: app.main.shown is not NOTHING)
            for name, (show, words) in SCREENS.items():
                print(name)
                show(app)
                await until_seen(pilot, *words)
                await storm(pilot, chance)
                await until_seen(pilot, *words)
                if app.screen is not app.main:
                    app.pop_screen()


async def storm(pilot: Pilot[None], chance: random.Random) -> None:
    """Sizes that nobody waits for, but for some of them, and in the end the one it was."""
    for _ in range(SIZES):
        columns, rows = chance.randint(1, MOST_COLUMNS), chance.randint(1, MOST_ROWS)
        for size in ((columns, rows), (rows, 1), (columns, rows + 1)):
            pilot.app.post_message(events.Resize(Size(*size), Size(*size)))
        await pilot.resize_terminal(columns, rows)
    await pilot.resize_terminal(*SIZE)


# -- random bytes --------------------------------------------------------------------------------------------------

HEARD = 100 << 20 if full() else 4 << 20  # bytes of random output taken while keys are pressed
KEY_S = 0.5  # of processor time, until a key has done what it does, on a host that is busy


async def pressed(pilot: Pilot[None], key: str, good: Callable[[], bool]) -> float:
    """What the loop's thread worked until a key had done what it does."""
    began = time.thread_time()
    pilot.app.post_message(events.Key(key, None))
    while not good():
        await asyncio.sleep(0.001)
    return time.thread_time() - began


async def test_random_bytes_without_end_are_shown_and_keys_are_answered(show: Show) -> None:
    async with show(Hiss(NINE), SIZE) as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: "�" in app.main._printed.text)
        took = []
        for _ in range(5):
            for key in ("j", "k"):
                cursor = app.main.tree_view.cursor
                moved = lambda cursor=cursor: app.main.tree_view.cursor != cursor  # noqa: E731
                took.append(await pressed(pilot, key, moved))
        app.push_screen(watch := WatchScreen(tuple(branch.name for branch in NINE.branches)))
        await until(
            pilot, lambda: app.screen is watch and all(pane.watched.kept.end for pane in watch._panes)
        )
        while sum(pane.watched.kept.came_bytes for pane in watch._panes) < HEARD or len(took) < 40:
            at = watch._at
            took.append(await pressed(pilot, "tab", lambda at=at: watch._at != at))  # type: ignore[misc]
        print(f"most {max(took) * 1000:.0f} ms of {len(took)} keys")
        assert sorted(took)[len(took) * 19 // 20] < KEY_S
        assert all(pane.watched.kept.size_bytes < 3 << 20 for pane in watch._panes)
