"""The screen is alive by events alone: what machines print and how they end, what was not read, and what changes."""

from collections.abc import Sequence

from msgspec.structs import replace
from rich.style import Style

from core.commands import LastCommand
from core.model import BranchState, Tree
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.test_keys import until_selected
from tests.ui.trees import DEMO, HandMadeFeed, branch
from vertui import theme
from vertui.ui import VertuiApp

WIDE = (200, 50)


def otherwise(tree: Tree, name: str, /, **facts: object) -> Tree:
    """The tree with that branch otherwise."""
    return replace(
        tree,
        branches=tuple(replace(one, **facts) if one.name == name else one for one in tree.branches),
    )


def last(code: int | None, line: str, printed: int = 9) -> LastCommand:
    return LastCommand(3, "make test", 0.0, code, printed, line)


def row(app: VertuiApp, name: str) -> str:
    """A branch's row of the tree."""
    rows = (line.split("││")[0] for line in text_of(app).split("\n"))
    (found,) = (row for row in rows if f"● {name} " in row or f"◌ {name} " in row)
    return found


async def test_a_row_shows_what_its_machine_does(show: Show) -> None:
    tree = otherwise(DEMO, "b1", last=last(None, "collecting"), note="")
    async with show(feed := HandMadeFeed(tree), WIDE) as pilot:
        app = app_of(pilot)
        await until_seen(pilot, "collecting")
        assert "▸" in row(app, "b1") and "•" not in row(app, "b1") and "up 12m" in row(app, "b1")
        for code, mark in ((0, "•✓"), (127, "•✗ 127"), (3, "•✗ 3")):
            line = f"ended {code}\x1b[2J\x1b]0;evil\x07\u202e"
            tree = otherwise(tree, "b1", last=last(code, line), uptime_s=800.0 + code, cpu_percent=code)
            feed.put(tree)
            await until(pilot, lambda mark=mark: mark in row(app, "b1"))  # type: ignore[misc]
            assert f"ended {code}\\u202e" in row(app, "b1") and "evil" not in text_of(app)
        assert "▁█▁" in row(app, "b1"), "how busy it was at each look"


async def test_a_key_goes_to_what_was_not_read(show: Show) -> None:
    async with show(feed := HandMadeFeed(DEMO), WIDE) as pilot:
        app = app_of(pilot)
        await pilot.press("full_stop")
        await until_seen(pilot, "everything was looked at")
        tree = otherwise(otherwise(DEMO, "b1", last=last(0, "one")), "try1", last=last(1, "two"))
        feed.put(tree)
        await until(pilot, lambda: row(app, "b1").count("•") == 1)
        await pilot.press("full_stop")
        await until_selected(pilot, "try1")
        await pilot.press("full_stop")
        await until_selected(pilot, "b1")
        await until(pilot, lambda: "•" not in text_of(app).replace(" • ", ""))
        await pilot.press("full_stop")
        await until_seen(pilot, "everything was looked at")
        feed.put(otherwise(tree, "b1", last=last(0, "more", 10)))
        await until_seen(pilot, "more")
        assert "•" not in row(app, "b1"), "it is being looked at"


async def test_what_changes_is_marked_for_a_moment_and_no_timer_stays(show: Show) -> None:
    async with show(feed := HandMadeFeed(DEMO), WIDE) as pilot:
        app = app_of(pilot)
        tree = app.main.tree_view
        assert not tree._pulsing
        feed.put(otherwise(DEMO, "b1", score=0.5))
        await until(pilot, lambda: "branch id-b1" in tree._pulsing)
        place = next(at for at, one in enumerate(tree.items) if getattr(one, "id", "") == "b1")
        assert pulses(tree.render_line(place)._segments)
        await until(pilot, lambda: not tree._pulsing and tree._calming is None)
        assert not pulses(tree.render_line(place)._segments)
        feed.put(otherwise(DEMO, "b1", score=0.5, uptime_s=900.0, cpu_percent=70))
        await pilot.pause(0.3)
        assert not tree._pulsing, "figures are no change"


def pulses(segments: Sequence[object]) -> bool:
    ground = Style(bgcolor=theme.BORDER).bgcolor
    return any(getattr(getattr(one, "style", None), "bgcolor", None) == ground for one in segments)


async def test_children_come_in_by_their_states(show: Show) -> None:
    loading = branch("t1", "3f2a11", BranchState.STARTING, reason="")
    async with show(feed := HandMadeFeed(DEMO), WIDE) as pilot:
        app = app_of(pilot)
        for state, words in (
            (loading, "◌ t1 "),
            (replace(loading, pid=77), "runs, and becomes distinct"),
            (branch("t1", "3f2a11"), "● t1 "),
        ):
            feed.put(replace(DEMO, branches=(*DEMO.branches, state)))
            await until_seen(pilot, words)
            assert str(state.state) in row(app, "t1")


async def test_columns_go_before_a_name_or_a_state_does(show: Show) -> None:
    tree = otherwise(DEMO, "b2", last=last(127, "x" * 300), name="b2-with-a-name-of-31-characters")
    for width in (60, 80, 120):
        async with show(HandMadeFeed(tree), (width, 24)) as pilot:
            shown = next(line for line in text_of(app_of(pilot)).split("\n") if "● b2-with" in line)
            assert "b2-with-a-name-of-31-characters" in shown
            assert "running" in shown
