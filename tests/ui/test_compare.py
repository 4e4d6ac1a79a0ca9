"""Comparing: summary, folders, noise, changes unified and side by side; and no file's text under another's name."""

import io
import json
import random
import tarfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.screen import Screen

from core.diff.entry import DiffKind
from core.diff.result import Diff, FileDiff, HeatMap, SiblingChange, SiblingRow, Siblings
from core.home import Home
from core.model import Applied
from tests.diffs import diff_of, file_diff, state
from tests.stand_in import Answers, standing_in
from tests.ui.looks import app_of, text_of, until, until_looks, until_seen
from tests.ui.trees import DEMO, HandMadeFeed, event
from vertui import ui
from vertui.actions import BY_ID
from vertui.screens.carry import command_of, safe_name
from vertui.screens.comparing import SETTLE_S
from vertui.screens.dialogs import FormDialog
from vertui.screens.diff import DiffScreen
from vertui.screens.matrix import MatrixScreen
from vertui.selection import NOTHING, Selection
from vertui.ui import VertuiApp
from vertui.widgets.change_view import ChangeView
from vertui.widgets.folder_list import FolderList
from vertui.widgets.lines import LineView

APP = b"""diff --git a/srv/app.py b/srv/app.py
--- a/srv/app.py
+++ b/srv/app.py
@@ -1,5 +1,6 @@
 import os
-retries = 3
+retries = 12
+wait_s = 0.5
 def main() -> None:
-    run( retries )
+    run(retries)
     return None
@@ -40,2 +41,2 @@ def late():
-    old
+    new
     end
"""


def changed(path: str, added: int, removed: int) -> FileDiff:
    return file_diff(path, state(size=100), state(size=130), lines=(added, removed))


SOME = diff_of(
    changed("/etc/hosts", 1, 1),
    file_diff("/etc/passwd-", state(), state(size=9)),
    file_diff("/root/__pycache__/a.pyc", None, state(size=4000)),
    changed("/srv/app.py", 4, 3),
    file_diff("/srv/data/big.bin", state(size=1 << 30), state(size=1 << 31)),
    changed("/srv/data/notes", 30, 2),
    file_diff("/srv/new", state(), state(), kind=DiffKind.RENAMED, source="/srv/old"),
    notes=("not on the disks",),
)
ANSWERS: Answers = {"/v1/diff": SOME, "/v1/patch": APP}


class Leaving(VertuiApp):
    """An app that keeps what it would leave the terminal to, and what that would show."""

    CSS_PATH = str(Path(ui.__file__).with_name("theme.tcss"))
    left: tuple[str, ...] = ()
    shown = b""

    def leave_to(self, command: Sequence[str], name: str) -> None:
        """Where there is no terminal."""
        self.left, self.shown = tuple(command), Path(command[-1]).read_bytes()


@asynccontextmanager
async def opened(
    tmp_path: Path,
    screen: Screen[None],
    answers: Answers = ANSWERS,
    size: tuple[int, int] = (120, 36),
    bodies: list[bytes] | None = None,
) -> AsyncIterator[Pilot[None]]:
    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, answers, bodies):
        async with Leaving(home, lambda: HandMadeFeed(DEMO)).run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            app_of(pilot).push_screen(screen)
            await until_seen(pilot, "all files")
            yield pilot


def comparing(
    tmp_path: Path, answers: Answers = ANSWERS, **more: Any
) -> AbstractAsyncContextManager[Pilot[None]]:
    return opened(tmp_path, DiffScreen("main", "b1"), answers, **more)


def files(pilot: Pilot[None]) -> FolderList[FileDiff]:
    return app_of(pilot).screen.query_one("#files", FolderList)


def view(pilot: Pilot[None]) -> ChangeView:
    return app_of(pilot).screen.query_one("#change", ChangeView)


async def test_a_diff_begins_with_its_summary_and_noise_is_one_line(tmp_path: Path) -> None:
    async with comparing(tmp_path) as pilot:
        await until_looks(pilot, "compare-summary-120x36")
        await until_seen(pilot, "main → b1", "modified", "2 files of these are noise", "not on the disks")
        assert "passwd-" not in text_of(app_of(pilot)).replace("/etc/*-", "")
        await pilot.press("G", "enter")
        await until_seen(pilot, "passwd-", "a.pyc")
        await pilot.press("exclamation_mark")
        await until_seen(pilot, "compiled Python", "copies of account files")
        await pilot.press("exclamation_mark", "enter")
        await until(pilot, lambda: "/etc/*- 1" not in text_of(app_of(pilot)))
        await until_seen(pilot, "passwd-", "a.pyc")


