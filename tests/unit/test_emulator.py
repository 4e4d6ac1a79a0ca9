"""The terminal's emulator: what sequences make of the screen, what it answers, and that no output costs too much."""

import pickle
import random
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import full
from vertui.emulator import pen as pens
from vertui.emulator.emulator import Emulator
from vertui.emulator.keys import key, mouse, pasted
from vertui.emulator.modes import Modes, Private
from vertui.emulator.places import Extent, find, found_in, line_at, word_at
from vertui.emulator.rows import MOST_CELLS, MOST_LINES, MOST_MARKS
from vertui.text import printable

ROWS, COLUMNS = 5, 10


def fed(*data: bytes | str, rows: int = ROWS, columns: int = COLUMNS) -> Emulator:
    emulator = Emulator(rows, columns)
    for part in data:
        emulator.feed(part if isinstance(part, bytes) else part.encode())
    return emulator


def shown(emulator: Emulator) -> list[str]:
    """Rows as text, without those blank at the end."""
    rows = [row.text.rstrip() for row in emulator.screen.rows]
    while rows and not rows[-1]:
        rows.pop()
    return rows


FILL = "".join(f"\x1b[{row + 1}H{letter * COLUMNS}" for row, letter in enumerate("abcde"))
SCREENS: dict[str, tuple[str, list[str]]] = {
    "lines": ("one\r\ntwo", ["one", "two"]),
    "wrap": ("0123456789ab", ["0123456789", "ab"]),
    "no wrap before the next character": ("0123456789\r\nx", ["0123456789", "x"]),
    "no wrap": ("\x1b[?7l0123456789ab\x1b[?7h", ["012345678b"]),
    "backspace over the edge": ("0123456789\bX", ["01234567X9"]),
    "tabs": ("a\tb", ["a       b"]),
    "own tabs": ("\x1b[3g\x1b[1;4H\x1bH\r\tx\ty", ["   x     y"]),
    "tab back": ("\x1b[1;10Hz\x1b[Zx", ["        xz"]),
    "cursor": ("\x1b[3;4Hx\x1b[2Ay\x1b[1Bz\x1b[5Dw", ["    y", " w   z", "   x"]),
    "cursor stops at the edges": ("\x1b[99;99Hx\x1b[99A\x1b[99Dy", ["y", "", "", "", "         x"]),
    "controls inside of sequences": ("\x1b[2\x08;1Hx\x1b[\x0d2Cy", ["", "x y"]),
    "a sequence cut off by another": ("\x1b[31\x1b[2;2Hx", ["", " x"]),
    "a sequence cancelled": ("a\x1b[31\x18b", ["ab"]),
    "leading zeros": ("\x1b[00000000002;000005Hx", ["", "    x"]),
    "line feeds": ("a\nb\vc\x0cd", ["a", " b", "  c", "   d"]),
    "new line mode": ("\x1b[20ha\nb\x1b[20l", ["a", "b"]),
    "index": ("a\x1bDb\x1bEc\x1bM\x1bMd", ["ad", " b", "c"]),
    "scrolls": ("1\r\n2\r\n3\r\n4\r\n5\r\n6", ["2", "3", "4", "5", "6"]),
    "scrolls back": (f"{FILL}\x1b[H\x1bMx", ["x", *(letter * 10 for letter in "abcd")]),
    "margins": (
        f"{FILL}\x1b[2;4r\x1b[4H\nx\x1b[r",
        ["a" * 10, "c" * 10, "d" * 10, "x", "e" * 10],
    ),
    "margins downwards": (f"{FILL}\x1b[2;4r\x1b[2H\x1bMx", ["a" * 10, "x", "b" * 10, "c" * 10, "e" * 10]),
    "below the margins nothing scrolls": (
        f"{FILL}\x1b[1;3r\x1b[5H\nx",
        [*(one * 10 for one in "abcd"), "x" + "e" * 9],
    ),
    "origin": ("\x1b[2;4r\x1b[?6h\x1b[Hx\x1b[99;1Hy\x1b[?6l\x1b[Hz", ["z", "x", "", "y"]),
    "margins that are none": ("\x1b[4;2r\x1b[5Hx\x1b[0;0r", ["", "", "", "", "x"]),
    "erase to the end": (f"{FILL}\x1b[2;4H\x1b[J", ["a" * 10, "bbb"]),
    "erase to the start": (f"{FILL}\x1b[2;4H\x1b[1J", ["", "    bbbbbb", "c" * 10, "d" * 10, "e" * 10]),
    "erase all": (f"{FILL}\x1b[2J", []),
    "erase line": (
        f"{FILL}\x1b[1;4H\x1b[K\x1b[2;4H\x1b[1K\x1b[3;4H\x1b[2K",
        ["aaa", "    bbbbbb", "", "d" * 10, "e" * 10],
    ),
    "erase characters": (
        f"{FILL}\x1b[1;4H\x1b[3X\x1b[2;9H\x1b[99X",
        ["aaa   aaaa", "b" * 8, *(one * 10 for one in "cde")],
    ),
    "insert lines": (f"{FILL}\x1b[2H\x1b[2Lx", ["a" * 10, "x", "", "b" * 10, "c" * 10]),
    "delete lines": (f"{FILL}\x1b[2H\x1b[2Mx", ["a" * 10, "x" + "d" * 9, "e" * 10]),
    "insert characters": ("abcdefghij\x1b[1;3H\x1b[2@XY", ["abXYcdefgh"]),
    "delete characters": ("abcdefghij\x1b[1;3H\x1b[2P", ["abefghij"]),
    "insert mode": ("abc\x1b[1;2H\x1b[4hXY\x1b[4lZ", ["aXYZc"]),
    "scroll up and down": (f"{FILL}\x1b[2S\x1b[T", ["", "c" * 10, "d" * 10, "e" * 10]),
    "repeat": ("ab\x1b[3bc", ["abbbbc"]),
    "line drawing": ("\x1b(0lqk\x1b(Blqk\x1b)0\x0elqk\x0fl", ["┌─┐lqk┌─┐l"]),
    "pounds": ("\x1b(A#1\x1b(B#", ["£1#"]),
    "save and restore": ("ab\x1b7\x1b[5;5Hx\x1b8c\x1b[s\x1b[4Hy\x1b[ud", ["abcd", "", "", "y", "    x"]),
    "alignment": ("\x1b#8", ["E" * 10] * 5),
    "reset": (f"{FILL}\x1b[2;3r\x1bcx", ["x"]),
    "soft reset": ("\x1b[?6h\x1b[2;3r\x1b[4h\x1b[!p\x1b[Hab\x1b[Hc", ["cb"]),
    "other screen": ("main\x1b[?1049h\x1b[Hother", ["other"]),
    "and back": ("main\x1b[?1049h\x1b[Hother\x1b[?1049l!", ["main!"]),
    "other screen is empty again": ("\x1b[?1049hother\x1b[?1049l\x1b[?1049h", []),
    "wide": ("漢字ab", ["漢字ab"]),
    "wide at the edge": ("012345678漢", ["012345678", "漢"]),
    "half of a wide one": ("漢字\x1b[1;2Hx", [" x字"]),
    "the other half": ("漢字\x1b[1;3Hx", ["漢x"]),
    "delete in a wide one": ("漢字\x1b[1;2H\x1b[P", [" 字"]),
    "marks": ("e\u0301o", ["e\u0301o"]),
    "a mark at the edge": ("0123456789\u0301", ["0123456789\u0301"]),
    "a mark on nothing": ("\u0301a", ["a"]),
    "no control in disguise": ("a\u202eb\u200bc\u2066d\u2028e\x9bm\x85f", ["abcd\ufffdemf"]),
    "blanks": ("a\u00a0b\u3000c\u2800d", ["a b c d"]),
    "a frame": (
        "\x1b#8" + "".join(f"\x1b[{row};2H\x1b[8X" for row in (2, 3, 4)) + "\x1b[3;4Hframe",
        ["E" * 10, "E        E", "E  frame E", "E        E", "E" * 10],
    ),
    "a frame by every way to move": (
        f"\x1b[2J\x1b[1;1H{'*' * 10}\x1b[2;1f*\x1b[8C*\x1bE*\x1b[10G*\x1bD*\x1b[4`\x1b[9D*\x1b[5d\r{'*' * 10}",
        ["*" * 10, "*        *", "*        *", "*        *", "*" * 10],
    ),
    "an accordion": (f"{FILL}\x1b[2H\x1b[99L\x1b[H\x1b[99M\x1b[5Hx\x1b[Hy", ["y", "", "", "", "x"]),
    "what was at the edge does not wrap behind a line feed": ("0123456789\nx", ["0123456789", "         x"]),
    "nor behind an erased line": ("0123456789\x1b[Kx", ["012345678x"]),
    "title": ("\x1b]0;title\x07a\x1b]2;b\x1b\\b", ["ab"]),
    "what is for others": ("\x1bP1$r0m\x1b\\a\x1b_G\x1b\\b\x1b^p\x1b\\c\x1bXs\x1b\\d", ["abcd"]),
    "private renditions": ("\x1b[>4;2m\x1b[?4m\x1b[<u\x1b[=1ua", ["a"]),
    "unknown": ("\x1b[5zA\x1b[1;2;3 yB\x1b%GC\x1b[1 qD", ["ABCD"]),
}


