"""What somebody new meets in the UI: nothing is cut, nothing is empty without a word, no key says what is not so."""

import re
import threading
from pathlib import Path

import pytest

from core.daemon.client import GOES_ON
from core.home import Home
from core.model import Operation, OperationState, TrashEntry
from core.verbs import all_verbs
from core.verbs.base import Entry
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui import ui
from vertui.actions import ACTIONS, LEAST_FIT
from vertui.asking import questions
from vertui.screens.verb_form import hint_of
from vertui.selection import NOTHING, Selection
from vertui.ui import VertuiApp

SMALL = (80, 24)
STYLES = Path(ui.__file__).with_name("theme.tcss")
FIELD_WIDTH = 51  # of a form's field, the cursor's place left out
PLAN_WIDTH = 66  # of a plan's line of keys
NOON = 1_000_000_000.0  # 01:46:40


@pytest.mark.parametrize("count", [3, 60])
async def test_the_log_shows_each_time_whole(tmp_path: Path, count: int) -> None:
    log = [
        Operation(number, "r", "exec", f"in b1: {number}", OperationState.DONE, False, NOON, finished=NOON)
        for number in range(count)
    ]
    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, {"/v1/log": log}):
        async with VertuiApp(home, lambda: HandMadeFeed(DEMO)).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("l")
            await until_seen(pilot, "in b1: 2")
            shown = [line for line in text_of(app_of(pilot)).split("\n") if "in b1" in line]
            assert all("09 Sep 01:46:40" in line and "ms" not in line for line in shown)


async def test_what_is_empty_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, {"/v1/log": [], "/v1/trash": []}):
        async with VertuiApp(home, lambda: HandMadeFeed(DEMO)).run_test(size=SMALL) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("l")
            await until_seen(pilot, "no operation yet")
            await pilot.press("escape", "T")
            await until_seen(pilot, "the trash is empty")


async def test_what_is_in_the_trash_is_told_before_it_is_brought_back(tmp_path: Path) -> None:
    home, bodies = Home(tmp_path, tmp_path / "r"), list[bytes]()
    entry = TrashEntry("t1", "branch", "b7", 9 << 20, NOON, NOON + 86400)
    with standing_in(home, {"/v1/trash": [entry]}, bodies):
        async with VertuiApp(home, lambda: HandMadeFeed(DEMO)).run_test(size=SMALL) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("T")
            await until_seen(pilot, "b7", "⏎ show it whole")
            await pilot.press("enter")
            await until_seen(
                pilot, "branch in the trash", "pruned         09 Sep 01:46:40", "9.0M", "r restores it"
            )
            await pilot.press("escape", "r")
            await until(pilot, lambda: any(b"t1" in body for body in bodies))


async def test_the_key_that_is_for_leaving_is_named(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), SMALL) as pilot:
        await pilot.press("ctrl+c")
        await until(pilot, lambda: bool(list(app_of(pilot)._notifications)))
        assert [one.message for one in app_of(pilot)._notifications] == ["q leaves; machines run on"]


async def test_a_size_is_suggested_as_people_type_it(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), SMALL) as pilot:
        await pilot.press("b")
        await until_seen(pilot, "512M")


def test_hints_and_keys_of_dialogs_fit_into_them() -> None:
    others = re.findall(r"#([\w-]+)", STYLES.read_text())  # parts of screens, that may be hidden
    for verb in all_verbs():
        if isinstance(verb.screen, Entry):
            for question in questions(verb, Selection()):
                assert question.field.name not in others
                assert len(hint_of(question.field)) <= FIELD_WIDTH, f"{verb.__name__}: {question.field.name}"
            variant = verb.screen.variant or ("", "")
            assert len(f" ~  {variant[1]}  j/k scroll  ←/→ choose  esc leave ") <= PLAN_WIDTH, variant


async def test_a_form_says_what_may_be_typed_also_where_something_is_typed_already(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), SMALL) as pilot:
        await pilot.press("ampersand")
        await until_seen(pilot, "100", "From 1 to 10000.")
        await pilot.press("escape", "f")
        await until_seen(pilot, "seconds: End a child's command", "off|open|RULE: ", "exit|printed|CMD: ")
        await pilot.press("escape", "E")
        await until_seen(pilot, "y: Say the same of all branches", "off, open, allow or add with rules")
        await pilot.press("tab")
        await until(pilot, lambda: "allow or add with rules" not in text_of(app_of(pilot)))
        await pilot.press("tab", *"true", "enter")
        await until_seen(pilot, "siblings: y or n")
        await pilot.press("ctrl+u", "y", "enter")
        await until_seen(pilot, "the daemon is stopped")


async def test_the_palette_finds_words(show: Show) -> None:
    found = {word: [one.id for one in ACTIONS if one.fit(word) >= LEAST_FIT] for word in ("watch", "fork")}
    assert "redo" not in found["watch"] and "fork" in found["fork"]


async def test_what_is_of_the_screen_alone_has_no_command(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (120, 36)) as pilot:
        await pilot.press("y", *"clear marks", "enter")
        await until_seen(pilot, "unmark: it is of this screen alone")


async def test_leaving_says_what_goes_on(show: Show) -> None:
    release = threading.Event()
    async with show(HandMadeFeed(DEMO), SMALL) as pilot:
        app = app_of(pilot)
        app.call("building base", release.wait)
        await until_seen(pilot, "building base")
        await pilot.press("q")
        await until(pilot, lambda: bool(app._exit_renderables))
        release.set()
        assert [str(one) for one in app._exit_renderables] == [f"building base: {GOES_ON}"]