async def test_folders_fold_and_files_are_found(tmp_path: Path) -> None:
    async with comparing(tmp_path) as pilot:
        await until_seen(pilot, "big.bin", "+30")
        await pilot.press("Z")
        await until(
            pilot, lambda: "~ notes" not in text_of(app_of(pilot)) and "▸ srv/" in text_of(app_of(pilot))
        )
        await pilot.press("right_square_bracket", "right_square_bracket")
        await until(pilot, lambda: files(pilot).current.path == "/srv/app.py")  # type: ignore[union-attr]
        await pilot.press("h")
        await until(pilot, lambda: files(pilot).current.path == "/srv")  # type: ignore[union-attr]
        await pilot.press("slash", *"notes", "enter", "G")
        await until_seen(pilot, "srv/data/", "~ notes", "/notes · 1 file")
        await pilot.press("escape")
        await until_seen(
            pilot, "7 files", "~ app.py", "─ /srv/data/notes"
        )  # and the cursor stays on what was found


async def test_keys_that_were_moved_fold_and_search_there_too(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text('fold = "f5"\nfold_all = "f6"\nfilter = "f7"\n')
    async with comparing(tmp_path) as pilot:
        await until_seen(pilot, "big.bin", "f7 search", "f5/f6 fold")
        await pilot.press("z", "Z", "f6")
        await until_seen(pilot, "▸ srv/")
        await pilot.press("f6")
        await until_seen(pilot, "▾ srv/")
        await pilot.press("j", "j", "j", "f5")
        await until_seen(pilot, "▸ srv/")
        await pilot.press("f7", *"hosts")
        await until_seen(pilot, "/hosts · 1 file")


async def test_sides_are_swapped_with_all_that_is_shown_of_them(tmp_path: Path) -> None:
    def patch(asked: str) -> bytes:
        query = parse_qs(urlsplit(asked).query)
        return only(query["path"][0]).replace(b"this is", f"{query['a'][0]} to {query['b'][0]}".encode())

    async with comparing(tmp_path, {"/v1/diff": SOME, "/v1/patch": patch}) as pilot:
        await pilot.press("right_square_bracket")
        await until_seen(pilot, "─ main → b1", "main to b1 /etc/hosts")
        await pilot.press("tilde", "right_square_bracket")
        await until_seen(pilot, "─ b1 → main", "b1 to main /srv/app.py", "─ /srv/app.py")


async def test_a_change_is_walked_through_in_two_ways(tmp_path: Path) -> None:
    async with comparing(tmp_path) as pilot:
        await pilot.press("slash", *"app.py", "enter", "G")
        await until_seen(pilot, "retries = 12", "3 changes")
        await until_looks(pilot, "compare-unified-120x36")
        await pilot.press("right_parenthesis", "right_parenthesis")
        await until_seen(pilot, "change 2 of 3")
        await pilot.press("underscore")
        await until_seen(pilot, "≈     run( retries )", "white space ignored")
        await pilot.press("left_parenthesis", "right_parenthesis")
        await until_seen(pilot, "change 3 of 3")
        await pilot.press("right_parenthesis")
        await until_seen(pilot, "no change below: ] is the next file")
        await pilot.press("underscore", "vertical_line")
        await until_looks(pilot, "compare-side-by-side-120x36")
        await pilot.press("tab", "slash", *"main", "enter")
        await until_seen(pilot, "1 line with “main”")
        await pilot.press("backslash")
        await until_seen(pilot, "wrapped")


async def test_how_changes_are_shown_is_kept_and_memory_is_asked_for_by_a_key(tmp_path: Path) -> None:
    heat = HeatMap(
        pages=64, page_bytes=4096, changed_pages=20, columns=4, cell_pages=8, cells=(0, 8, 3, 0, 1, 0, 8, 0)
    )

    def diff(asked: str) -> Diff:
        return replace(SOME, memory=heat) if "memory=1" in asked else SOME

    async with comparing(tmp_path, {**ANSWERS, "/v1/diff": diff}) as pilot:
        await pilot.press("vertical_line", "m")
        await until_seen(pilot, "memory  80K of 256K differ", "     0M  █▒", "     0M ░ █")
        await pilot.press("escape")
        app_of(pilot).push_screen(DiffScreen("main", "b1", "/srv/app.py"))
        await until_seen(pilot, "side by side", "│  2 + retries = 12")


async def test_a_comparison_that_takes_long_says_how_far_it_is(tmp_path: Path) -> None:
    lets, feed = threading.Event(), HandMadeFeed(DEMO)

    def diff(asked: str) -> Diff:
        lets.wait(60)
        return SOME

    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, {**ANSWERS, "/v1/diff": diff}):
        async with VertuiApp(home, lambda: feed).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            app_of(pilot).push_screen(screen := DiffScreen("main", "b1"))
            await until(pilot, lambda: screen.comparing)
            for subject, done in ((screen.asked_by, 0.25), ("of another's", 0.5)):
                feed.put(DEMO, event("progress", subject, f"reading files: {done}", fraction=done))
            await until_seen(pilot, "comparing…", " 25% reading files: 0.25")
            lets.set()
            await until_seen(pilot, "all files")
            assert "reading files" not in text_of(app_of(pilot))