@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_is_what_a_terminal_shows(name: str) -> None:
    data, expected = SCREENS[name]
    assert shown(fed(data)) == expected
    assert shown(fed(*(bytes([byte]) for byte in data.encode()))) == expected, "cut anywhere"


@pytest.mark.parametrize(
    ("sequence", "pen"),
    [
        ("1;3;4;7", pens.BOLD | pens.ITALIC | pens.UNDERLINE | pens.REVERSE),
        ("1;2;22", 0),
        ("9;53;8", pens.STRUCK | pens.OVERLINED | pens.CONCEALED),
        ("31", pens.INDEXED | 1),
        ("97", pens.INDEXED | 15),
        ("44", (pens.INDEXED | 4) << 26),
        ("38;5;200", pens.INDEXED | 200),
        ("38:5:200", pens.INDEXED | 200),
        ("38;2;1;2;3", pens.DIRECT | 0x010203),
        ("38:2:1:2:3", pens.DIRECT | 0x010203),
        ("38:2::1:2:3", pens.DIRECT | 0x010203),
        ("48;2;1;2;3;1", (pens.DIRECT | 0x010203) << 26 | pens.BOLD),
        ("38;2;1", 0),
        ("38", 0),
        ("4:3", pens.UNDERLINE),
        ("4;4:0", 0),
        ("31;", 0),
        ("31;44;39;49", 0),
    ],
)
def test_renditions(sequence: str, pen: int) -> None:
    emulator = fed(f"\x1b[{sequence}mx")
    assert emulator.screen.rows[0].pens[0] == pen
    assert fed(f"\x1b[{sequence}mx\x1b[my").screen.rows[0].pens[1] == 0


