"""The parts by themselves: guest text, the plan's dialog, the watcher."""

import queue
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console
from rich.style import Style
from rich.text import Text

from core.errors import DaemonUnavailable
from core.holder.ask import Silent
from core.home import Home
from core.model import Operation, OperationState, Plan, PlanSection, Tree
from core.verbs.fork import Fork
from core.verbs.score import Score
from core.verbs.up import Up
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.looks import PATIENCE_S, app_of, until, until_seen
from tests.ui.trees import DEMO, NOON, HandMadeFeed
from vertui.asking import questions
from vertui.feed import News, Watcher
from vertui.guest_text import LONGEST_LINE, clean
from vertui.plain import TextInput
from vertui.screens.images import ImagesScreen
from vertui.screens.plan import Answer, PlanDialog, plan_dialog
from vertui.selection import NOTHING, Selection
from vertui.ui import VertuiApp
from vertui.widgets.follower import LastLines
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
    lines = LastLines()
    lines.add(1, b"\x1b]0;evil\nnext\n")
    assert [line.plain for line in lines.take()] == ["", "next"]


def test_sequences_and_characters_cut_between_chunks() -> None:
    lines = LastLines()
    for byte in "\x1b[31mé漢\x1b[0m\r\nnext\n".encode():
        lines.add(1, bytes([byte]))
    assert [line.plain for line in lines.take()] == ["é漢", "next"]


@pytest.mark.parametrize(
    "hostile", [b"\x1b]" * 500_000, b"\x1b" * 1_000_000, b"\x1b[0" * 300_000, b"\r" * 1_000_000]
)
def test_hostile_bytes_cost_little(hostile: bytes) -> None:
    text, started = LastLines(), time.process_time()
    for at in range(0, len(hostile), 65536):
        text.add(1, hostile[at : at + 65536])
    text.add(1, b"\n")
    assert time.process_time() - started < 1.0
    assert len(text.rest) <= 4 * LONGEST_LINE


def test_a_line_of_one_style_keeps_it() -> None:
    (segment,) = segments(Text("+added", style="green"), Console())
    assert segment.style == Style.parse("green")


PLAN = Plan(
    "p1", "prune", ("b1",), (), 21 << 20, True, ("branch b1", "its machine, committed first"), until=NOON
)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("enter", None),
        ("escape", None),
        ("right enter", Answer.DO),
        ("tab enter", Answer.DO),
        ("tilde", Answer.OTHER),
    ],
)
async def test_a_plan_is_cancelled_by_habit(show: Show, keys: str, said: Answer | None) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        answers: list[Answer | None] = []
        app_of(pilot).push_screen(plan_dialog(PLAN, "Prune", "now: skip the trash"), answers.append)
        await until_seen(pilot, "• branch b1", "frees 21M", "u takes it back until Sun 15:06")
        await pilot.press(*keys.split())
        await until(pilot, lambda: answers == [said])


MANY = tuple(f"commit {number} goes" for number in range(150))
LONG = replace(
    PLAN, lines=("branch b1 goes", *MANY), head="1 branch, 150 commits",
    sections=(PlanSection("branches", 1), PlanSection("commits", 150)),
)  # fmt: skip