def only(path: str, size: int = 3) -> bytes:
    name = path.encode()
    body = b"".join(b"+this is %s\n" % name for _ in range(size))
    return b"diff --git a%s b%s\n--- a%s\n+++ b%s\n@@ -0,0 +1,%d @@\n%s" % (
        name,
        name,
        name,
        name,
        size,
        body,
    )


async def test_no_text_stands_under_another_files_name(tmp_path: Path) -> None:
    rng = random.Random(7)
    paths = [f"/d/file{number}." for number in range(40)]

    def patch(asked: str) -> bytes:
        time.sleep(rng.random() * 3 * SETTLE_S)
        return only(parse_qs(urlsplit(asked).query)["path"][0])

    def other(asked: str) -> Diff:
        return diff_of(*(changed(path, 1, 1) for path in paths))

    async with comparing(tmp_path, {"/v1/diff": other, "/v1/patch": patch}) as pilot:
        seen = set()
        for _ in range(25):
            await pilot.press(rng.choice(("j", "j", "k", "right_square_bracket")))
            await pilot.pause(rng.random() * 2 * SETTLE_S)
            shown = view(pilot)
            if shown.display:
                assert {
                    line.split("this is ")[1] for line in shown.text.split("\n") if "this is " in line
                } <= {str(shown.border_title)}
                seen |= {shown.border_title} if "this is" in shown.text else set()
            else:
                assert "this is" not in app_of(pilot).screen.query_one("#summary", LineView).text
        assert seen, "some were waited for"


async def test_a_file_is_asked_for_alone(tmp_path: Path) -> None:
    asked: list[str] = []

    def patch(path: str) -> bytes:
        asked.append(path)
        return b"diff --git a/srv/old b/srv/new\nrename from srv/old\n"

    async with comparing(tmp_path, {"/v1/diff": SOME, "/v1/patch": patch}) as pilot:
        await pilot.press("slash", *"/new", "enter", "G")
        await until_seen(pilot, "rename from srv/old", "was /srv/old")
        await pilot.pause(2 * SETTLE_S)
    (one,) = asked
    assert "path=%2Fsrv%2Fnew&path=%2Fsrv%2Fold&ignore=%2Fsrv%2Fnew%2F%2A" in one


MODIFIED, ADDED, REMOVED = DiffKind.MODIFIED, DiffKind.ADDED, DiffKind.REMOVED


def cell(kind: DiffKind, change: int, grown: int) -> SiblingChange:
    return SiblingChange(kind, change, grown)


ROWS = (
    SiblingRow(path="/etc/hosts", cells=(cell(MODIFIED, 1, 12), cell(MODIFIED, 1, 12), None)),
    SiblingRow(
        path="/srv/app.py", cells=(cell(MODIFIED, 1, 120), cell(MODIFIED, 2, -3), cell(MODIFIED, 1, 120))
    ),
    SiblingRow(path="/srv/new", cells=(cell(ADDED, 1, 9000), None, cell(REMOVED, 2, -100))),
    SiblingRow(path="/var/log/x", cells=(None, None, cell(MODIFIED, 1, 9))),
)


def siblings(asked: str) -> Siblings:
    query = parse_qs(urlsplit(asked).query)
    base = query.get("base", ["9c01be9c" * 8])[0]
    return Siblings(base, tuple(query["ref"]), tuple(ROWS) if len(query["ref"]) == 3 else (), ())


async def test_siblings_are_a_matrix_and_a_cell_is_a_diff(tmp_path: Path) -> None:
    answers = {**ANSWERS, "/v1/siblings": siblings}
    async with opened(tmp_path, MatrixScreen(("b1", "b2", "b3")), answers) as pilot:
        await pilot.press("right_square_bracket", "right_square_bracket", "l")
        await until_seen(pilot, "9c01be9c → b2", "1: b1, b3", "2 different changes in 3 states")
        await until_looks(pilot, "compare-matrix-120x36")
        await pilot.press("J", "J")
        await until_seen(pilot, "2: b2")
        await pilot.press("enter")
        await until_seen(pilot, "─ 9c01be9c → b2", "─ /srv/app.py", "retries = 12")
        await pilot.press("escape", "circumflex_accent")
        await until_seen(pilot, "b1 → b2", "from b1 to", "0 files differ")
        await pilot.press("y")
        await until_seen(pilot, "copied: vertui diff --multi b2 b3 --base b1")