def test_what_is_erased_has_the_ground_of_the_pen() -> None:
    emulator = fed("\x1b[1;31;44m\x1b[2J")
    assert {pen for row in emulator.screen.rows for pen in row.pens} == {(pens.INDEXED | 4) << 26}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("\x1b[c", b"\x1b[?62;22c"),
        ("\x1b[>c", b"\x1b[>1;10;0c"),
        ("\x1b[5n", b"\x1b[0n"),
        ("\x1b[3;7H\x1b[6n", b"\x1b[3;7R"),
        ("0123456789\x1b[6n", b"\x1b[1;10R"),
        ("\x1b[2;4r\x1b[?6h\x1b[2;2H\x1b[6n", b"\x1b[2;2R"),
        ("\x1b[?2004h\x1b[?2004$p\x1b[?1006$p\x1b[?777$p", b"\x1b[?2004;1$y\x1b[?1006;2$y\x1b[?777;0$y"),
        ("\x1b[?1049h\x1b[?1049$p", b"\x1b[?1049;1$y"),
        ("\x1b[?2026$p\x1b[?2026h\x1b[?2026$p", b"\x1b[?2026;2$y\x1b[?2026;1$y"),
        ("\x1b]11;?\x07", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
        ("\x1bP$qm\x1b\\", b"\x1bP0$r\x1b\\"),
        ("\x1b[18t", b"\x1b[8;5;10t"),
        ("\x1b]2;rm -rf /\x07\x1b[21t", b""),  # a title is never typed
        ("\x1b]52;c;?\x07", b""),  # nor the clipboard
    ],
)
def test_answers(asked: str, answer: bytes) -> None:
    assert fed(asked).answers.take() == answer


