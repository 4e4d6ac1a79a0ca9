"""The UI over a real daemon and real machines, by keys alone; what other clients do shows by itself."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from textual.pilot import Pilot

from core.daemon.client import Client
from core.holder.warden import MOST_QUICK_DEATHS, QUICK_DEATH_S
from core.home import Home
from core.model import BranchState
from tests.conftest import full
from tests.guests import Guest
from tests.ui.looks import app_of, text_of, until, until_seen
from vertui.plain import TextInput
from vertui.screens.diff import DiffScreen
from vertui.ui import VertuiApp
from vertui.widgets.pane import OutputPane


@pytest.fixture
async def pilot(home: Home) -> AsyncIterator[Pilot[None]]:
    async with VertuiApp(home).run_test(size=(160, 45)) as opened:
        yield opened


async def test_the_first_screen_starts_main(pilot: Pilot[None]) -> None:
    await until_seen(pilot, "✓  build the image", "start main")
    await pilot.press("enter")
    await until_seen(pilot, "★ trunk", "running", "tap0", "processes")


async def test_the_main_job_by_keys(main: Guest, pilot: Pilot[None]) -> None:
    app = app_of(pilot)
    await until_seen(pilot, "★ trunk")
    await pilot.press("f", "2", "tab", "t", "enter")
    await until(
        pilot,
        lambda: (
            [one.name for one in app.main.shown.branches if one.state is BranchState.RUNNING]
            == ["main", "t1", "t2"]
        ),
    )
    await until(pilot, lambda: app.screen is app.main)
    await until(pilot, lambda: app.main.selection.refs == ("t1",))  # one's own fork is gone to
    await pilot.press(
        "space", "space", "e", *"echo $((40+2)) > /root/answer; cat /root/answer; exit 3", "enter"
    )
    await until(pilot, lambda: text_of(app).count("│ exit 3") == 2 and text_of(app).count("│ 42 ") == 2)
    await pilot.press("escape", "escape", "at", "j", "d")
    await until_seen(pilot, "1 added", "/root/answer")
    await pilot.press("j", "j")
    await until_seen(pilot, "1 + 42")
    await pilot.press("escape", "x")
    await until_seen(pilot, "Cancel", "goes into the trash")
    await pilot.press("enter")
    assert len(app.main.shown.branches) == 3
    await pilot.press("x")
    await until_seen(pilot, "Cancel")
    await pilot.press("right", "enter")
    await until(pilot, lambda: len(app.main.shown.branches) == 2)
    await pilot.press("u")
    await until_seen(pilot, "Cancel", "undo #")
    await pilot.press("right", "enter")
    await until(pilot, lambda: len(app.main.shown.branches) == 3)
    await pilot.press("at", "j", "P")
    await until_seen(pilot, "Cancel")
    await pilot.press("right", "enter")
    await until(pilot, lambda: app.main.shown.trunk in ("t1", "t2"))


async def test_what_others_do_shows_and_the_daemon_may_go(
    main: Guest, pilot: Pilot[None], client: Client
) -> None:
    await until_seen(pilot, "★ trunk")
    client.score("main", 0.75, "seen from outside")
    await until_seen(pilot, "0.75", "seen from outside")
    client.stop_daemon()
    await until_seen(pilot, "the daemon is stopped: D starts it")
    await pilot.press("D")
    await until(pilot, lambda: "D starts it" not in text_of(app_of(pilot)))
    client.score("main", 0.5)
    await until_seen(pilot, "0.5")


COUNT = "i=0; while ! test -e /root/go; do i=$((i+1)); echo count $i; sleep 0.3; done; echo over"
DEATHS = 20 if full() else 3  # of the daemon


async def test_what_is_followed_goes_on_however_often_the_daemon_dies(
    main: Guest, pilot: Pilot[None], client: Client
) -> None:
    await until_seen(pilot, "★ trunk")
    await pilot.press("s")
    await until_seen(pilot, "● main", "#")
    await pilot.press(*"x=$((6 * 7))", "enter", "ctrl+right_square_bracket", "e")
    await until_seen(pilot, "exec in main")
    app_of(pilot).screen.query_one("#command", TextInput).value = COUNT
    await pilot.press("enter")
    await until_seen(pilot, "count 2")
    kept = app_of(pilot).screen.query_one(OutputPane).watched.kept
    for death in range(1, DEATHS + 1):
        told, pid = kept.end, client.status().pid
        os.kill(pid, signal.SIGKILL)
        await until(pilot, lambda told=told: kept.end > told + 1)  # type: ignore[misc]
        client.score("main", death / 100)
        await until(pilot, lambda death=death: app_of(pilot).main.shown.branches[0].score == death / 100)  # type: ignore[misc]
        if death % MOST_QUICK_DEATHS == 0:
            await asyncio.sleep(QUICK_DEATH_S)
    main.run("touch /root/go")
    await until_seen(pilot, "over", "exit 0")
    lines = [line.data.decode() for line in kept.lines(kept.start, kept.end)]
    last = len(lines) - 2
    assert lines == [*(f"count {number}" for number in range(1, last + 1)), "over", "exit 0"], (
        "each line once"
    )
    await pilot.press("escape", "s", *"echo =$x=", "enter")
    await until_seen(pilot, "=42=")


async def test_a_branch_is_pruned_by_another_while_its_diff_is_open(
    main: Guest, pilot: Pilot[None], client: Client
) -> None:
    await until_seen(pilot, "★ trunk")
    client.fork("main", 1, "t")
    main.other("t").run("echo new > /root/new")
    app = app_of(pilot)
    app.push_screen(DiffScreen("main", "t"))
    await until_seen(pilot, "all files", "new")
    client.execute(client.plan_prune(["t"], True))
    await until(pilot, lambda: all(branch.name != "t" for branch in app.main.shown.branches))
    await pilot.press("j", "j", "ctrl+r")
    await until_seen(pilot, "not compared", "t")
    await pilot.press("j", "enter", "escape")
    await until(pilot, lambda: app.screen is app.main)
    await until_seen(pilot, "★ trunk")


async def test_a_shell_outlives_the_daemon_and_tells_of_its_machines_end(
    main: Guest, pilot: Pilot[None], client: Client
) -> None:
    await until_seen(pilot, "★ trunk")
    await pilot.press("s")
    await until_seen(pilot, "● main", "#")
    await pilot.press(*"stty size; x=$((6 * 7))", "enter")
    await until_seen(pilot, "43 160")
    os.kill(client.status().pid, signal.SIGKILL)
    await until_seen(pilot, "◌ main", "not connected")
    await pilot.press(*"echo =$x=", "enter")
    await until_seen(pilot, "● main", "=42=")
    await pilot.press(*"busybox=/usr/lib/vertui/busybox; printf 'a\\nb\\n' > f; $busybox vi f", "enter")
    await until_seen(pilot, "- f 1/2")
    await pilot.press(*"xivi", "escape")
    await until_seen(pilot, "- f [Modified]")  # vi takes what comes with an escape for one key
    await pilot.press(*":wq", "enter", *"echo [$(head -1 f)]", "enter")
    await until_seen(pilot, "[vi]")
    machine = next(branch.pid for branch in client.tree().branches)
    assert machine is not None
    os.kill(machine, signal.SIGKILL)
    await until_seen(pilot, "the shell in main is gone: ", "⏎ close this tab")
    await pilot.press("enter")
    await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).main)
