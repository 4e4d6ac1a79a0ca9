"""Shells inside the app, by keys: programs in their pane, tabs, reading, copying, and ends of every kind."""

import asyncio
import random
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from rich.style import Style
from textual import events
from textual.pilot import Pilot

from core.daemon.streams import Exit, Output, Started
from core.errors import Conflict, DaemonUnavailable
from core.patience import patient
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_looks, until_seen
from tests.ui.shells import Line, programs
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.emulator.emulator import Emulator
from vertui.screens.terminals import NAME, WHOLE_S, TerminalsScreen
from vertui.widgets.cells import strip_of
from vertui.widgets.shell import Open, Shell

SIZE = (80, 24)
PANE = (22, 80)
KEY_S = patient(0.05)
MOST_MORE = 60 << 20  # bytes that a flood may add to what is in memory; its history is bounded


@pytest.fixture
def running() -> Iterator[Callable[..., Open]]:
    """Opens shells that are a program of this machine: `running("sh")`."""
    with programs() as found:
        yield found


@asynccontextmanager
async def opened(show: Show, open_stream: Open, size: tuple[int, int] = SIZE) -> AsyncIterator[Pilot[None]]:
    """The app with a shell in main, opened by its key."""
    async with show(HandMadeFeed(DEMO), size) as pilot:
        app_of(pilot).install_screen(TerminalsScreen(open_stream), NAME)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app_of(pilot).screen, TerminalsScreen))
        await pilot.pause()
        yield pilot


def screen_of(pilot: Pilot[None]) -> TerminalsScreen:
    return app_of(pilot).get_screen(NAME, TerminalsScreen)


def shell_of(pilot: Pilot[None]) -> Shell:
    shell = screen_of(pilot).current
    assert shell is not None
    return shell


async def test_a_shell_is_used_left_and_found_again(show: Show, running: Callable[..., Open]) -> None:
    async with opened(show, running("sh")) as pilot:
        await until_seen(
            pilot, "$", "● main", "ctrl+] back, it lives on  shift+pgup read, search  ctrl+pgup/dn tabs"
        )
        await pilot.press(*"stty size", "enter")
        await until_seen(pilot, f"{PANE[0]} {PANE[1]}")
        await pilot.press(*"x=4", "enter", "q", "ctrl+c")
        await pilot.press("ctrl+right_square_bracket")
        await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).main)
        await until_seen(pilot, "the shell in main lives on: s shows it again")
        await pilot.press("s", *"echo $((x * 11))", "enter")
        await until_seen(pilot, "44")
        await pilot.press(*"exit 3", "enter")
        await until_seen(pilot, "the shell in main ended: exit 3", "✗ 3 main", "⏎ close this tab")
        await pilot.press("enter")
        await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).main)


@pytest.mark.parametrize("size", [SIZE, (120, 36)])
async def test_a_shell_in_its_pane(show: Show, size: tuple[int, int]) -> None:
    line = Line()
    async with opened(show, line, size) as pilot:
        line.say(Started(1))
        await pilot.press("ctrl+right_square_bracket", "j", "j", "s")
        await until(pilot, lambda: len(line.connections) == 2)
        listing = (
            "\x1b]0;root@b2: ~\x07# \x1b[1mls\x1b[m\r\n\x1b[1;34mbin\x1b[m  漢字  nöte\r\n# exit 127\r\n"
        )
        line.say(Started(1), Output(1, 0, listing.encode()), Exit(127, False))
        await until_seen(pilot, "ended: exit 127")
        await until_looks(pilot, f"terminal-{size[0]}x{size[1]}")


