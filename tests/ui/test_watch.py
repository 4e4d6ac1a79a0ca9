"""The watch grid: what branches print, live and side by side, with its colours and without its control."""

import asyncio
import copy
import gc
import random
import re
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from rich.style import Style
from textual.app import App
from textual.events import Key
from textual.pilot import Pilot

from core.daemon.streams import Exit, Output, Started, StreamMessage
from core.errors import DaemonUnavailable
from core.model import Command, ExecRequest
from tests.conftest import full
from tests.hostile import TEXTS
from tests.ui.conftest import Show
from tests.ui.floods import NINE, Flood
from tests.ui.looks import app_of, text_of, until, until_looks, until_seen
from tests.ui.trees import DEMO, NOON, HandMadeFeed, Told, event
from vertui.feed import Feed, Offsets, Printing
from vertui.guest_text import clean
from vertui.plain import TextInput
from vertui.screens.dialogs import FormDialog
from vertui.screens.grid import arrange
from vertui.screens.watch import WatchScreen
from vertui.widgets.pane import OutputPane
from vertui.widgets.scrollback import KEPT_BYTES, STDERR, STDOUT, Scrollback
from vertui.widgets.sgr import styled
from vertui.widgets.watched import WatchedCommand

RED_LINE = "\x1b[1;31mFAILED\x1b[0m test_totals \x1b]0;evil\x07\x1b[2J\x1b[38;5;208mslow\x1b[m"


class Streams(HandMadeFeed):
    """Each branch prints what it is given, and is asked from where."""

    def __init__(self, **told: list[StreamMessage]) -> None:
        super().__init__(DEMO)
        self.told, self.asked = told, list[tuple[str, int, Offsets]]()
        self.opened: dict[str, Told] = {}

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """What this branch prints."""
        self.asked.append((branch, command, offsets))
        self.opened[branch] = Told(self.told.get(branch, []), takes=branch != "b2")
        return self.opened[branch]


def printed(text: str, stream: int = STDOUT, offset: int = 0) -> Output:
    return Output(stream, offset, text.encode())


def grid_of(pilot: Pilot[None]) -> WatchScreen:
    return cast(WatchScreen, app_of(pilot).screen)


def panes(app: App[None]) -> list[OutputPane]:
    return list(app.screen.query(OutputPane))


# -- colours ---------------------------------------------------------------------------------------------------


def test_letters_have_their_colours_and_nothing_else_of_ansi_is_left() -> None:
    text = styled(RED_LINE)
    assert text.plain == "FAILED test_totals slow"
    looks = {text.plain[span.start : span.end]: span.style for span in text.spans}
    assert looks["FAILED"] == Style.parse("bold color(1)") and looks["slow"] == Style.parse("color(208)")
    assert styled("\x1b[38;2;1;2;3mx").spans[0].style == Style.parse("#010203")
    assert styled("10%\r\x1b[32m20%\x1b[0m\r").plain == "20%"


def test_colours_change_no_letter() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    parts = [
        "\x1b[31m",
        "\x1b[0;1m",
        "\x1b[38;5;",
        "\x1b[38;2;9",
        "\x1b]0;t\x07",
        "\x1b[",
        "\x1b",
        "\r",
        "\t",
        "ab",
        "\u0301",
        *TEXTS,
    ]
    for _ in range(3000):
        line = "".join(rng.choice(parts) for _ in range(rng.randrange(10))).replace("\n", "")
        assert styled(line).plain == clean(line), repr(line)


@pytest.mark.parametrize(
    "hostile", ["\x1b[" + "9" * 7990 + "m", "\x1b[31m" * 1300, "\x1b[1;" + "38;" * 2000 + "mx"]
)
def test_a_line_of_colours_costs_little(hostile: str) -> None:
    started = time.process_time()
    for _ in range(20):
        styled(hostile)
    assert time.process_time() - started < 0.5


# -- what is kept ----------------------------------------------------------------------------------------------


def test_lines_keep_their_numbers_while_older_ones_go() -> None:
    kept = Scrollback(most=20_000)
    for number in range(1000):
        kept.add(STDOUT, b"line %d\nhalf" % number)
        kept.add(STDERR, b"err\n")
    assert kept.size_bytes <= 20_000 and kept.end == 2000 and kept.start > 1500
    [line] = kept.lines(1998, 1999)
    assert (line.data, line.stream, line.number) == (b"halfline 999", STDOUT, 1998)
    assert [rest.data for rest in kept.rests()] == [b"half"]
    found = kept.find(b"LINE 99", kept.end)
    assert found == 1998 and kept.find(b"line 99", found) == 1996 and kept.find_after(b"err", 1996) == 1997
    assert kept.find(b"line 1\n", kept.end) is None