async def test_a_long_plan_is_folded_and_all_of_it_can_be_seen(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        app_of(pilot).push_screen(plan_dialog(LONG, "Prune", "now"))
        await until_seen(
            pilot, "1 branch, 150 commits", "branches · 1", "commits · 150", "• commit 2 goes", "… 147 more"
        )
        await pilot.press("z", "G")
        await until_seen(pilot, "• commit 149 goes")
        await pilot.press("z")
        await until_seen(pilot, "… 147 more")


async def test_what_nothing_brings_back_is_named_first(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        answers: list[Answer | None] = []
        app_of(pilot).push_screen(plan_dialog(replace(PLAN, undoable=False), "Prune"), answers.append)
        await until_seen(pilot, "nothing brings it back", "type b1")
        await pilot.press("left", "enter")
        await until_seen(pilot, "nothing brings it back: type b1 first")
        await pilot.press(*"b2", "enter")
        assert answers == []
        await pilot.press("backspace", "1", "enter")
        await until(pilot, lambda: answers == [Answer.DO])


async def test_undo_says_what_comes_back_by_name(tmp_path: Path) -> None:
    log = [Operation(3, "r", "prune", "prune b1", OperationState.DONE, True, NOON)]
    answers = {
        "/v1/log": log,
        "/v1/turned": ["branch b1 comes back", "commit 5ab3c05a comes back: half of it"],
    }
    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, answers) as asked:
        async with VertuiApp(home, lambda: HandMadeFeed(DEMO)).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("u")
            await until_seen(pilot, "undo #3: prune b1", "• branch b1 comes back", "U does it again")
    assert "/v1/turned?operation=3" in asked


async def test_one_key_leads_to_the_other_plan_and_back(tmp_path: Path) -> None:
    home, bodies = Home(tmp_path, tmp_path / "r"), list[bytes]()
    with standing_in(home, {"/v1/plan/prune": PLAN}, bodies):
        async with VertuiApp(home, lambda: HandMadeFeed(DEMO)).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("j", "j", "x")
            await until_seen(pilot, "~ skip the trash, for good")
            await pilot.press("tilde")
            await until_seen(pilot, "~ back to the gentle plan")
            await pilot.press("tilde")
            await until_seen(pilot, "~ skip the trash, for good")
    assert [b'"now":true' in body.replace(b" ", b"") for body in bodies] == [False, True, False]


async def test_a_plan_without_variant_has_none(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        dialog = PlanDialog("undo", ("undo #3",), Text("U does it again"), "Undo")
        app_of(pilot).push_screen(dialog)
        await until_seen(pilot, "U does it again")
        await pilot.press("tilde")
        assert app_of(pilot).screen is dialog


def test_a_plans_files_are_in_its_lines_already() -> None:
    plan = replace(PLAN, verb="promote", files=tuple(f"/file {number}" for number in range(5000)))
    assert plan_dialog(plan, "Promote")._lines == PLAN.lines


async def test_news_may_come_before_a_screen_stands(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        screen = ImagesScreen()
        screen.hear(News(None, None, (), None))
        app_of(pilot).push_screen(screen)
        await until_seen(pilot, "images", "start a machine")


async def test_what_is_not_seen_takes_a_column_in_a_field(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("slash")
        entry = app_of(pilot).main.query_one("#filter", TextInput)
        entry.value = "a\x07\x08\tb"
        await until_seen(pilot, "a␇␈␉b")
        await pilot.press("end")
        assert entry._cursor_offset == 6 and entry.value == "a\x07\x08\tb"


def test_checks() -> None:
    wrong = {
        (verb, one.field.name): one.wrong
        for verb in (Fork, Score, Up)
        for one in questions(verb, Selection())
    }
    number, score, prefix, name = (
        wrong[Fork, "n"],
        wrong[Score, "score"],
        wrong[Fork, "prefix"],
        wrong[Up, "name"],
    )
    assert not number("4") and not number("")
    assert all(number(bad) for bad in ("0", "1001", "-1", "x", "1.5", "²", "9" * 5000))
    assert not score("-0.5") and score("") and score("x")
    assert (
        not prefix("")
        and not name("b1")
        and all(check(bad) for check in (name, prefix) for bad in ("B 1", "abcdef0"))
    )


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


class MuteFeed(HandMadeFeed):
    """One whose events stand while it has no answer to anything else."""

    mute = True

    def tree(self) -> Tree:
        """None, in time."""
        if self.mute:
            raise Silent("the daemon lives, but has no answer to this since 90 s")
        return super().tree()


def test_a_daemon_that_lives_and_says_nothing_is_told_of() -> None:
    feed, told = MuteFeed(DEMO), queue.SimpleQueue[News]()
    watcher = Watcher(lambda: feed, lambda: told.put(watcher.take()))
    watcher.start()
    assert "has no answer" in str(told.get(timeout=PATIENCE_S).error)
    feed.mute = False
    while (news := told.get(timeout=PATIENCE_S)).tree is None:
        pass
    assert news.tree is DEMO and news.error is None
    watcher.stop()


def _ended(thread: str) -> bool:
    for one in threading.enumerate():
        if one.name == thread:
            one.join(2)
            return not one.is_alive()
    return True
