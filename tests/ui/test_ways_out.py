"""Every screen has a way on: keys that reach the end of what it shows and leave it, with a daemon or without."""

import threading
from collections.abc import Callable, Iterable, Iterator

import pytest
from rich.text import Text

from core.daemon.streams import Dropped, Exit, Output, Started, StreamMessage
from core.errors import Conflict, DaemonStopped, DaemonUnavailable, VertuiError
from core.model import Plan, Process
from tests.conftest import full
from tests.guests import eventually
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, EMPTY, HandMadeFeed, Told
from vertui.feed import Offsets, Printing
from vertui.screens.actions import ActionsScreen
from vertui.screens.dialogs import Field, FormDialog
from vertui.screens.diff import DiffScreen
from vertui.screens.images import ImagesScreen
from vertui.screens.journal import JournalScreen
from vertui.screens.log import LogScreen
from vertui.screens.plan import plan_dialog
from vertui.screens.reading import ReadDialog
from vertui.screens.trash import TrashScreen
from vertui.screens.watch import WatchScreen
from vertui.selection import Selection
from vertui.widgets.follower import LineTail
from vertui.widgets.lines import LineView

MANY = tuple(f"line {number}." for number in range(500))
LAST = "line 499."
PLAN = Plan("p", "prune", (), (), 5, True, MANY)
SCREENS: dict[str, Callable[[], object]] = {
    "plan": lambda: plan_dialog(PLAN, "Prune", "another way"),
    "form": lambda: FormDialog("form", (Field("a", "a"),), "Do"),
    "keys": lambda: ReadDialog("keys", [Text(line) for line in MANY]),
    "actions": lambda: ActionsScreen("help", Selection(DEMO, DEMO.branches[0])),
    "log": LogScreen,
    "journal": lambda: JournalScreen("b1"),
    "trash": TrashScreen,
    "images": ImagesScreen,
    "diff": lambda: DiffScreen("a", "b"),
    "output": lambda: WatchScreen(("b1",)),
}
SMALL = (80, 24)
OPENED = tuple((key, "escape") for key in ("question_mark", "y", "colon", "i", "l", "T"))
"""Keys that open another screen over the main one, and close it."""


@pytest.mark.parametrize("name", SCREENS)
async def test_every_screen_is_left_by_escape_and_answers_a_question_mark(show: Show, name: str) -> None:
    async with show(HandMadeFeed(DEMO), SMALL) as pilot:
        app = app_of(pilot)
        for leave in ("escape", "q") if name not in ("form", "actions") else ("escape",):
            screen = SCREENS[name]()
            app.push_screen(screen)  # type: ignore[call-overload]
            await until(pilot, lambda screen=screen: app.screen is screen)  # type: ignore[misc]
            before = text_of(app)
            await pilot.press("question_mark")
            await until(pilot, lambda before=before: text_of(app) != before)  # type: ignore[misc]
            if app.screen is not screen:
                await pilot.press("escape")
            await until(pilot, lambda screen=screen: app.screen in (screen, app.main))  # type: ignore[misc]
            if app.screen is screen:
                await pilot.press(leave)
            await until(pilot, lambda: app.screen is app.main)


@pytest.mark.parametrize("size", [SMALL, (120, 36)])
@pytest.mark.parametrize("name", ["plan", "keys"])
async def test_the_end_of_a_long_text_is_reached_by_key(show: Show, name: str, size: tuple[int, int]) -> None:
    async with show(HandMadeFeed(DEMO), size) as pilot:
        app_of(pilot).push_screen(SCREENS[name]())  # type: ignore[call-overload]
        await until_seen(pilot, "line 0.")
        if name == "plan":
            await until_seen(pilot, "Cancel", "frees 5B", "~ another way")
        for keys in (("end",), ("G",), *((("pagedown",) * 80,) if full() else ())):
            await pilot.press("home")
            await until_seen(pilot, "line 0.")
            await pilot.press(*keys)
            await until_seen(pilot, LAST)
        await pilot.press("up", "k", "pageup")
        await until(pilot, lambda: LAST not in text_of(app_of(pilot)))


@pytest.mark.parametrize("size", [SMALL, (120, 36), (200, 50)])
async def test_the_end_of_a_long_detail_is_reached_by_key(show: Show, size: tuple[int, int]) -> None:
    feed = HandMadeFeed(DEMO, "\n".join(MANY).encode())
    feed.listed = [Process(1, 0, "root", 500 - number, f"process {number}.") for number in range(500)]
    async with show(feed, size) as pilot:
        shown = app_of(pilot).main.query_one("#detail", LineView)
        await until(pilot, lambda: "and 460 more" in shown.text)
        await pilot.press("ctrl+l")
        await until_seen(pilot, "and 460 more")
        await pilot.press("ctrl+g")
        await until_seen(pilot, "● main  running")
        await pilot.press(*("J",) * 12)
        await until_seen(pilot, "and 460 more")
        await pilot.press("V", "V")  # the console alone
        await until_seen(pilot, LAST)
        await pilot.press("ctrl+g")
        await until_seen(pilot, "line 0.")


