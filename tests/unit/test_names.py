"""Names are shown so that typing what is shown means the same bytes, and nothing else does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codec import decode, encode
from core.diff.entry import DiffKind
from core.diff.result import Diff
from core.diff.shape import text_and_hex
from core.errors import UsageError
from core.names import meant, sendable, spelled
from tests.conftest import full
from tests.diffs import diff_of, file_diff, state
from vertui.text import printable

# What could be taken for an escape, and what hides, more often than chance would have it.
PIECES = [
    *(
        b"\\",
        b"\\\\",
        b"x",
        b"x41",
        b"\\xff",
        b"\xff",
        b" ",
        b"  ",
        b"\n",
        b"\r",
        b"\x0c",
        b"\x1b[31m",
        b"[/a",
        b"/",
    ),
    *(
        b"\xc3",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\xe2\x80\xae",
        "ü".encode(),
        "e\u0301".encode(),
        "\U0001f600".encode(),
    ),
]
NAMES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join),
    st.binary(max_size=12).map(lambda name: name.replace(b"\0", b"")),
)
EXAMPLES = settings(max_examples=20_000 if full() else 400)


@EXAMPLES
@given(name=NAMES)
def test_what_is_shown_can_be_typed(name: bytes) -> None:
    text = spelled(name)
    assert meant(text) == name
    shown = printable(text)  # which escapes a mark that would stand on what is printed before
    assert meant(shown) == name and printable(shown) == shown
    assert "  " not in text and not text.endswith(" ")
    assert sendable(text) == text
    assert " ".join(text.split(" ")) == text


@EXAMPLES
@given(name=NAMES)
def test_what_a_shell_passes_is_sent_and_means_the_same(name: bytes) -> None:
    typed = name.decode("utf-8", "surrogateescape")
    sent = sendable(typed)
    assert meant(sent) == meant(typed)
    assert sent.encode().decode() == sent == sendable(sent)


@EXAMPLES
@given(one=NAMES, two=NAMES)
def test_two_names_never_show_alike(one: bytes, two: bytes) -> None:
    assert (spelled(one) == spelled(two)) == (one == two)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"/srv/plain", "/srv/plain"),
        (b"\xff\xfe", r"\xff\xfe"),
        (rb"\xff\xfe", r"\\xff\\xfe"),
        (rb"back\slash", r"back\slash"),
        (rb"dev-disk-by\x2dlabel", r"dev-disk-by\\x2dlabel"),
        (b"two\nlines", r"two\x0alines"),
        ("ü".encode(), "ü"),
        (b"end ", r"end\x20"),
        (b"\\", "\\"),
        (b"\\\\", "\\\\\\"),
    ],
)
def test_how_names_look(name: bytes, text: str) -> None:
    assert spelled(name) == text and meant(text) == name


def test_json_has_the_bytes_beside_what_is_not_the_name() -> None:
    assert text_and_hex(b"/a") == ("/a", None)
    assert text_and_hex(b"\xff") == (r"\xff", "ff")
    assert text_and_hex(rb"\xff") == (r"\\xff", rb"\xff".hex())


def test_json_of_a_diff_has_what_there_is_and_no_more() -> None:
    told = encode(diff_of(file_diff("/new", None, state(), kind=DiffKind.RENAMED, source="/old")))
    (entry,) = told["entries"]
    assert set(told) == {"a", "b", "counts", "entries", "fallbacks", "notes"}
    assert set(entry) == {"after", "before", "from", "kind", "path", "what"} and entry["before"] is None
    assert set(entry["after"]) == {"gid", "inode", "links", "mode", "mtime_ns", "size", "type", "uid"}
    assert encode(file_diff("/a", None, state(), lines=None))["lines"] is None
    assert decode(Diff, told) == diff_of(
        file_diff("/new", None, state(), kind=DiffKind.RENAMED, source="/old")
    )


def test_what_cannot_be_a_name_is_refused() -> None:
    for text in ("\ud800", r"a\x00b"):
        with pytest.raises(UsageError):
            meant(text)