async def test_tabs(show: Show, running: Callable[..., Open]) -> None:
    async with opened(show, running("sh")) as pilot:
        await until_seen(pilot, "$")
        await pilot.press(*"echo fir''st", "enter")
        await until_seen(pilot, "first")
        await pilot.press("ctrl+right_square_bracket", "j", "j", "s")
        await until_seen(pilot, "● b2", "● main")
        await until(pilot, lambda: "first" not in text_of(app_of(pilot)))
        await pilot.press("ctrl+pageup")
        await until_seen(pilot, "first")
        await pilot.press("shift+pageup", "s")
        await until(
            pilot, lambda: [shell.branch for shell in screen_of(pilot).shells] == ["main", "b2", "main"]
        )
        await pilot.press(*"sleep 0.5; echo unseen", "enter", "ctrl+pagedown")
        await until_seen(pilot, "◆ main")
        await pilot.click("#tabs", offset=(12, 0))
        await until(pilot, lambda: shell_of(pilot).branch == "b2")


async def test_reading_searching_and_going_on(show: Show, running: Callable[..., Open]) -> None:
    async with opened(show, running("sh")) as pilot:
        await pilot.press(*"seq -f 'line %g.' 500", "enter")
        await until_seen(pilot, "line 500.")
        await pilot.press("shift+pageup")
        await until_seen(pilot, "line 470.", "esc go on  ctrl+] back", "reading 21 rows up")
        assert "line 500." not in text_of(app_of(pilot))
        await pilot.press("slash", *"line 12.", "enter")
        await until_seen(pilot, "line 12.")
        await pilot.press("slash", *"LINE", "enter")
        await until_seen(pilot, "LINE is not there")
        await pilot.press("slash", *"line 4", "enter", "n", "n")
        await until(pilot, lambda: "line 4." in text_of(app_of(pilot)))
        await pilot.press("G", "g")
        await until_seen(pilot, "line 1.")
        await pilot.press("escape")
        await until_seen(pilot, "line 500.", "ctrl+] back")


async def test_the_mouse_selects_and_copies(show: Show) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        line.say(Started(1), Output(1, 0, "one two three\r\n漢字 four\r\n".encode()))
        await until_seen(pilot, "four")
        await drag(pilot, (4, 0), (3, 1))
        await until(pilot, lambda: app_of(pilot).clipboard == "two three\n漢字")
        await until_seen(pilot, "copied 12 characters")
        await pilot.click("#terminal", offset=(9, 0), times=2)
        await until(pilot, lambda: app_of(pilot).clipboard == "three")
        await pilot.click("#terminal", offset=(9, 0), times=3)
        await until(pilot, lambda: app_of(pilot).clipboard == "one two three")


async def drag(pilot: Pilot[None], start: tuple[int, int], end: tuple[int, int]) -> None:
    await pilot.mouse_down("#terminal", offset=start)
    await pilot.hover("#terminal", offset=end)
    await pilot.mouse_up("#terminal", offset=end)


async def test_mouse_and_paste_go_to_a_program_that_asks_for_them(show: Show) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        line.say(Started(1), Output(1, 0, b"\x1b[?1002h\x1b[?1006h\x1b[?2004h\x1b[6nready"))
        await until_seen(pilot, "ready")
        await drag(pilot, (4, 0), (3, 1))
        await until(pilot, lambda: line.typed.startswith(b"\x1b[1;1R\x1b[<0;5;1M\x1b[<32;4;2M\x1b[<0;4;2m"))
        assert app_of(pilot).clipboard == ""
        app_of(pilot).post_message(events.Paste("a\nb"))
        await until(pilot, lambda: line.typed.endswith(b"\x1b[200~a\rb\x1b[201~"))


async def test_what_is_to_be_seen_whole_is_not_seen_before_but_for_a_program_that_stops_midway(
    show: Show,
) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        line.say(Started(1), Output(1, 0, b"old\x1b[?2026h\x1b[2J\x1b[Hhalf"))
        while shell_of(pilot).emulator.screen.rows[0].text != "half":
            await asyncio.sleep(0.001)
        begun = time.monotonic()
        assert "half" not in text_of(app_of(pilot))
        await until_seen(pilot, "half")
        assert time.monotonic() - begun > WHOLE_S / 2


