"""Any verb, typed in the UI: run on the same home, said as it comes, completed; what needs a terminal is told."""

import subprocess
import threading

from core import VERSION
from tests.ui.conftest import Show
from tests.ui.looks import app_of, until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.screens.verb_line import MOST_WAITING, VerbOutput
from vertui.widgets.command_line import CommandLine


async def test_a_verb_that_has_no_key_is_run(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("semicolon")
        await until_seen(pilot, "any verb: store du", "→ complete", "ctrl+c interrupt")
        line = app_of(pilot).screen.query_one(CommandLine)
        await pilot.press(*"--version", "enter")
        await until_seen(pilot, "$ vertui --version", VERSION, "✓")
        await pilot.press(*"vertui no-such 'x", "enter")
        await until_seen(pilot, "No closing quotation")
        await pilot.press("apostrophe", "enter")
        await until_seen(pilot, "✗ exit 2")
        await pilot.press("up", "up")
        assert line.value == "--version"
        await pilot.press("down", "down", *"store d")
        await until_seen(pilot, "store du")
        await pilot.press("right")
        assert line.value == "store du"
        line.value = "shell main"
        await pilot.press("enter")
        await until_seen(pilot, "this terminal cannot be left")


def test_all_that_is_printed_is_taken_in_order_and_little_waits() -> None:
    told = threading.Event()
    process = subprocess.Popen(["sh", "-c", "seq 50000; printf end"], stdout=subprocess.PIPE)
    output, lines, ended = VerbOutput(process, told.set), list[str](), False
    while not ended:
        ended = output.ended
        some, all_taken = output.take()
        lines += some
        ended = ended and all_taken
        assert len(output._waiting) <= 2 * MOST_WAITING
    assert lines == [*map(str, range(1, 50001)), "end"] and told.is_set() and process.returncode == 0
