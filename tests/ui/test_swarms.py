"""Swarms on the screen: as their records say, while they are played, and what keys do with them. They are played over
an engine of twins, whose guests score what they are told; the looks are of a record made by hand.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from core.commands import LastCommand
from core.errors import Conflict
from core.home import Home, find_home
from core.model import BranchState
from core.python import program
from tests.conftest import full as wholly
from tests.ui.looks import app_of, text_of, until, until_looks, until_seen
from tests.ui.test_sizes import check_colours, check_footers, check_lines
from tests.ui.trees import DEMO, NOON, HandMadeFeed, branch, event, full
from tests.unit.swarming import Swarming, swarming
from vertui.plain import TextInput
from vertui.screens.dialogs import FormDialog
from vertui.screens.diff import DiffScreen
from vertui.screens.plan import PlanDialog
from vertui.screens.swarm import SwarmScreen
from vertui.screens.swarms import SwarmsScreen
from vertui.screens.watch import WatchScreen
from vertui.selection import NOTHING
from vertui.swarm import record as records
from vertui.swarm.glance import glance_at, player_of
from vertui.swarm.record import SwarmRecord
from vertui.swarm.results import SwarmOutcome, SwarmResult
from vertui.swarm.spec import SwarmSpec
from vertui.swarm.steps import ForkedInto
from vertui.swarm.stopping import stop
from vertui.themes import BY_NAME
from vertui.ui import VertuiApp

SIZES = [(40, 12), (80, 24), *(((120, 36), (200, 50)) if wholly() else ())]
SPEC = SwarmSpec(base="main", command="work {i}", n=4, score="printed", rounds=2, beam=2)
NAMES = ("repair-1", "repair-2", "repair-3", "repair-4", "repair-2a1")
HOSTILE = "\x1b[2J[bold]\u202ered[/] \x9b31m"


def last(words: str, line: str, code: int | None = 0) -> LastCommand:
    return LastCommand(3, words, 1e11 if code is None else NOON, code, len(line), line)


TREE = replace(
    DEMO,
    branches=(
        *DEMO.branches[:1],
        branch("repair-1", "3f2a11", last=last("work 1", "12 passed, 3 failed\x07"), score=0.8),
        branch("repair-2", "3f2a11", last=last("work 2", HOSTILE), score=0.95),
        branch("repair-3", "3f2a11", BranchState.SUSPENDED, last=last("work 3", "Killed", 137)),
        branch("repair-2a1", "9c01be", last=last("work 1", "collecting 15 items", None)),
    ),
)


@contextmanager
def recorded(home: Home) -> Iterator[SwarmRecord]:
    """A swarm in its second round: of the first one try is gone, one has failed, and one did not start."""
    with records.begin(home, "repair", SPEC) as record:
        record.add(
            "fork repair-", ForkedInto(full("3f2a11"), NAMES[:3], {"repair-4": "no room for its memory"})
        )
        record.add("start repair-1 1", 1)
        record.add("result repair-1", SwarmResult("repair-1", 1, "work 1", 0.8, "", 0, 61_000.0))
        record.add("result repair-2", SwarmResult("repair-2", 1, "work 2", 0.95, "", 0, 4_200.0))
        record.add(
            "result repair-3",
            SwarmResult("repair-3", 1, "work 3", None, "its command ended with 137", 137, 810.0),
        )
        record.add("fork repair-2a", ForkedInto(full("9c01be"), NAMES[4:]))
        yield record


@asynccontextmanager
async def looked_at(
    tmp_path: Path, size: tuple[int, int], **how: bool
) -> AsyncIterator[tuple[Pilot[None], Home, HandMadeFeed]]:
    home, feed = Home(tmp_path / "h", tmp_path / "r"), HandMadeFeed(TREE)
    home.root.mkdir()
    async with VertuiApp(home, lambda: feed, **how).run_test(size=size) as pilot:
        await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
        yield pilot, home, feed


def table(pilot: Pilot[None]) -> list[str]:
    return [row.name for row in cast(SwarmScreen, app_of(pilot).screen)._list.items]


@pytest.mark.parametrize("size", SIZES)
async def test_swarms_look(tmp_path: Path, size: tuple[int, int]) -> None:
    async with looked_at(tmp_path, size) as (pilot, home, _):
        app = app_of(pilot)
        await pilot.press("number_sign")
        await until_seen(pilot, "no swarm yet")
        with recorded(home):  # a first one is heard of
            await until_seen(pilot, "repair", "at work")
            check_lines(text_of(app), size[0])
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, SwarmScreen) and len(table(pilot)) == 5)
            assert table(pilot) == ["repair-2", "repair-1", "repair-2a1", "repair-3", "repair-4"]
            if size in ((80, 24), (120, 36)):
                await until_looks(pilot, f"swarm-{size[0]}x{size[1]}")
            for worn in ("paper", "sixteen", "dusk"):
                app.wear(BY_NAME[worn])
                await pilot.pause()
                await pilot.pause()
                check_colours(pilot, worn)
            await pilot.pause()
            check_lines(text_of(app), size[0])
            check_footers(pilot)
            shown = text_of(app)
            assert (
                all(name in shown for name in NAMES)
                and "0.95" in shown
                and "\x1b" not in shown
                and "\x9b" not in shown
            )
        await until_seen(pilot, "interrupted")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, SwarmsScreen))
        check_footers(pilot)


async def test_what_is_added_is_shown_and_a_tree_that_changed_too(tmp_path: Path) -> None:
    async with looked_at(tmp_path, (120, 36)) as (pilot, home, feed):
        with recorded(home) as record:
            await pilot.press("number_sign")
            await until_seen(pilot, "1 swarm at work", "● 1 ✓ 2 ✗ 2", "best 0.95 repair-2")
            await pilot.press("enter")
            await until_seen(pilot, "collecting 15 items", "no room for its memory", "round 2/2")
            *others, working = TREE.branches
            feed.put(
                replace(TREE, branches=(*others, replace(working, last=last("work 1", "15 passed", None))))
            )
            await until_seen(pilot, "15 passed")
            record.add("result repair-2a1", SwarmResult("repair-2a1", 2, "work 1", 1.0, "", 0, 12_000.0))
            await until_seen(pilot, "best 1 repair-2a1", "12.0 s")
            assert table(pilot)[0] == "repair-2a1"
            record.end(SwarmOutcome(winner="repair-2a1", forked=full("3f2a11"), why="repair-2a1 succeeded"))
            await until_seen(pilot, "✓ ended", "repair-2a1 succeeded")
            feed.put(replace(TREE, branches=TREE.branches[:1]), event("branch", "repair-2a1", "pruned"))
            await until_seen(pilot, "pruned")
            await pilot.press("g", "enter")
            await until_seen(pilot, "watch: repair-2a1 is there no more: T shows the trash")
        home.swarms.joinpath("repair.jsonl").write_text("nonsense\n")
        await until_seen(pilot, "line 1 is not what was written")


async def test_keys_look_at_a_try_and_what_changes_anything_is_not_to_be_had_read_only(
    tmp_path: Path,
) -> None:
    async with looked_at(tmp_path, (120, 36), read_only=True) as (pilot, home, _):
        app = app_of(pilot)
        with recorded(home):
            await pilot.press("number_sign")
            await until_seen(pilot, "best 0.95")
            for key in ("plus", "r", "U", "X", "P"):
                await pilot.press(key)
                assert isinstance(app.screen, SwarmsScreen) and not app.jobs, key
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, SwarmScreen) and bool(table(pilot)))
            for key in ("r", "U", "X", "P", "x", "e", "c", "H"):
                await pilot.press(key)
                assert isinstance(app.screen, SwarmScreen) and not app.jobs, key
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, WatchScreen))
            await pilot.press("escape", "d")
            await until(pilot, lambda: isinstance(app.screen, DiffScreen))
            diff = cast(DiffScreen, app.screen)
            assert (diff._a, diff._b) == (full("3f2a11"), "repair-2")
            await pilot.press("escape", "apostrophe")
            await until(pilot, lambda: app.screen is app.main and app.main.selection.refs == ("repair-2",))


# -- over an engine --------------------------------------------------------------------------------------------


@asynccontextmanager
async def played() -> AsyncIterator[tuple[Swarming, Pilot[None]]]:
    """Tries score what their number says."""
    async with (
        swarming(lambda branch, _: float(branch[-1])) as here,
        VertuiApp(here.home).run_test(size=(120, 36)) as pilot,
    ):
        await until_seen(pilot, "main")
        yield here, pilot


async def test_a_swarm_that_is_played_is_followed_and_its_winner_promoted_by_its_plan() -> None:
    async with played() as (here, pilot):
        app, spec = app_of(pilot), SwarmSpec(base="main", command="work", n=3, score="printed")
        await pilot.press("number_sign")
        playing = asyncio.create_task(asyncio.to_thread(here.run, "one", spec))
        await until_seen(pilot, "one", "✓ 3", "best 3 one-3")
        await playing
        await until_seen(pilot, "ended")
        await pilot.press("r")
        await until_seen(pilot, "resume: one is ended")
        await pilot.press("P")
        await until(pilot, lambda: isinstance(app.screen, PlanDialog))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, SwarmsScreen))
        assert here.trunk() == "main" and app.screen.query_one("#said") is not None
        await until(pilot, lambda: not player_of(here.home, "one"))
        await pilot.press("P")
        await until(pilot, lambda: isinstance(app.screen, PlanDialog))
        await pilot.press("right", "enter")
        await until_seen(pilot, "★ one", "promoted")
        assert here.trunk() == "one-3" and glance_at(here.home, "one").state == "promoted"


def found_by_others(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is told where the home is finds the socket of its twin."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home.runtime.parent))
    found = find_home(str(home.root))
    found.make_runtime()
    found.daemon_socket.symlink_to(home.daemon_socket)


async def test_one_is_begun_from_the_form_and_what_is_wrong_loses_nothing_that_was_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with played() as (here, pilot):
        app = app_of(pilot)
        found_by_others(here.home, monkeypatch)
        await pilot.press("number_sign", "plus")
        await until(pilot, lambda: isinstance(app.screen, FormDialog))
        form = cast(FormDialog, app.screen)
        await pilot.press("enter")
        await until_seen(pilot, "give a spec, a command, or a file of variants")
        await pilot.press(*"/nowhere/x.toml", "enter")
        await until_seen(pilot, "/nowhere/x.toml cannot be read: No such file")
        form.query_one("#spec", TextInput).value = ""
        form.query_one("#command", TextInput).value = "work '{i}'"
        form.query_one("#n", TextInput).value = "2"
        form.query_one("#base", TextInput).value = "nosuch"
        await pilot.press("ctrl+y", "enter")
        await until(pilot, lambda: text_of(app).count("nosuch") == 2 and not form.busy)
        assert app.clipboard == """vertui swarm run --base nosuch --command 'work '"'"'{i}'"'"'' -n 2"""
        assert form.query_one("#command", TextInput).value == "work '{i}'" and not records.swarms(here.home)
        form.query_one("#base", TextInput).value = "main"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SwarmScreen))
        await until(pilot, lambda: set(table(pilot)) == {"swarm-1", "swarm-2"} <= here.names())
        assert glance_at(here.home, "swarm").spec.command == "work '{i}'"
        with suppress(Conflict):  # it has ended
            await asyncio.to_thread(stop, here.home, "swarm")
        assert not player_of(here.home, "swarm")


async def test_whoever_plays_one_is_stopped_and_named(tmp_path: Path) -> None:
    async with looked_at(tmp_path, (80, 24)) as (pilot, home, _):
        with recorded(home):
            pass
        code = f"""
import time
from pathlib import Path
from core.home import Home
from vertui.swarm import record
with record.go_on(Home(Path({str(home.root)!r}), Path('/nowhere')), 'repair'):
    print(flush=True)
    time.sleep(600)
"""
        argv = [*program("vertui")[:2], "-c", code]
        player = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]
        )
        assert player.stdout is not None
        with player.stdout:
            await asyncio.to_thread(player.stdout.readline)
            try:
                await pilot.press("number_sign")
                await until_seen(pilot, "repair", "at work")
                assert player_of(home, "repair") == player.pid
                await pilot.press("X")
                await asyncio.to_thread(player.wait, 60)
                await until_seen(pilot, "interrupted")
                await pilot.press("X")
                await until_seen(pilot, "nobody plays it")
            finally:
                player.kill()
