"""Which entries a diff shows: by path and by glob, and what becomes of a file that moves across the border."""

import pytest

from core.diff.entry import DiffEntry, DiffKind, FilesystemDiff
from core.diff.meta import FileType, Meta
from core.diff.select import PathFilter

META = Meta(FileType.FILE, 0o644, 0, 0, 1, 0, 1, 12, (0, 0))


@pytest.mark.parametrize(
    ("paths", "ignore", "path", "selected"),
    [
        ((), (), b"/a", True),
        (("/a",), (), b"/a", True),
        (("a/",), (), b"/a/b", True),
        (("/a",), (), b"/ab", False),
        (("/",), (), b"/ab", True),
        (("/a", "/b"), (), b"/b", True),
        (("/odd\\xff",), (), b"/odd\xff/x", True),
        (("/odd\\xff",), (), rb"/odd\xff/x", False),
        (("/odd\\\\xff",), (), rb"/odd\xff/x", True),
        ((), ("*\\xff",), b"/odd\xff", False),
        ((), ("*\\xff",), rb"/odd\xff", True),
        ((), ("?",), b"/x/\xc3\xbc", False),
        ((), ("*.pyc",), b"/x/y.pyc", False),
        ((), ("__pycache__",), b"/x/__pycache__/y", False),
        ((), ("var",), b"/variable", True),
        ((), ("/var/log",), b"/var/log/x", False),
        ((), ("/var/log",), b"/x/var/log", True),
        ((), ("/var/*/x",), b"/var/a/x", False),
        ((), ("tmp/",), b"/x/tmp/y", False),
        (("/a",), ("b",), b"/a/b", False),
    ],
)
def test_what_is_selected(
    paths: tuple[str, ...], ignore: tuple[str, ...], path: bytes, selected: bool
) -> None:
    assert PathFilter.typed(paths, ignore).has(path) is selected


def test_a_move_across_the_border_is_an_addition_or_a_removal() -> None:
    moved = DiffEntry(b"/in/new", DiffKind.RENAMED, META, META, source=b"/out/old")
    diff = FilesystemDiff((moved,))
    assert PathFilter.typed(("/in",)).of(diff).entries == (DiffEntry(b"/in/new", DiffKind.ADDED, None, META),)
    assert PathFilter.typed(("/out",)).of(diff).entries == (
        DiffEntry(b"/out/old", DiffKind.REMOVED, META, None),
    )
    assert PathFilter.typed(("/in", "/out")).of(diff).entries == (moved,)
    assert PathFilter.typed(("/else",)).of(diff).entries == ()