async def test_a_program_gets_every_key_but_those_that_lead_back(show: Show) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        line.say(Started(1), Output(1, 0, b"\x1b[?1hready"))
        await until_seen(pilot, "ready")
        await pilot.press(
            "ctrl+c", "ctrl+q", "ctrl+p", "tab", "shift+tab", "escape", "up", "f1", "question_mark", "D"
        )
        await until(pilot, lambda: line.typed == b"\x03\x11\x10\t\x1b[Z\x1b\x1bOA\x1bOP?D")
        assert app_of(pilot).screen is screen_of(pilot)


async def test_it_goes_on_from_its_offset_when_the_daemon_is_back(show: Show) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        line.say(Started(7), Output(1, 0, b"one\r\n"))
        await until_seen(pilot, "one")
        line.refusals = [DaemonUnavailable("away"), DaemonUnavailable("away")]
        line.say(DaemonUnavailable("the daemon went away"))
        await until_seen(pilot, "◌ main", "not connected: it goes on when the daemon is back")
        await pilot.press(*"kept")
        await until(pilot, lambda: len(line.connections) == 2)
        line.say(Started(7), Output(1, 0, b"one\r\ntwo\r\n"))
        await until_seen(pilot, "two", "● main")
        await until(pilot, lambda: line.typed == b"kept")
        assert text_of(app_of(pilot)).count("one") == 1
        assert line.offsets == [(None, 0, False), (7, 5, True)]
        await pilot.press("ctrl+right_square_bracket")
        await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).main)
        line.say(Exit(0, False))
        await until_seen(pilot, "the shell in main ended: exit 0")


async def test_a_machine_that_dies_leaves_a_pane_that_says_so(show: Show) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        line.say(Started(7), Output(1, 0, b"\x1b[?1049hin the middle of it"))
        await until_seen(pilot, "in the middle of it")
        line.say(Conflict("main is failed: QEMU ended\x1b[31m"))
        told = "the shell in main is gone: main is failed: QEMU ended\\x1b[31m"
        await until_seen(pilot, told, "in the middle", "✗ main")
        await pilot.press("x", "enter")
        await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).main)
        assert not screen_of(pilot).shells


