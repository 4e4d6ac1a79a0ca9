"""Bringing one state's changes into another: what is taken, what is merged, what is a clash, and how it is put."""

import io
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from core.diff.lines import merge_lines
from core.diff.merge import LineRange, Merge, Prefer, merge
from core.diff.select import ALL_FILES, PathFilter
from core.disk.qcow2 import ChainDisk
from core.errors import UsageError
from core.guest.scripts.put import PutStep, Putter
from tests.unit.diff_images import copy_sparse, debugfs, make_image

TEXT = "".join(f"line {number}\n" for number in range(30))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    for name in ("text", "other", "gone", "tool", "folder/leaf"):
        (tree / name).write_text(TEXT)
    return make_image(tmp_path / "base.raw", tree, 16)


class Sides:
    """Two states made from one by debugfs."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.paths = [copy_sparse(base, base.with_name(name)) for name in ("ours.raw", "theirs.raw")]

    def change(self, side: int, *commands: str) -> None:
        debugfs(self.paths[side], *commands)

    def write(self, side: int, name: str, text: str) -> None:
        source = self.base.with_name(f"source-{side}")
        source.write_text(text)
        debugfs(self.paths[side], f"rm {name}", f"write {source} {name}", f"sif {name} mode 0100644")

    def merge(
        self,
        prefer: Prefer | None = None,
        wanted: PathFilter = ALL_FILES,
        lines: LineRange | None = None,
    ) -> Merge:
        with (
            ChainDisk(self.base) as base,
            ChainDisk(self.paths[0]) as ours,
            ChainDisk(self.paths[1]) as theirs,
        ):
            return merge(base, ours, theirs, None, wanted, prefer, lines)


@pytest.fixture
def sides(base: Path) -> Iterator[Sides]:
    yield Sides(base)


def changed(merge: Merge) -> set[str]:
    return {step.path.decode() for step in merge.steps}


def clashes(merge: Merge) -> dict[str, str]:
    return {clash.path.decode(): clash.reason for clash in merge.clashes}


def test_what_only_they_changed_is_taken(sides: Sides) -> None:
    sides.write(1, "text", "theirs\n")
    sides.write(1, "new", "new\n")
    sides.change(1, "rm gone", "mkdir made", "sif folder uid 7")
    sides.write(0, "mine", "mine\n")
    merge = sides.merge()
    assert changed(merge) == {"/text", "/new", "/gone", "/made", "/folder"} and not merge.clashes
    assert changed(sides.merge(wanted=PathFilter.typed(("/new",)))) == {"/new"}


def test_the_same_change_on_both_sides_is_none(sides: Sides) -> None:
    for side in (0, 1):
        sides.write(side, "text", "the same\n")
        sides.change(side, "rm gone", "sif tool mode 0100755")
    merge = sides.merge()
    assert merge == Merge((), ())


def test_permissions_and_content_are_merged_each_for_itself(sides: Sides) -> None:
    sides.change(1, "sif text mode 0100755", "sif tool uid 5")
    sides.write(0, "text", "ours\n")
    sides.change(0, "sif tool mode 0100700")
    merge = sides.merge()
    assert not merge.clashes
    steps = {step.path: step for step in merge.steps}
    text, tool = steps[b"/text"], steps[b"/tool"]
    assert text.wanted and text.wanted.mode == 0o755 and not text.renewed
    assert tool.wanted and (tool.wanted.uid, tool.wanted.mode) == (5, 0o700)


def test_texts_changed_in_different_places_are_merged(sides: Sides) -> None:
    sides.write(0, "text", TEXT.replace("line 3\n", "three\n"))
    sides.write(1, "text", TEXT.replace("line 20\n", "twenty\n"))
    (step,) = sides.merge().steps
    assert step.body == TEXT.replace("line 3\n", "three\n").replace("line 20\n", "twenty\n").encode()


def test_some_lines_of_a_text_are_taken_alone(sides: Sides) -> None:
    """What went touches both lines that it stood between; rights stay ours, whoever wins, and a clash stays one."""
    new = (
        TEXT.replace("line 3\n", "three\n")
        .replace("line 10\nline 11\n", "")
        .replace("line 20\n", "20\ntwenty\n")
    )
    sides.write(1, "text", new)
    sides.change(1, "sif text mode 0100755")
    sides.write(0, "text", TEXT.replace("line 28\n", "ours\n"))

    def taken(first: int, last: int) -> str:
        (step,) = sides.merge(wanted=PathFilter.typed(("/text",)), lines=(first, last)).steps
        assert isinstance(step.body, bytes) and step.wanted and step.wanted.mode & 0o777 == 0o644
        return step.body.decode()

    ours = TEXT.replace("line 28\n", "ours\n")
    assert taken(1, 6) == taken(4, 4) == ours.replace("line 3\n", "three\n")
    assert taken(10, 10) == taken(11, 11) == ours.replace("line 10\nline 11\n", "")
    assert taken(19, 19) == ours.replace("line 20\n", "20\ntwenty\n")
    for lines in ((5, 8), (90, 99)):
        with pytest.raises(
            UsageError, match=f"nothing was changed in lines {lines[0]} to {lines[1]} of /text"
        ):
            taken(*lines)
    sides.write(0, "text", TEXT.replace("line 3\n", "III\n"))
    for prefer in (None, Prefer.THEIRS):
        assert clashes(sides.merge(prefer, PathFilter.typed(("/text",)), (4, 4))) == {"/text": "content"}
        assert not sides.merge(prefer, PathFilter.typed(("/text",)), (4, 4)).steps
    sides.change(1, "rm gone")
    with pytest.raises(UsageError, match="/gone is not a text on all sides"):
        sides.merge(wanted=PathFilter.typed(("/gone",)), lines=(1, 1))


def test_what_both_changed_otherwise_is_a_clash(sides: Sides) -> None:
    sides.write(0, "text", TEXT.replace("line 3\n", "three\n"))
    sides.write(1, "text", TEXT.replace("line 3\n", "III\n"))
    sides.write(0, "gone", "ours\n")
    sides.change(1, "rm gone", "sif tool mode 0100700")
    sides.change(0, "sif tool mode 0100755", "rm other", "rm folder/leaf", "rmdir folder")
    sides.write(1, "other", "theirs\n")
    sides.write(1, "folder/new", "new\n")
    expected = {
        "/text": "content",
        "/gone": "removed there, changed here",
        "/tool": "permissions",
        "/other": "changed there, removed here",
        "/folder/new": "/folder is no directory here",
    }
    assert clashes(sides.merge()) == expected and changed(sides.merge()) == set()
    assert changed(sides.merge(Prefer.OURS)) == set()
    assert clashes(sides.merge(Prefer.THEIRS)) == expected
    assert changed(sides.merge(Prefer.THEIRS)) == set(expected) - {"/folder/new"}


def test_a_directory_there_and_a_file_here(sides: Sides) -> None:
    sides.change(1, "mkdir new")
    sides.write(1, "new/file", "theirs\n")
    sides.write(0, "new", "ours\n")
    assert clashes(sides.merge()) == {"/new": "added in both", "/new/file": "/new is no directory here"}
    assert changed(sides.merge(Prefer.OURS)) == set()
    assert changed(sides.merge(Prefer.THEIRS)) == {"/new", "/new/file"}


def test_a_directory_removed_there_and_filled_here(sides: Sides) -> None:
    sides.change(1, "rm folder/leaf", "rmdir folder")
    sides.write(0, "folder/mine", "mine\n")
    assert clashes(sides.merge()) == {"/folder": "removed there, changed below here"}


def test_flags_are_named_where_they_will_not_be_as_somebody_made_them(tmp_path: Path, base: Path) -> None:
    """0x10 is immutable, 0x20 append only."""
    debugfs(base, "sif text flags 0x80010", "sif other flags 0x80010", "sif tool flags 0x80010")
    sides = Sides(base)
    for side, flag in ((0, "0x80020"), (1, "0x80020")):
        sides.change(side, f"sif gone flags {flag}")  # both: nothing is left to carry
    sides.change(0, "sif folder/leaf flags 0x80010")
    sides.change(1, "sif folder/leaf mode 0100600")  # not replaced: ours keeps its flag
    sides.change(1, "sif tool flags 0x80000")  # theirs took a flag away, ours has it on
    for side in (0, 1):
        sides.write(side, "new", f"{side}\n")
    sides.change(0, "sif new flags 0x80010")
    swap = base.with_name("swap")
    swap.write_text("theirs\n")
    debugfs(
        sides.paths[1], "rm text", f"write {swap} text", "sif text mode 0100644", "sif text flags 0x80010"
    )
    merge = sides.merge(Prefer.OURS)
    assert changed(merge) == {"/text", "/folder/leaf"} and set(clashes(merge)) == {"/new"}
    assert merge.not_carried == (b"/text", b"/tool")  # all three had a flag, which a new file has not
    assert sides.merge(Prefer.THEIRS).not_carried == (b"/new", b"/text", b"/tool")


@pytest.mark.parametrize("seed", range(200))
def test_merged_lines(seed: int) -> None:
    """Either side alone gives that side; both give the same whoever is called ours; edits apart never clash."""
    rng = random.Random(seed)
    old = [b"%d\n" % number for number in range(40)]
    sides = []
    for start in (0, 20):
        new = list(old)
        for _ in range(3):
            at = start + rng.randrange(15)
            new[at : at + rng.randrange(2)] = [b"%d of %d\n" % (rng.randrange(9), start)]
        sides.append(new)
    ours, theirs = sides
    assert merge_lines(old, ours, old) == merge_lines(old, old, ours) == merge_lines(old, ours, ours) == ours
    merged = merge_lines(old, ours, theirs)
    assert merged == merge_lines(old, theirs, ours)
    assert merged is None or {*ours, *theirs} - {*old} <= {*merged}


def step(path: Path, expect: Any, **fields: Any) -> PutStep:
    """What the daemon tells a guest of one path."""
    told = PutStep(
        path=bytes(path).hex(), expect=expect, remove=not fields, renew=True, kind=stat.S_IFDIR,
        mode=0o700, uid=0, gid=0, mtime_ns=0, xattrs=[], same_as=None,
    )  # fmt: skip
    return cast(PutStep, {**told, **fields})


def seen(path: Path) -> list[int]:
    info = path.lstat()
    return [info.st_ino] if path.is_dir() else [info.st_ino, info.st_size, info.st_mtime_ns]


def test_a_guest_takes_everything_back_when_one_step_fails(tmp_path: Path) -> None:
    root, stage = tmp_path / "root", tmp_path / "stage"
    (root / "folder").mkdir(parents=True)
    stage.mkdir()
    (root / "folder" / "file").write_text("kept")
    (root / "other").write_text("kept too")
    steps = [
        step(root / "folder" / "file", seen(root / "folder" / "file")),
        step(root / "folder", seen(root / "folder")),
        step(root / "made", None, mode=0o755),
        step(root / "other", seen(root / "other"), kind=stat.S_IFLNK, target=b"x".hex()),
        step(root / "zz" / "no directory", None, mode=0o755),
    ]
    putter = Putter(bytes(stage), steps)
    putter.make(io.BytesIO())
    assert putter.changed() == []
    with pytest.raises(FileNotFoundError):
        putter.put()
    assert (root / "folder" / "file").read_text() == "kept" and (root / "other").read_text() == "kept too"
    assert not (root / "made").exists()
    (root / "other").write_text("meanwhile")
    assert putter.changed() == [bytes(root / "other")]