def test_answers_nobody_takes_are_few() -> None:
    assert len(fed("\x1b[c" * 10_000).answers.take()) <= 4096


def test_history_keeps_what_leaves_the_screen() -> None:
    emulator = fed(
        "".join(f"\x1b[3{number % 8}mline {number} 漢e\u0301\r\n" for number in range(100)), columns=20
    )
    assert emulator.text(3) == "line 3 漢e\u0301"
    row = emulator.line(3)
    assert row.text == "line 3 漢e\u0301" and row.pens[0] == pens.INDEXED | 3 and len(row.chars) == 20
    assert emulator.stop == 101 and emulator.first == 0
    emulator.feed(b"\x1b[?1049h")
    assert emulator.first == emulator.stop - ROWS, "the other screen has no past"
    emulator.feed(b"\x1b[?1049l\x1b[3J")
    assert len(emulator.history) == 0 and emulator.first == emulator.stop - ROWS


def test_history_is_bounded() -> None:
    emulator = fed(b"x\r\n" * (MOST_LINES + 100))
    assert len(emulator.history) == MOST_LINES and emulator.first == emulator.stop - ROWS - MOST_LINES


def test_a_smaller_screen_keeps_its_cursor_and_a_larger_one_brings_lines_back() -> None:
    emulator = fed("1\r\n2\r\n3\r\n4\r\n5漢")
    emulator.resize(2, 2)
    assert shown(emulator) == ["4", "5"] and (emulator.screen.y, emulator.screen.column) == (1, 1)
    emulator.resize(5, 10)
    assert shown(emulator) == ["1", "2", "3", "4", "5"]
    emulator.resize(1, 1)
    emulator.feed("a漢\x1b[?1049h漢\x1b[99;99H\x1b[99L\x1b[99@\x1b[99P\x1b[99X\t\x1b[Z".encode())
    emulator.resize(3, 3)


def test_places() -> None:
    emulator = fed("one two\r\n0123456789abc\r\n漢字 end\r\n")
    assert word_at(emulator, (0, 5)).text(emulator) == "two"
    assert line_at(emulator, (0, 5)).text(emulator) == "one two"
    assert Extent((2, 2), (0, 4)).text(emulator) == "two\n0123456789abc", "a wrapped line is one"
    assert find(emulator, "END", 4, -1) is None and find(emulator, "end", 4, -1) == 3
    assert find(emulator, "o", 1, 1) is None and find(emulator, "one", 0, 1) == 0
    assert list(found_in(emulator.line(3), "字")) == [(2, 4)]


KEYS = [
    ("a", "a", b"a"), ("A", "A", b"A"), ("é", "é", "é".encode()), ("space", " ", b" "), ("at", "@", b"@"),
    ("enter", "\r", b"\r"), ("tab", "\t", b"\t"), ("shift+tab", None, b"\x1b[Z"), ("escape", "\x1b", b"\x1b"),
    ("backspace", "\x7f", b"\x7f"), ("ctrl+backspace", None, b"\b"), ("alt+backspace", None, b"\x1b\x7f"),
    ("up", None, b"\x1b[A"), ("shift+up", None, b"\x1b[1;2A"), ("ctrl+right", None, b"\x1b[1;5C"),
    ("alt+left", None, b"\x1b[1;3D"), ("ctrl+shift+down", None, b"\x1b[1;6B"), ("home", None, b"\x1b[H"),
    ("ctrl+end", None, b"\x1b[1;5F"), ("insert", None, b"\x1b[2~"), ("delete", None, b"\x1b[3~"),
    ("ctrl+delete", None, b"\x1b[3;5~"), ("pageup", None, b"\x1b[5~"), ("f1", None, b"\x1bOP"),
    ("shift+f1", None, b"\x1b[1;2P"), ("f5", None, b"\x1b[15~"), ("ctrl+f5", None, b"\x1b[15;5~"),
    ("f12", None, b"\x1b[24~"), ("ctrl+a", "\x01", b"\x01"), ("ctrl+c", "\x03", b"\x03"),
    ("ctrl+at", "\x00", b"\x00"), ("ctrl+space", None, b"\x00"), ("ctrl+backslash", "\x1c", b"\x1c"),
    ("ctrl+left_square_bracket", None, b"\x1b"), ("ctrl+circumflex_accent", "\x1e", b"\x1e"),
    ("ctrl+underscore", "\x1f", b"\x1f"), ("alt+x", "x", b"\x1bx"), ("alt+shift+x", "X", b"\x1bX"),
    ("ctrl+alt+a", None, b"\x1b\x01"), ("ctrl+shift+a", None, b"\x01"), ("exclamation_mark", "!", b"!"),
    ("alt+exclamation_mark", "!", b"\x1b!"), ("plus", "+", b"+"), ("caps_lock", None, b""),
    ("left_shift", None, b""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "character", "sent"), KEYS)
