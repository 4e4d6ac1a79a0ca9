"""Tables that fit, sizes and ages as people read them, and names by scp's rules."""

import re

import pytest

from core.diff.entry import Aspect
from core.diff.meta import FileType
from core.diff.result import FileState
from core.errors import Conflict, NotFound, UsageError
from tests.diffs import file_diff, state
from vertui.commands.exec import _offsets, _positive, _variables
from vertui.differences import changes
from vertui.output import Cell, cells, clip, styled, table
from vertui.sizes import parse_size
from vertui.text import age, millis, natural, number, printable, size
from vertui.transfer import PathKind, Place, destination, parse

ROWS = [("b1", "", "one"), ("b22", "", "a longer note that has no room")]


def test_columns_line_up_and_empty_ones_are_left_out() -> None:
    assert table(("NAME", "GONE", "NOTE"), ROWS) == [
        "NAME  NOTE",
        "b1    one",
        "b22   a longer note that has no room",
    ]


@pytest.mark.parametrize("width", [14, 20, 60])
def test_a_table_fits_its_terminal(width: int) -> None:
    lines = table(("NAME", "GONE", "NOTE"), ROWS, width)
    assert max(cells(line) for line in lines) <= width
    assert ("…" in lines[2]) is (width < 36)


def test_expendable_columns_go_before_names_are_cut() -> None:
    rows = [("branch-one", "10.77.0.100", "5m"), ("b2", "10.77.0.101", "6m")]
    wide, narrow, least = (
        table(("NAME", "ADDRESS", "UP"), rows, width, ("UP",))[1] for width in (30, 24, 16)
    )
    assert wide == "branch-one  10.77.0.100  5m"
    assert narrow == "branch-one  10.77.0.100"
    assert least == "branch…  10.77.…"


def test_wide_letters_take_two_columns() -> None:
    assert cells("日本") == 4
    assert clip("日本語", 4) == "日…"
    assert clip("e\u0301te", 2) == "e\u0301…"


def test_style_is_kept_out_of_pipes() -> None:
    assert styled("x", "red", colour=False) == "x"
    assert styled("x", "red bold", colour=True) == "\x1b[31;1mx\x1b[0m"
    assert not re.search("\x1b", "".join(table(("A",), [(Cell("x", "red"),)])))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (1, "1B"),
        (999, "999B"),
        (1000, "1.0K"),
        (1024 * 4, "4.0K"),
        (21 << 20, "21M"),
        (3 << 29, "1.5G"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_ages_durations_and_numbers() -> None:
    assert [age(value) for value in (-1, 59, 60, 7200, 900000)] == ["0s", "59s", "1m", "2h", "10d"]
    assert [millis(value) for value in (0.84, 12.6, 4200)] == ["0.8 ms", "13 ms", "4.2 s"]
    assert [number(value) for value in (None, 1.0, 0.25)] == ["", "1", "0.25"]
    assert sorted(["b10", "b2", "a"], key=natural) == ["a", "b2", "b10"]
    assert printable("a\x1b]0;x\x07\u202eb") == "a\\x1b]0;x\\x07\\u202eb"


@pytest.mark.parametrize(
    ("source", "kind", "target", "there", "final"),
    [
        ("/a/x", PathKind.FILE, "/b", PathKind.DIRECTORY, "/b/x"),
        ("/a/x", PathKind.FILE, "/b/y", PathKind.ABSENT, "/b/y"),
        ("/a/x", PathKind.FILE, "/b/y", PathKind.FILE, "/b/y"),
        ("/a", PathKind.DIRECTORY, "/b", PathKind.DIRECTORY, "/b/a"),
        ("/a/", PathKind.DIRECTORY, "/b", PathKind.DIRECTORY, "/b/a"),
        ("/a/.", PathKind.DIRECTORY, "/b", PathKind.DIRECTORY, "/b"),
        (".", PathKind.DIRECTORY, "/b", PathKind.DIRECTORY, "/b"),
        ("/a", PathKind.DIRECTORY, "/b/new/", PathKind.ABSENT, "/b/new"),
        ("/a/.", PathKind.DIRECTORY, "/b/new", PathKind.ABSENT, "/b/new"),
        ("/", PathKind.DIRECTORY, "/b", PathKind.DIRECTORY, "/b"),
        ("x", PathKind.FILE, "/", PathKind.DIRECTORY, "/x"),
    ],
)
def test_where_a_copy_ends_up(source: str, kind: PathKind, target: str, there: PathKind, final: str) -> None:
    assert destination(source, kind, target, there) == final


def test_copies_that_have_no_place() -> None:
    with pytest.raises(Conflict, match="is a file"):
        destination("/a", PathKind.DIRECTORY, "/b", PathKind.FILE)
    with pytest.raises(NotFound, match="no directory /b/new/"):
        destination("/a/x", PathKind.FILE, "/b/new/", PathKind.ABSENT)


def test_which_side_is_a_branch() -> None:
    assert parse("b1:/x:y") == Place("b1", "/x:y")
    assert parse("@trunk:") == Place("@trunk", ".")
    assert parse("./b1:x") == Place(None, "./b1:x")
    assert parse("/srv/x") == Place(None, "/srv/x")
    with pytest.raises(UsageError):
        parse("")


def test_sizes_offsets_and_variables_people_write() -> None:
    assert [parse_size(text) for text in ("512M", "4g", "1 GiB", "100")] == [
        512 << 20,
        4 << 30,
        1 << 30,
        100,
    ]
    assert [_offsets(text) for text in ("7", "7,9")] == [(7, 0), (7, 9)]
    assert _variables(["A=1=2", "B="]) == {"A": "1=2", "B": ""}
    for bad in (
        lambda: parse_size("much"),
        lambda: _offsets("x"),
        lambda: _variables(["A"]),
        lambda: _variables(["=1"]),
    ):
        with pytest.raises(UsageError):
            bad()


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 1e7, float("inf"), float("nan")])
def test_what_is_no_timeout(timeout_s: float) -> None:
    assert _positive(0.5) == 0.5 and _positive(None) is None
    with pytest.raises(UsageError):
        _positive(timeout_s)


@pytest.mark.parametrize(
    ("before", "after", "what", "said"),
    [
        (None, state(), [], ["3B"]),
        (state(type=FileType.SYMLINK, target="x"), None, [], ["→ x"]),
        (state(), state(), ["content"], ["content, 3B"]),
        (state(), state(size=4096), ["content", "size"], ["3B → 4.0K"]),
        (state(), state(mode="0755"), ["mode"], ["mode 0644 → 0755"]),
        (state(), state(uid=7), ["owner"], ["owner 0:0 → 7:0"]),
        (state(target="a"), state(target="b\n"), ["target"], ["target a → b\\x0a"]),
        (state(), state(), ["mtime"], ["time"]),
        (state(), state(type=FileType.FIFO), ["type", "xattr"], ["type file → fifo", "xattr"]),
    ],
)
def test_what_a_diff_line_says(
    before: FileState | None, after: FileState | None, what: list[str], said: list[str]
) -> None:
    assert changes(file_diff("/f", before, after, what=tuple(map(Aspect, what)))) == said