async def test_a_new_size_is_told_and_the_last_one_counts(show: Show) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        for columns in range(40, 121, 20):
            await pilot.resize_terminal(columns, columns // 3)
        await until(pilot, lambda: bool(line.connections) and line.connections[0].sizes[-1:] == [(38, 120)])
        emulator = shell_of(pilot).emulator
        assert (emulator.rows, emulator.columns) == (38, 120)


async def test_what_is_printed_reaches_no_terminal_as_control(show: Show) -> None:
    line = Line()
    async with opened(show, line) as pilot:
        hostile = "\x1b]0;[red]ti\x1b[5mtle\u202e\x07[bold]mark\u202eup[/] \x9b31m\x1b]52;c;ZXZpbA==\x07\u2066\x00end"
        line.say(Started(1), Output(1, 0, hostile.encode()))
        await until_seen(pilot, "[bold]markup[/] 31mend")
        shown = text_of(app_of(pilot)).replace("\n", "")
        assert all(char.isprintable() for char in shown) and app_of(pilot).clipboard == ""


def test_a_pen_is_drawn_as_it_was_said() -> None:
    emulator = Emulator(1, 12)
    emulator.feed("\x1b[1;38;2;1;2;3;48;5;196mA\x1b[7mB\x1b[0;8mC\x1b[m漢e\u0301x".encode())
    row = emulator.screen.rows[0]
    strip = strip_of(row.chars, row.pens)
    assert strip.text == "ABC漢e\u0301x     " and strip.cell_length == 12
    said, swapped, hidden, wide, *_ = strip
    assert said.style == Style(color="#010203", bgcolor="#ff0000", bold=True)
    assert swapped.style == Style(color="#ff0000", bgcolor="#010203", bold=True)
    assert hidden.style is not None and hidden.style.color == hidden.style.bgcolor
    assert wide.text == "漢"


async def test_a_screen_of_many_colours_is_drawn_to_its_end(show: Show) -> None:
    line = Line()
    async with opened(show, line, (200, 50)) as pilot:
        rows = [f"{row:03}" + "".join(f"\x1b[3{at % 8}m." for at in range(190)) for row in range(48)]
        line.say(Started(1), Output(1, 0, "\r\n".join(rows).encode()))
        await until_seen(pilot, *(f"{row:03}..." for row in range(48)))


FLOODS = {
    "random": random.Random(7).randbytes(1 << 20),
    "lines": b"y\r\n" * 100_000,
    "colours": b"".join(
        b"\x1b[38;2;%d;9;9m%d\x1b[48;5;%dm#" % (at & 255, at, at & 255) for at in range(1 << 15)
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_blocks_no_key(
    show: Show, running: Callable[..., Open], tmp_path: Path, flood: str
) -> None:
    """Bytes as fast as they are taken; a key of the app's is answered all the same, and memory stays what it is.

    Measured in processor time, of all the process does until then: others that run beside it are not its fault.
    """
    (tmp_path / "flood").write_bytes(FLOODS[flood])
    program = running("sh", "-c", f"stty raw; while cat {tmp_path}/flood; do :; done")
    async with opened(show, program, (200, 50)) as pilot:
        screen, app = screen_of(pilot), app_of(pilot)
        await until(pilot, lambda: shell_of(pilot).offset > 300_000)
        times, before = list[float](), resident()
        for _ in range(20):
            for key, shown in (("shift+pageup", True), ("escape", False)):
                started = time.process_time()
                app.post_message(events.Key(key, None))
                while screen.pane.reading is not shown:
                    await asyncio.sleep(0)
                times.append(time.process_time() - started)
        assert sorted(times)[len(times) * 19 // 20] < KEY_S
        assert resident() - before < MOST_MORE


def resident() -> int:
    """Bytes of memory in use."""
    return int(psutil.Process().memory_info().rss)


PROGRAMS = [
    (("vim", "-u", "NONE", "-N"), [*"ihello", "escape", *"yyp"], ("hello\nhello", "~"), [*":q!", "enter"]),
    (("less", "/etc/services"), ["G", "slash", *"tcp", "enter"], ("tcp",), ["q"]),
    (("top",), [], ("load average", "PID"), ["q"]),
    (("htop",), ["f5"], ("Load average", "PID"), ["q"]),
]


async def test_a_textual_app_by_keys_and_mouse(show: Show, running: Callable[..., Open]) -> None:
    async with opened(show, running(sys.executable, "-m", "tests.ui.living")) as pilot:
        await until_seen(pilot, "★ trunk", "all green")
        await pilot.press("j", "j")
        await until_seen(pilot, "● b2  running")
        await pilot.click("#terminal", offset=(20, 6))
        await until_seen(pilot, "● b1  running")
        await pilot.press("B")
        await until_seen(pilot, "scoreboard", "▲ ● b2")
        await pilot.press("escape")
        await until_seen(pilot, "● b1  running")
        await pilot.press("q")
        await until_seen(pilot, "ended: exit 0")


@pytest.mark.parametrize(
    ("argv", "keys", "seen", "leave"), PROGRAMS, ids=[" ".join(one[0][-1:]) for one in PROGRAMS]
)
async def test_programs_that_fill_the_screen(
    show: Show,
    running: Callable[..., Open],
    argv: tuple[str, ...],
    keys: list[str],
    seen: tuple[str, ...],
    leave: list[str],
) -> None:
    if not shutil.which(argv[0]):
        pytest.skip(f"{argv[0]} is not here")
    async with opened(show, running(*argv)) as pilot:
        await until(pilot, lambda: shell_of(pilot).offset > 0)
        await pilot.press(*keys)
        await until_seen(pilot, *seen)
        await pilot.press(*leave)
        await until_seen(pilot, "ended: exit 0")