def test_keys_are_sent_as_xterm_sends_them(name: str, character: str | None, sent: bytes) -> None:
    assert key(name, character, Modes()) == sent


def modes(*numbers: int) -> Modes:
    found = Modes()
    for number in numbers:
        found.set(number, True)
    return found


def test_application_cursor_keys() -> None:
    assert key("up", None, modes(Private.CURSOR_KEYS)) == b"\x1bOA"
    assert key("shift+up", None, modes(Private.CURSOR_KEYS)) == b"\x1b[1;2A"
    assert fed("\x1b[?1h").modes.on(Private.CURSOR_KEYS) and not fed("\x1b[?1h\x1bc").modes.on(
        Private.CURSOR_KEYS
    )


def test_a_paste_is_text_whatever_it_holds() -> None:
    assert pasted("a\nb\r\nc\td", Modes()) == b"a\rb\rc\td"
    hostile = pasted("x\x1b[201~\x03rm\x9b201~\n", modes(Private.PASTE))
    assert hostile == b"\x1b[200~x[201~rm201~\r\x1b[201~"


def test_the_mouse_is_told_as_asked() -> None:
    assert mouse(0, 4, 2, 0, Modes()) == b""
    assert mouse(0, 4, 2, 0, modes(1000)) == b"\x1b[M %#"
    assert mouse(0, 4, 2, 0, modes(1000), up=True) == b"\x1b[M#%#"
    assert (
        mouse(0, 300, 2, 0, modes(1000)) == b""
        and mouse(0, 300, 2, 0, modes(1000, 1006)) == b"\x1b[<0;301;3M"
    )
    assert mouse(0, 4, 2, 0, modes(1000, 1006), up=True) == b"\x1b[<0;5;3m"
    assert mouse(2, 4, 2, 5, modes(1000, 1006)) == b"\x1b[<22;5;3M"
    assert mouse(0, 4, 2, 0, modes(1000, 1006), moved=True) == b""
    assert mouse(0, 4, 2, 0, modes(1002, 1006), moved=True) == b"\x1b[<32;5;3M"
    assert mouse(3, 4, 2, 0, modes(1002, 1006), moved=True) == b""
    assert mouse(3, 4, 2, 0, modes(1003, 1006), moved=True) == b"\x1b[<35;5;3M"
    assert mouse(64, 4, 2, 0, modes(1000, 1006)) == b"\x1b[<64;5;3M"
    assert mouse(0, 4, 2, 0, modes(1000, 1015)) == b"\x1b[32;5;3M"
    assert mouse(0, 300, 2, 0, modes(1000, 1005)) == "\x1b[M \u014d#".encode()
    assert fed("\x1b[?1002h\x1b[?1006h\x1b[?1002l").modes.mouse is None


# -- hostile output ------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        b"\x1b[",
        b"\x1b]",
        b"\x1bP",
        b"\x1b",
        b"\x07",
        b"\x1b\\",
        b";",
        b"?",
        b":",
        b"65535",
        b"0",
        b"-",
        b"\r",
        b"\n",
    ]
    + [
        b"\x1b[?1049h",
        b"\x1b[?1049l",
        b"\x1b[?6h",
        b"\x1b[2;3r",
        b"\x1b[4h",
        b"\x1b[?7l",
        b"\x1b7",
        b"\x1b8",
        b"\x1bc",
    ]
    + [
        "漢".encode(),
        "\u0301".encode(),
        "\u202e".encode(),
        b"\xff",
        b"\x9b",
        b"\t",
        b"\b",
        b"\x0e",
        b"\x1b(0",
    ]
    + [bytes([byte]) for byte in range(0x40, 0x7F)]
)