async def test_the_first_screen_keeps_its_keys(show: Show) -> None:
    async with show(HandMadeFeed(EMPTY), SMALL) as pilot:
        for keys in (
            ("escape",),
            ("slash", "enter"),
            ("slash", "x", "escape"),
            ("tab",),
            ("p", "p"),
            *OPENED,
        ):
            await pilot.press(*keys)
            await pilot.press("enter")
            await until_seen(pilot, "the daemon is stopped: D starts it")
            app_of(pilot).main.say("")
            app_of(pilot).clear_notifications()
            await until(pilot, lambda: "D starts it" not in text_of(app_of(pilot)))


async def test_a_daemon_that_was_stopped_stays_so_until_it_is_asked_for(show: Show) -> None:
    feed = StoppedFeed(DEMO)
    async with show(feed, SMALL) as pilot:
        app = app_of(pilot)
        starts = feed.starts
        feed.stop()
        await until_seen(pilot, "the daemon is stopped: D starts it", "D start daemon", "as it was before")
        await until(pilot, lambda: feed.rejoins > 1)
        assert feed.starts == starts
        await pilot.press("l")
        await until_seen(pilot, "operation log", "D starts it")
        await pilot.press("escape", "D")
        await until(pilot, lambda: "D starts it" not in text_of(app) and "as it was" not in text_of(app))
        assert feed.starts == starts + 1


class StoppedFeed(HandMadeFeed):
    """A feed whose daemon somebody stops; `start` brings it back."""

    starts = rejoins = 0
    stopped = False

    def stop(self) -> None:
        """The daemon goes away on purpose."""
        self.stopped = True
        self.break_with(DaemonUnavailable("the daemon went away"))

    def start(self) -> None:
        """Start it."""
        self.starts, self.stopped = self.starts + 1, False

    def rejoin(self) -> None:
        """It is not to be started."""
        self.rejoins += 1
        if self.stopped:
            raise DaemonStopped("the daemon is stopped")


class Broken:
    """A stream that ends as a daemon's death ends it, after some messages."""

    def __init__(self, *messages: StreamMessage, error: Exception | None = None) -> None:
        self._messages, self._error = messages, error or DaemonUnavailable("the daemon went away")

    def __iter__(self) -> Iterator[StreamMessage]:
        yield from self._messages
        raise self._error


def follow(
    *streams: Iterable[StreamMessage] | VertuiError, replays: bool = False
) -> tuple[LineTail, list[str], list[Offsets]]:
    """Follow these connections, one after the other, to the end: what was taken, and from where each went on."""
    waiting, asked, lines = list(streams), list[Offsets](), list[str]()
    told = threading.Event()

    def open_stream(offsets: Offsets) -> Printing:
        asked.append(offsets)
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return Told(found)

    follower = LineTail(open_stream, told.set, replays=replays)
    follower.start()

    def done() -> bool:
        lines.extend(line.plain for line in follower.take())
        return follower.ended

    assert eventually(done)
    lines.extend(line.plain for line in follower.take())
    return follower, lines, asked


def test_a_follower_goes_on_where_it_was() -> None:
    follower, lines, asked = follow(
        Broken(Started(7), Output(1, 0, b"one\ntw")),
        DaemonUnavailable("not yet"),
        Broken(Started(7), Output(1, 0, b"one\ntwo\nth"), Output(2, 0, b"err\n")),
        [Dropped(2, 5), Output(1, 10, b"ree\n"), Exit(3, False)],
    )
    assert lines == ["one", "two", "err", "three"]
    assert asked == [(0, 0), (6, 0), (6, 0), (10, 4)]
    assert (follower.command, follower.exit_code, follower.lost_bytes) == (7, 3, 5)


def test_a_console_tells_its_past_once() -> None:
    _, lines, _ = follow(
        Broken(Output(1, 0, b"boot\nlogin")),
        Broken(Output(1, 0, b"boot\nlogin: root\n")),  # the same daemon
        Broken(Output(1, 0, b"new\n"), error=Conflict("main is suspended")),  # another, which has no past
        replays=True,
    )
    assert lines == ["boot", "login: root", "new"]


def test_a_bug_in_a_stream_is_told() -> None:
    follower, _, _ = follow(Broken(error=KeyError("x")))
    assert str(follower.error) == "a bug: KeyError('x')"
