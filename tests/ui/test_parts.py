"""The parts by themselves: guest text, the plan's dialog, the watcher."""

import queue
import threading
import time

import pytest
from rich.console import Console
from rich.style import Style
from rich.text import Text

from core.errors import DaemonUnavailable
from core.model import Plan
from tests.ui.conftest import Show
from tests.ui.looks import PATIENCE_S, app_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.feed import News, Watcher
from vertui.screens.dialogs import Answer, PlanDialog, any_number, name, plan_dialog, whole_number
from vertui.widgets.guest_text import LONGEST_LINE, GuestText, clean
from vertui.widgets.lines import segments


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$q\x1b\\after", "after"),
        ("10%\r20%\r30%", "30%"),
        ("done\r", "done"),
        ("a\x00\x07\x08\x9b31mb", "a31mb"),
        ("right\u202eto left\u2066", "right\\u202eto left\\u2066"),
        ("a\tb", "a       b"),
        ("é漢", "é漢"),
        ("\x1b]never ends", ""),
    ],
)
def test_clean(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_an_unfinished_escape_swallows_no_later_line() -> None:
    assert GuestText().feed(b"\x1b]0;evil\nnext\n") == ["", "next"]


def test_sequences_and_characters_cut_between_chunks() -> None:
    text, lines = GuestText(), []
    for byte in "\x1b[31mé漢\x1b[0m\r\nnext\n".encode():
        lines += text.feed(bytes([byte]))
    assert lines == ["é漢", "next"]


@pytest.mark.parametrize(
    "hostile", [b"\x1b]" * 500_000, b"\x1b" * 1_000_000, b"\x1b[0" * 300_000, b"\r" * 1_000_000]
)
def test_hostile_bytes_cost_little(hostile: bytes) -> None:
    text, started = GuestText(), time.process_time()
    for at in range(0, len(hostile), 65536):
        text.feed(hostile[at : at + 65536])
    text.feed(b"\n")
    assert time.process_time() - started < 1.0
    assert len(text.rest) <= 4 * LONGEST_LINE


def test_a_line_of_one_style_keeps_it() -> None:
    (segment,) = segments(Text("+added", style="green"), Console())
    assert segment.style == Style.parse("green")


PLAN = Plan("p1", "prune", ("b1",), (), 21 << 20, True, ("branch b1", "its machine, committed first"))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("enter", None),
        ("escape", None),
        ("right enter", Answer.DO),
        ("tab enter", Answer.DO),
        ("n", Answer.OTHER),
    ],
)
async def test_a_plan_is_cancelled_by_habit(show: Show, keys: str, said: Answer | None) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        answers: list[Answer | None] = []
        app_of(pilot).push_screen(plan_dialog(PLAN, "Prune", "now: skip the trash"), answers.append)
        await until_seen(pilot, "• branch b1", "frees 21M", "u takes it back")
        await pilot.press(*keys.split())
        await until(pilot, lambda: answers == [said])


async def test_a_plan_without_variant_has_none(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        dialog = PlanDialog("undo", ("undo #3",), Text("U does it again"), "Undo")
        app_of(pilot).push_screen(dialog)
        await until_seen(pilot, "U does it again")
        await pilot.press("n")
        assert app_of(pilot).screen is dialog


def test_checks() -> None:
    assert whole_number(1, 100)("4") is None
    assert all(whole_number(1, 100)(bad) for bad in ("0", "101", "-1", "x", "", "1.5", "²"))
    assert any_number("-0.5") is None
    assert all(any_number(bad) for bad in ("", "nan", "inf", "x"))
    assert name("b1") is None and name("B 1") and name("abcdef0")


def test_a_watcher_says_what_is_wrong_and_comes_back() -> None:
    feed, told = HandMadeFeed(DEMO), queue.SimpleQueue[News]()
    watcher = Watcher(lambda: feed, lambda: told.put(watcher.take()))
    watcher.start()
    assert told.get(timeout=PATIENCE_S).tree is DEMO
    feed.break_with(DaemonUnavailable("the daemon went away"))
    assert str(told.get(timeout=PATIENCE_S).error) == "the daemon went away"
    while (news := told.get(timeout=PATIENCE_S)).tree is None:
        pass
    assert news.tree is DEMO and news.error is None
    watcher.stop()
    assert _ended("feed") and _ended("tree")


def _ended(thread: str) -> bool:
    for one in threading.enumerate():
        if one.name == thread:
            one.join(2)
            return not one.is_alive()
    return True