@settings(max_examples=2000 if full() else 150, deadline=None)
@given(
    st.lists(PIECES | st.binary(max_size=8), max_size=60),
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30)), max_size=20),
)
def test_no_output_breaks_the_screen(parts: list[bytes], sizes: list[tuple[int, int]]) -> None:
    emulator = fed()
    for place, part in enumerate(parts):
        emulator.feed(part)
        if place < len(sizes):
            emulator.resize(*sizes[place])
        check(emulator)


def check(emulator: Emulator) -> None:
    """Every row has its columns, and nothing in it is control."""
    screen = emulator.screen
    assert 0 <= screen.y < emulator.rows and 0 <= screen.x <= emulator.columns
    for number in range(emulator.first, emulator.stop):
        row = emulator.line(number)
        assert len(row.chars) == len(row.pens) == emulator.columns
        assert row.chars[0], "no row begins with half a character"
        for char in row.chars:
            assert len(char) <= 1 + MOST_MARKS and printable(f"a{char}") == f"a{char}"
    assert printable(f"a{emulator.title}") == f"a{emulator.title}"


MANY = 10 if full() else 1
HOSTILE = {
    "random": random.Random(7).randbytes(100_000 * MANY),
    "endless title": b"\x1b]0;" + b"a" * 1_000_000,
    "endless device string": b"\x1bP" * 50_000 * MANY,
    "endless parameters": b"\x1b[" + b"1;" * 50_000 * MANY,
    "one parameter": b"\x1b[" + b"9" * 100_000 * MANY,
    "unfinished": b"\x1b[" * 50_000 * MANY,
    "large": b"\x1b[65535L\x1b[65535S\x1b[65535@\x1b[65535I\x1b[999999999999A" * 300 * MANY,
    "repeated": b"a\x1b[65535b" * 1_500 * MANY,
    "marks": ("a" + "\u0301" * 50_000 * MANY).encode(),
    "colours": b"".join(b"\x1b[38;2;%d;%d;9mx" % (at >> 8 & 255, at & 255) for at in range(4_000 * MANY)),
    "screens": b"\x1b[?1049h\x1b[?1049l" * 1_000 * MANY,
    "resets": b"\x1bc\x1b#8" * 300 * MANY,
}
LEAST_RATE = (
    30_000  # bytes a second of processor time; what costs most is some ten bytes that move a whole screen
)
MOST_BYTES = 4 << 20  # for what is not history


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_output_costs_a_bounded_time_and_memory(name: str) -> None:
    data, emulator = HOSTILE[name], Emulator(50, 200)
    started = time.process_time()
    for at in range(0, len(data), 1024):
        emulator.feed(data[at : at + 1024])
    assert time.process_time() - started < 0.5 + len(data) / LEAST_RATE
    emulator.history.clear()
    check(emulator)
    assert (
        len(pickle.dumps((emulator.screen.rows, emulator.title, vars(emulator._parser)["_string"])))
        < MOST_BYTES
    )


def test_a_history_of_the_worst_is_bounded() -> None:
    """Wide characters with marks, each in a colour of its own."""
    emulator = Emulator(10, 200)
    line = "".join(f"\x1b[38;2;{at};9;9m漢\u0301\u0302" for at in range(100)).encode() + b"\r\n"
    for _ in range(MOST_LINES + 500 if full() else 50):
        emulator.feed(line)
    lines = [emulator.history.line(number) for number in range(emulator.first, emulator.history.total)]
    used = sum(sys.getsizeof(one.text) + sys.getsizeof(one.pens) + sys.getsizeof(one) for one in lines)
    assert used / (len(lines) * 200) < 24, "bytes a cell"
    assert len(lines) * 200 <= MOST_CELLS


def test_nothing_is_imported_before_a_terminal_is_opened() -> None:
    code = "import vertui.ui, sys; print([name for name in sys.modules if 'emulator' in name or 'terminals' in name])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