@pytest.mark.parametrize(
    ("panes", "width", "height", "grid"),
    [
        (1, 80, 22, (1, 1)), (2, 120, 33, (2, 1)), (4, 120, 33, (2, 2)), (9, 200, 47, (3, 3)),
        (36, 250, 67, (6, 6)), (36, 80, 21, (3, 4)), (5, 40, 9, (1, 1)),
    ],
)  # fmt: skip
def test_the_grid_fits_the_room(panes: int, width: int, height: int, grid: tuple[int, int]) -> None:
    assert arrange(panes, width, height) == grid


# -- the screen ------------------------------------------------------------------------------------------------

FOUR = Streams(
    main=[printed("\x1b[32mready\x1b[0m on 8080\nGET /\n")],
    b1=[printed(f"collected 41 items\n{RED_LINE}\n"), printed("Traceback\n", STDERR), Exit(1, False)],
    b2=[printed("collected 41 items\n" + "." * 41 + "\n41 passed\n"), Exit(0, False)],
    b3=[printed("step 1 of 9\nstep 2")],
)  # fmt: skip


async def watch_four(pilot: Pilot[None], *branches: str) -> None:
    app_of(pilot).push_screen(WatchScreen(branches or ("main", "b1", "b2", "b3")))
    await until(pilot, lambda: isinstance(app_of(pilot).screen, WatchScreen))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_grid_looks(show: Show, size: tuple[int, int]) -> None:
    async with show(FOUR, size) as pilot:
        await watch_four(pilot)
        await until_looks(pilot, f"watch-{size[0]}x{size[1]}")


async def test_w_watches_what_is_marked(show: Show) -> None:
    async with show(FOUR) as pilot:
        await pilot.press("space", "j", "space", "w")
        await until_seen(pilot, "GET /", "41 passed", "✓", "$ pytest -q")
        assert [pane.watched.branch for pane in panes(pilot.app)] == ["main", "b2"]
        await pilot.press("enter")
        assert grid_of(pilot).zoomed and [pane.display for pane in panes(pilot.app)] == [True, False]
        await pilot.press("escape", "escape")
        await until(pilot, lambda: pilot.app.screen is app_of(pilot).main)


async def test_what_was_watched_is_there_again_and_goes_on(show: Show) -> None:
    feed = Streams(b1=[Started(2), printed("one\ntw")])
    async with show(feed) as pilot:
        await watch_four(pilot, "b1")
        await until_seen(pilot, "one", "tw")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is app_of(pilot).main)
        feed.told["b1"] = [Started(2), printed("o\nthree\n", offset=6)]
        await watch_four(pilot, "b1")
        await until_seen(pilot, "one", "two", "three")
        assert [at for branch, _, at in feed.asked if branch == "b1"] == [(0, 0), (6, 0)]
        assert text_of(pilot.app).count("one") == 1


async def test_a_pane_goes_on_by_itself_when_the_daemon_is_back(show: Show) -> None:
    feed = Streams()
    lives = threading.Event()

    def once() -> Iterator[StreamMessage]:
        yield printed("before\n")
        feed.told["b1"] = back()  # type: ignore[assignment]
        raise DaemonUnavailable("the daemon went away")

    def back() -> Iterator[StreamMessage]:
        lives.wait()
        yield printed("after\n", offset=7)
        yield Exit(3, False)

    feed.told["b1"] = once()  # type: ignore[assignment]
    async with show(feed) as pilot:
        await watch_four(pilot, "b1")
        await until_seen(pilot, "before")
        await until(pilot, lambda: ("b1", 2, (7, 0)) in feed.asked)
        lives.set()
        await until_seen(pilot, "before", "after", "exit 3", "✗ 3")