def test_up_to_eight_are_compared() -> None:
    marked = tuple(DEMO.branches)[:3]
    assert BY_ID["diff"].refuse(Selection(DEMO, marked[0], marked)) is None
    names = " ".join(branch.name for branch in marked)
    assert BY_ID["diff"].command(Selection(DEMO, marked[0], marked)) == f"vertui diff --multi {names}"
    assert "8 at most, 9 are marked" in str(BY_ID["diff"].refuse(Selection(DEMO, marked[0], marked * 3)))


def tar(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("whatever")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


async def test_a_change_goes_to_the_pager_escaped_and_a_file_to_the_editor_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", "more -s")
    monkeypatch.setenv("EDITOR", "ed")
    monkeypatch.delenv("VISUAL", raising=False)
    answers = {
        **ANSWERS,
        "/v1/patch": APP.replace(b"import os", b"\x1b]0;evil"),
        "/v1/files": tar(b"\x1b[31mred"),
    }
    async with comparing(tmp_path, answers) as pilot:
        app = app_of(pilot)
        assert isinstance(app, Leaving)
        await pilot.press("slash", *"app.py", "enter", "G")
        await until_seen(pilot, "retries = 12")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: bool(app.left))
        assert app.left[:2] == ("more", "-s") and not Path(app.left[-1]).exists()
        assert b" \\x1b]0;evil\n-retries = 3\n+retries = 12\n" in app.shown and b"\x1b" not in app.shown
        await pilot.press("ctrl+e")
        await until(pilot, lambda: app.left[0] == "ed")
        assert app.shown == b"\x1b[31mred" and app.left[-1].endswith("/app.py")
        await pilot.press("escape", "g", "ctrl+e")
        await until_seen(pilot, "an editor takes a file")


def test_what_programs_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [safe_name(path) for path in ("/a/b c.py", "/-x", "/a/..", "/\x1b;.c")] == [
        "b_c.py", "file-x", "file", "__.c",
    ]  # fmt: skip
    monkeypatch.setenv("PAGER", "'ends not")
    assert command_of("PAGER", default="less") == ["less"]


async def test_a_patch_is_saved_and_a_file_applied(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    applied = Applied(("/srv/app.py",), (), ())
    patch = b"# /srv/app.py: owner 1:1\n" + APP
    answers = {"/v1/diff": SOME, "/v1/patch": patch, "/v1/apply": applied}
    async with comparing(tmp_path, answers, bodies=bodies) as pilot:
        await pilot.press("slash", *"app.py", "enter", "G", "ctrl+s")
        await until_seen(pilot, "save /srv/app.py as a patch", "b1.patch")
        await pilot.press("ctrl+a", "ctrl+k", *str(tmp_path / "x.patch"), "enter")
        await until_seen(pilot, "not in the patch: /srv/app.py: owner 1:1")
        assert (tmp_path / "x.patch").read_bytes() == APP
        await pilot.press("M")
        await until_seen(pilot, "apply /srv/app.py of b1", "main")
        await pilot.press("enter")
        await until_seen(pilot, "nothing brings it back", "into main")
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(bodies) > 0)
        sent = json.loads(bodies[-1])
        assert (sent["source"], sent["target"], sent["paths"]) == ("b1", "main", ["/srv/app.py"])
        assert sent.get("lines") is None
        await until(pilot, lambda: not app_of(pilot).jobs)
        await pilot.press("right_parenthesis", "right_parenthesis", "M")
        await until_seen(pilot, "apply /srv/app.py of b1", "5-5")
        await pilot.press("enter")
        await until_seen(pilot, "/srv/app.py, lines 5-5: what b1 did", "into main")
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(bodies) > 1)
    assert json.loads(bodies[-1])["lines"] == "5-5"


async def test_what_was_typed_to_apply_a_file_outlives_a_refusal(tmp_path: Path) -> None:
    refused, bodies = [None, Applied((), (), ())], list[bytes]()
    answers = {"/v1/diff": SOME, "/v1/patch": APP, "/v1/apply": lambda path: refused.pop(0)}
    async with comparing(tmp_path, answers, bodies=bodies) as pilot:
        await pilot.press("slash", *"app.py", "enter", "G", "M")
        await until_seen(pilot, "apply /srv/app.py of b1")
        await pilot.press(*"b2", "tab", *"ours", "tab", *"5-5", "enter")
        await until_seen(pilot, "into b2")
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(app_of(pilot).screen, FormDialog))
        assert len(bodies) == 1
        await pilot.press("enter")
        await until_seen(pilot, "into b2")
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(bodies) == 2)
    sent = json.loads(bodies[-1])
    assert (sent["target"], sent["prefer"], sent["lines"]) == ("b2", "ours", "5-5")
