"""What a comparison is made into: folders with totals, noise told of, changes of one file alone, words that differ."""

import sys
import time

from core.diff.entry import DiffKind
from core.diff.result import FileDiff
from tests.diffs import file_diff, state
from vertui.compare.change import NOWHERE, Block, FilePatch, change_of, names_of, read
from vertui.compare.colourist import KINDS
from vertui.compare.folders import NOISE, Folders, grow
from vertui.compare.noise import RULES, Noise, count
from vertui.compare.rows import cuts, ends_of, index_of
from vertui.compare.syntax import Syntax
from vertui.compare.words import changed_words
from vertui.screens import summary


def changed(path: str, added: int = 1, removed: int = 0) -> FileDiff:
    return file_diff(path, state(), state(size=5), lines=(added, removed))


def tree_of(*paths: str, noise: Noise | None = None) -> Folders[FileDiff]:
    return grow([changed(path) for path in paths], noise or Noise(), summary.count)


def rows(tree: Folders[FileDiff]) -> list[tuple[int, str, int]]:
    return [(node.depth, node.name, node.totals.files) for node in tree.visible()]


def test_folders_hold_what_is_below_them_and_chains_are_one() -> None:
    tree = tree_of("/etc/hosts", "/srv/app/a.py", "/srv/app/b/c.py", "/srv/app-x")
    assert rows(tree) == [
        (0, "", 4), (1, "etc", 1), (2, "hosts", 1), (1, "srv", 3),
        (2, "app", 2), (3, "a.py", 1), (3, "b", 1), (4, "c.py", 1), (2, "app-x", 1),
    ]  # fmt: skip
    assert tree_of("/usr/lib/x/one", "/usr/lib/x/two").nodes[1].name == "usr/lib/x"
    srv = tree.nodes[3]
    assert (srv.totals.added, srv.totals.grown) == (3, 6)
    srv.folded = True
    assert [node.name for node in tree.visible()] == ["", "etc", "hosts", "srv"]
    assert [node.name for node in tree.below(srv)] == ["app", "a.py", "b", "c.py", "app-x"]
    parent = tree.parent(tree.nodes[-1])
    assert parent is srv


def test_noise_is_one_line_that_counts_it() -> None:
    paths = (
        "/root/a.py",
        "/root/__pycache__/a.cpython.pyc",
        "/etc/passwd-",
        "/var/log/x/y",
        "/var/logs",
        "/etc/a-b",
    )
    tree = tree_of(*paths)
    assert rows(tree)[-1] == (1, "", 3) and tree.visible()[-1].path == NOISE
    assert tree.rules == {"__pycache__": 1, "/etc/*-": 1, "/var/log": 1}
    assert tree.nodes[0].totals.files == len(paths), "noise is counted with the rest"
    assert count(paths) == tree.rules
    less = tree_of(*paths, noise=Noise([rule for rule in RULES if rule.glob != "/var/log"]))
    assert rows(less)[-1][2] == 2 and less.find("/var/log/x/y") in less.visible()
    assert all(node.path != NOISE for node in tree_of(*paths, noise=Noise(())).nodes)


def test_a_guests_folders_may_be_deep() -> None:
    deep = "/a" * 3000
    tree = tree_of(f"{deep}/x", "/a/y", "/a/a/z")
    assert tree.nodes[0].totals.files == 3 and tree.find(f"{deep}/x") is not None


PATCH = b"""diff --git a/etc/x b/etc/x
index 1..2 100644
--- a/etc/x
+++ b/etc/x
@@ -1,4 +1,4 @@
 one
-two
-three
+2
 four
@@ -9 +9,2 @@
-nine
\\ No newline at end of file
+nine
+diff --git a/etc/y b/etc/y
diff --git a/etc/y b/etc/y
new file mode 100644
--- /dev/null
+++ b/etc/y
@@ -0,0 +1 @@
+why
"""


def texts(change: FilePatch) -> list[str]:
    return [change.text(line) for line in range(len(change))]


def test_a_change_is_of_its_file_alone_and_no_line_poses_as_another_file() -> None:
    change = change_of(changed("/etc/x"), PATCH)
    assert texts(change) == [
        "@@ -1,4 +1,4 @@", "one", "two", "three", "2", "four",
        "@@ -9 +9,2 @@", "nine", "nine", "diff --git a/etc/y b/etc/y",
    ]  # fmt: skip
    assert change.blocks == [Block(2, 4, 5), Block(7, 8, 10)] and change.unended == {7}
    assert list(change.old) == [0, 1, 2, 3, 0, 4, 0, 9, 0, 0]
    assert list(change.new) == [0, 1, 0, 0, 2, 3, 0, 0, 9, 10]
    assert list(change.left) == [0, 1, 2, 3, 5, 6, 7, NOWHERE]
    assert list(change.right) == [0, 1, 4, NOWHERE, 5, 6, 8, 9]
    assert [index_of(change.right, line) for line in (1, 4, 5, 9)] == [1, 2, 4, 7]
    assert [change.blocks[0].partner(line) for line in (2, 3, 4)] == [4, NOWHERE, 2]
    assert texts(change_of(changed("/etc/y"), PATCH)) == ["new file mode 100644", "@@ -0,0 +1 @@", "why"]
    assert texts(change_of(changed("/etc/z"), PATCH)) == []


def test_a_file_that_moved_is_asked_for_by_both_names_and_nothing_below_them() -> None:
    moved = file_diff("/new [1]", state(), state(), kind=DiffKind.RENAMED, source="/old")
    assert names_of("/new [1]", "/old") == (["/new [1]", "/old"], ["/new [[]1]/*", "/old/*"])
    patch = b"diff --git a/old b/new [1]\nrename from old\ndiff --git a/old b/old\ndeleted file mode 100644\n"
    assert texts(change_of(moved, patch)) == ["rename from old"]


def test_words_that_differ_are_told_and_lines_with_nothing_in_common_are_two() -> None:
    assert changed_words("retries = 3", "retries = 12  # more") == (((10, 11),), ((10, 20),))
    assert changed_words("import os", "}") == ((), ())


def test_rows_of_a_line_are_as_many_as_it_takes() -> None:
    change = read(b"@@ -0,0 +1,3 @@\n+" + b"x" * 25 + b"\n+" + "漢".encode() * 11 + b"\n+\x1b\n")
    assert list(ends_of(change, [10])) == [1, 4, 7, 8]
    assert cuts("漢" * 11, 5) == [0, 2, 4, 6, 8, 10]
    assert change.text(3) == "\\x1b"


def test_a_long_line_says_how_long_it_is() -> None:
    change = read(b"@@ -0,0 +1 @@\n+" + b"x" * 1_000_000 + b"\n")
    assert change.text(1).endswith("… (1000000 bytes)") and len(change.text(1)) < 2100


def test_syntax_is_told_by_a_process_and_one_that_says_nothing_is_not_waited_for() -> None:
    change = read(b"@@ -1,2 +1,3 @@\n-x = 1\n+x = '''a\n+b''' # c\n def f():\n")
    syntax = Syntax()
    try:
        told = syntax.of(change, "a.py")
        kinds = {line: [KINDS[kind] for _, kind in spans if kind >= 0] for line, spans in told.items()}
        assert "Number" in kinds[1] and "Comment" in kinds[3] and "Keyword" in kinds[4]
        assert syntax.of(change, "what is this") == {}
    finally:
        syntax.close()
    assert syntax.of(change, "a.py") == {}, "it is closed"
    started, stuck = time.monotonic(), Syntax([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    assert stuck.of(change, "a.py") == {} and time.monotonic() - started < 30
    stuck.close()