async def test_a_newer_command_takes_the_pane(show: Show) -> None:
    feed = Streams(b1=[printed("old\n"), Exit(0, False)])
    feed.ran = [Command(1, ("make",), 300, NOON, exit_code=0)]
    async with show(feed) as pilot:
        await watch_four(pilot, "b1")
        await until_seen(pilot, "old", "exit 0")
        feed.told["b1"] = [printed("new\n")]
        feed.ran = [*feed.ran, Command(2, ("make", "test"), 310, NOON)]
        feed.put(DEMO, event("branch", "b1", "command 2 started"))
        await until_seen(pilot, "old", "new", "$ make test", "●")


async def test_a_service_that_runs_on_hides_no_later_command(show: Show) -> None:
    feed = Streams(b1=[printed("serving\nand ser")])
    feed.ran = [Command(4, ("serve",), 300, NOON)]
    async with show(feed) as pilot:
        await watch_four(pilot, "b1")
        await until_seen(pilot, "serving", "and ser", "$ serve")
        await pilot.press("g")
        feed.told["b1"] = [printed("tested\n"), Exit(0, False)]
        feed.ran = [*feed.ran, Command(5, ("make", "test"), 310, NOON, exit_code=0)]
        feed.put(DEMO, event("branch", "b1", "command 5 ended"))
        await until_seen(pilot, "$ make test", "✓", "held at")
        await pilot.press("G")
        await until_seen(pilot, "serving", "and ser", "tested", "exit 0")


def test_what_was_started_here_stays_until_one_goes_on_without_it() -> None:
    feed, watched, ended = Streams(b1=[printed("of another\n")]), WatchedCommand("b1"), threading.Event()
    watched.run(cast(Feed, feed), ExecRequest("b1", ("make",)), ended.set)
    while watched.exit_code is None:
        assert ended.wait(5.0)
        ended.clear()
        watched.take()
    own = Command(9, ("make",), 300, NOON, exit_code=0, lasted_ms=10_000.0)
    beside = replace(own, id=10, argv=("touch",), started=NOON + 1, lasted_ms=1.0)
    for others, shown in (
        ([beside], "make"),
        ([replace(beside, exit_code=None)], "touch"),
        ([beside, replace(beside, id=11, argv=("ls",), started=NOON + 11)], "ls"),
    ):
        again = copy.copy(watched)
        again.look(cast(Feed, feed), [own, *others], ended.set)
        assert again.command == shown
        again.leave()


async def test_looking_back_holds_and_the_end_follows(show: Show) -> None:
    feed = Streams(b1=[printed("".join(f"line {number}.\n" for number in range(300)))])
    async with show(feed) as pilot:
        await watch_four(pilot, "b1", "b2")
        await until_seen(pilot, "line 299.")
        await pilot.press("g")
        await until_seen(pilot, "line 0.", "held at")
        await pilot.press("slash", *"LINE 42", "enter")
        await until_seen(pilot, "line 42.")
        await pilot.press("n")
        await until_seen(pilot, "no more lines with LINE 42")
        await pilot.press("G")
        await until_seen(pilot, "line 299.")
        await pilot.press("p")
        assert all(pane.watched.held for pane in panes(pilot.app) if pane.watched.kept.end)
        await pilot.press("p", "C")
        assert all(pane.watched.held is None for pane in panes(pilot.app))
        await until(pilot, lambda: len(re.findall(r"\d\d:\d\d:\d\d line", text_of(pilot.app))) > 5)


async def test_a_line_is_typed_into_all_that_take_it(show: Show) -> None:
    feed = Streams()
    async with show(feed) as pilot:
        await watch_four(pilot, "b1", "b2", "b3")
        await until(pilot, lambda: {"b1", "b2", "b3"} <= {*feed.opened})
        await pilot.press("a", *"yes", "enter")
        await until_seen(pilot, "2 of 3 took it; b2 takes no input")
        assert feed.opened["b1"].typed == feed.opened["b3"].typed == [b"yes\n"]
        await pilot.press("ctrl+c")
        await until(pilot, lambda: feed.opened["b1"].signals == [2])


class Slow(Told):
    """Takes what is typed when it is let."""

    def __init__(self) -> None:
        super().__init__([])
        self.lets = threading.Event()

    def write(self, data: bytes) -> bool:
        """Once it is let."""
        self.typed.append(data)
        return self.lets.wait()


class SlowStreams(Streams):
    """Every branch is slow."""

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """The same for all."""
        self.opened[branch] = Slow()
        return self.opened[branch]


