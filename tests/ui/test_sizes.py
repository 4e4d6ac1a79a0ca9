"""At every size and in all kinds of colours: nothing overlaps, no name or key's hint is cut, buttons are reached."""

from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from rich.color import ColorType
from textual.color import Color
from textual.pilot import Pilot
from textual.screen import Screen

from core.model import Plan, PlanSection
from core.verbs.fork import Fork
from tests.conftest import full
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.actions import ACTIONS, BY_ID
from vertui.plain import Choice, TextInput
from vertui.screens.actions import ActionsScreen
from vertui.screens.board import BoardScreen
from vertui.screens.images import ImagesScreen
from vertui.screens.plan import plan_dialog
from vertui.screens.verb_form import VerbForm
from vertui.screens.watch import WatchScreen
from vertui.selection import Selection
from vertui.themes import BY_NAME
from vertui.widgets.footer import KeyHints

NAMES = [branch.name for branch in DEMO.branches]
LINES = tuple(f"commit {number} goes" for number in range(40))
PLAN = Plan(
    "p", "prune --now", ("b1",), (), 21 << 20, False, ("branch b1 goes", *LINES),
    head="1 branch, 40 commits, for good", sections=(PlanSection("branches", 1), PlanSection("commits", 40)),
)  # fmt: skip


def form() -> VerbForm:
    return VerbForm(Fork, Selection(DEMO, DEMO.branches[0]), lambda children: None)


SCREENS: dict[str, Callable[[], Screen[Any]]] = {
    "board": lambda: BoardScreen(),
    "watch": lambda: WatchScreen(("b1", "b2")),
    "images": lambda: ImagesScreen(),
    "help": lambda: ActionsScreen("help", Selection(DEMO, DEMO.branches[0])),
    "form": form,
    "plan": lambda: plan_dialog(PLAN, "Prune", "put them into the trash"),
}


def check_lines(text: str, width: int) -> None:
    """No line is longer than the screen, no frame is open, and what is cut is cut once."""
    assert "……" not in text
    for line in text.splitlines():
        assert cell_len(line) <= width
        for left, right in ("╭╮", "╰╯"):
            assert line.count(left) == line.count(right), line


def check_hints(line: str, hints: list[tuple[str, str]]) -> None:
    """A line of keys has whole hints and nothing else, the last one too."""
    for key, label in hints:
        line = line.replace(f" {key} {label} ", "", 1)
    assert not line.strip(), f"a hint is cut: {line!r}"


def check_footers(pilot: Pilot[None]) -> None:
    app = app_of(pilot)
    if app.screen is app.main:
        line = app.main._keys.render().plain
        check_hints(line, [(one.key_label, one.label) for one in ACTIONS])
        assert line.rstrip().endswith("q quit") and f"{BY_ID['help'].key_label} help" in line
        assert cell_len(line) <= app.size.width
    for keys in app.screen.query(KeyHints):
        line = keys.render().plain
        check_hints(line, keys.hints)
        assert cell_len(line) <= keys.size.width and f" {keys.hints[-1][0]} " in line


def check_colours(pilot: Pilot[None], name: str) -> None:
    """The ground of a light theme is light, but for what is marked; of the terminal's colours there are sixteen."""
    cells = {True: 0, False: 0}
    for strip in app_of(pilot).screen._compositor.render_strips():
        for segment in strip:
            assert segment.style is not None
            for colour in filter(None, (segment.style.color, segment.style.bgcolor)):
                assert name != "sixteen" or colour.type in (ColorType.STANDARD, ColorType.DEFAULT), segment
            if (ground := segment.style.bgcolor) is not None and ground.triplet:
                cells[Color.from_rich_color(ground).brightness > 0.5] += cell_len(segment.text)
    if name != "sixteen":
        assert cells[name == "paper"] > 19 * cells[name != "paper"], cells


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50), *(((250, 70),) if full() else ())])
async def test_nothing_is_cut_and_colours_are_the_themes(show: Show, size: tuple[int, int]) -> None:
    async with show(HandMadeFeed(DEMO), size) as pilot:
        app = app_of(pilot)
        for name in ("main", *SCREENS):
            if name != "main":
                app.push_screen(screen := SCREENS[name]())
                await until(pilot, lambda screen=screen: app.screen is screen and screen.is_mounted)  # type: ignore[misc]
            await pilot.pause()
            check_footers(pilot)
            texts = set()
            for worn in ("paper", "sixteen", "dusk"):
                app.wear(BY_NAME[worn])
                await pilot.pause()
                await pilot.pause()
                check_colours(pilot, worn)
                texts.add(text_of(app))
                if name in ("main", "board"):
                    [*map(check_named, NAMES, [text_of(app)] * len(NAMES))]
            if name in ("main", "board", "images", "watch"):
                check_lines(text_of(app), size[0])
            if name in ("help", "form", "plan"):
                assert len(texts) == 1, "colours alone differ"
            if name != "main":
                app.pop_screen()


def check_named(name: str, text: str) -> None:
    assert any(name in line.split() for line in text.splitlines()), f"{name} is cut:\n{text}"


async def test_in_forty_by_twelve_all_is_reached(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (40, 12)) as pilot:
        app = app_of(pilot)
        check_footers(pilot)
        text = text_of(app)
        check_lines(text, 40)
        assert "main" in text and "b2" in text
        for name in ("form", "plan"):
            app.push_screen(screen := SCREENS[name]())
            await until(pilot, lambda screen=screen: app.screen is screen and screen.is_mounted)  # type: ignore[misc]
            await pilot.pause()
            seen = set()
            for _ in range(12):
                focused = screen.focused
                assert focused is not None
                shown, clip = screen.find_widget(focused).region, screen.find_widget(focused).clip
                assert shown.intersection(clip) == shown and app.screen.region.contains_region(shown), focused
                seen.add(focused)
                await pilot.press("tab")
                await pilot.pause()
            assert {*screen.query(Choice)} | {*screen.query(TextInput)} <= seen
            for button in screen.query(Choice):
                assert str(button.label) in text_of(app), "all buttons are seen, whatever has the focus"
            check_footers(pilot)
            await pilot.press("escape")


async def test_a_line_that_is_cut_ends_in_one_ellipsis(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (40, 24)) as pilot:
        app = app_of(pilot)
        for length in range(30, 50):
            app.main.show_jobs(("x" * length,))
            await until_seen(pilot, "xxx")
            assert "……" not in text_of(app)


async def test_words_stand_at_the_top_and_never_over_the_keys(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (80, 24), toasts=True) as pilot:
        app = app_of(pilot)
        app.fail("why it is so, and what helps", "pruning b1")
        await until_seen(pilot, "pruning b1 failed", "why it is so, and what helps")
        below = text_of(app).splitlines()[-8:]
        assert "pruning b1 failed" not in "".join(below) and "q quit" in below[-1]