async def test_an_answer_that_comes_when_the_grid_was_left_is_nobodys(show: Show) -> None:
    feed = SlowStreams()
    async with show(feed) as pilot:
        await watch_four(pilot, "b1")
        await until(pilot, lambda: "b1" in feed.opened)
        await pilot.press("a", "y", "enter")
        slow = cast(Slow, feed.opened["b1"])
        await until(pilot, lambda: slow.typed == [b"y\n"])
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is app_of(pilot).main)
        slow.lets.set()
        await until(pilot, lambda: not any(one.name == "ask" for one in threading.enumerate()))
        await pilot.press("space")
        await until_seen(pilot, "1 marked")


async def test_a_pane_is_saved_without_control(show: Show, tmp_path: Path) -> None:
    async with show(FOUR, toasts=True) as pilot:
        await watch_four(pilot, "b1")
        await until_seen(pilot, "Traceback")
        await pilot.press("ctrl+s")
        field = pilot.app.screen.query_one("#file", TextInput)
        field.value = str(tmp_path / "b1.log")
        await pilot.press("enter")
        await until_seen(pilot, "saved: ", "4 lines")
        told = "collected 41 items\nFAILED test_totals slow\nTraceback\nexit 1\n"
        assert (tmp_path / "b1.log").read_text() == told
        await pilot.press("ctrl+s")
        pilot.app.screen.query_one("#file", TextInput).value = str(tmp_path / "b1.log")
        await pilot.press("enter")
        await until_seen(pilot, "is there already")


async def test_exec_shows_its_output_in_the_grid(show: Show) -> None:
    async with show(FOUR) as pilot:
        await pilot.press("e", *"make", "enter")
        await until_seen(pilot, "$ make", "ran it", "exit 0")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is app_of(pilot).main)


class Asked(Streams):
    """Keeps what it is asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = list[ExecRequest]()

    def run(self, request: ExecRequest) -> Printing:
        """As ever."""
        self.requests.append(request)
        return super().run(request)


@pytest.mark.parametrize("from_grid", [False, True])
async def test_all_that_the_form_asks_for_reaches_every_branch(show: Show, *, from_grid: bool) -> None:
    feed = Asked()
    async with show(feed) as pilot:
        await pilot.press("space", "j", "space", *("w" if from_grid else ""), "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormDialog))
        await pilot.press(*"make", "tab", "y", "tab", "9", "tab", *"printed", "enter")
        await until(pilot, lambda: len(feed.requests) == 2)
    first, second = sorted(feed.requests, key=lambda request: request.branch, reverse=True)
    assert first.key != second.key, "one request, sent twice, would run once"
    wanted = ExecRequest("main", ("make",), stdin=True, timeout_s=9.0, score="printed", outlives=True)
    assert first == replace(wanted, key=first.key)
    assert second == replace(wanted, branch="b2", key=second.key)


# -- at full speed ---------------------------------------------------------------------------------------------

LINES = 200_000 if full() else 20_000
KEY_S = 0.03  # between keys, as one that is held repeats


async def test_nine_floods_take_bounded_memory_while_keys_are_answered(show: Show) -> None:
    async with show(Flood(NINE, LINES), (200, 50)) as pilot:
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await watch_four(pilot, *(f"x{number}" for number in range(9)))
        await until(pilot, lambda: all(pane.watched.kept.end for pane in panes(pilot.app)))
        waits, works = list[float](), list[float]()
        while not all(pane.watched.exit_code == 0 for pane in panes(pilot.app)) or len(waits) < 40:
            at, started, worked = grid_of(pilot)._at, time.perf_counter(), time.thread_time()
            pilot.app.post_message(Key("tab", None))
            while grid_of(pilot)._at == at:
                await asyncio.sleep(0.001)
            waits.append(time.perf_counter() - started)
            works.append(time.thread_time() - worked)
            await asyncio.sleep(KEY_S)
        await until(pilot, lambda: text_of(pilot.app).count(f" {LINES - 1} of what") == 9)
        kept = sum(pane.watched.kept.size_bytes for pane in panes(pilot.app))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        wait, work = (sorted(found)[len(found) * 95 // 100] * 1000 for found in (waits, works))
        print(f"{len(waits)} keys, p95 {wait:.0f} ms, of it {work:.0f} ms at work, grown {grown >> 20} MiB")
        assert kept <= 9 * (KEPT_BYTES + (1 << 17)) and grown < 150 << 20
