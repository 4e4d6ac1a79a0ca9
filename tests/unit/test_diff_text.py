"""Patches: git takes them, and what they say of odd files is what git would say."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.codec import encode
from core.diff.carry import quoted
from core.diff.filesystem import diff_disks
from core.diff.lines import changed_spans, hunks
from core.diff.result import Counts
from core.diff.shape import counted, shown
from core.diff.text import patch
from core.disk.qcow2 import ChainDisk
from tests.unit.diff_images import copy_sparse, debugfs, make_image, run

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


@pytest.mark.parametrize("seed", range(40))
def test_spans_turn_the_old_text_into_the_new(seed: int) -> None:
    rng = random.Random(seed)
    old = [b"%d\n" % rng.randrange(rng.choice([3, 10, 1000])) for _ in range(rng.randrange(60))]
    new = list(old)
    for _ in range(rng.randrange(6)):
        at = rng.randrange(len(new) + 1)
        new[at : at + rng.randrange(3)] = [b"new %d\n" % rng.randrange(5) for _ in range(rng.randrange(3))]
    rebuilt, at = [], 0
    for a0, a1, b0, b1 in changed_spans(old, new):
        assert a0 >= at
        rebuilt += old[at:a0] + new[b0:b1]
        at = a1
    assert rebuilt + old[at:] == new


def test_a_small_change_in_a_long_text_is_a_small_patch() -> None:
    old = [b"line %d\n" % number if number % 3 else b"\n" for number in range(20_000)]
    new = [*old[:5000], b"inserted\n", *old[5000:15_000], *old[15_002:]]
    assert sum(1 for _ in hunks(old, new)) == 2 + 1 + 2 + 12


def test_texts_without_a_common_line_take_no_time() -> None:
    old, new = ([b"%s %d\n" % (word, at % 7) for at in range(100_000)] for word in (b"old", b"new"))
    assert changed_spans(old, new) == [(0, 100_000, 0, 100_000)]


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[tuple[ChainDisk, ChainDisk]]:
    tree = tmp_path / "old"
    (tree / "sub").mkdir(parents=True)
    (tree / "text").write_text("".join(f"line {number}\n" for number in range(50)))
    (tree / "no newline").write_text("one\ntwo")
    (tree / "binary").write_bytes(b"\0\1\2")
    (tree / "gone").write_text("gone\n")
    (tree / "moved").write_text("moved and kept\n")
    (tree / "tool").write_text("#!/bin/sh\n")
    (tree / "becomes-link").write_text("a file\n")
    (tree / os.fsdecode(b'odd\n"\xff')).write_text("odd\n")
    (tree / "link").symlink_to("here")
    old = make_image(tmp_path / "old.raw", tree, 8)
    new = copy_sparse(old, tmp_path / "new.raw")
    texts = {
        "text": (tree / "text").read_text().replace("line 7\n", "seven\n").replace("line 40\n", ""),
        "no newline": "one\ntwo\nthree",
        "binary": "\0\1\3",
        "new": "brand new\n",
        "empty": "",
        "huge": "x" * 2_000_000,
    }
    commands = ["rm gone", "rm link", "symlink link there", "rm becomes-link", "symlink becomes-link text"]
    commands += ["ln moved sub/moved", "unlink moved", "set_inode_field tool mode 0100755", "mkdir folder"]
    commands += ["mknod device c 1 3", "set_inode_field sub uid 5", "set_inode_field sub mode 040700"]
    for number, (name, text) in enumerate(texts.items()):
        (tmp_path / str(number)).write_text(text)
        commands += [f'rm "{name}"'] * (tree / name).exists() + [f'write {tmp_path / str(number)} "{name}"']
    debugfs(new, *commands)
    with ChainDisk(old) as a, ChainDisk(new) as b:
        yield a, b


@needs_git
def test_git_applies_what_git_can_carry(tmp_path: Path, disks: tuple[ChainDisk, ChainDisk]) -> None:
    diff = diff_disks(*disks)
    kept = [entry for entry in diff.entries if entry.path not in (b"/binary", b"/huge")]
    text = b"".join(patch(type(diff)(tuple(kept)), *disks))
    done = subprocess.run(
        ["git", "apply", "--verbose", "-"], cwd=tmp_path / "old", input=text, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    tree = tmp_path / "old"
    assert (tree / "text").read_bytes() == (tmp_path / "0").read_bytes()
    assert (tree / "no newline").read_text() == "one\ntwo\nthree"
    assert (tree / "new").read_text() == "brand new\n"
    assert (tree / "empty").read_bytes() == b""
    assert (tree / "sub" / "moved").read_text() == "moved and kept\n"
    assert os.access(tree / "tool", os.X_OK)
    assert (tree / "link").readlink() == Path("there")
    assert (tree / "becomes-link").readlink() == Path("text")
    assert not (tree / "gone").exists() and not (tree / "moved").exists()


def test_what_git_cannot_carry_is_said(disks: tuple[ChainDisk, ChainDisk]) -> None:
    lines = b"".join(patch(diff_disks(*disks), *disks)).split(b"\n")
    assert b"Binary files a/binary and b/binary differ" in lines
    assert b"Files /dev/null and b/huge differ: too large to show (2000000 bytes)" in lines
    assert b"# +/folder: directory" in lines
    assert b"# +/device: character device 1:3" in lines
    assert b"# /sub: owner 0:0 -> 5:0" in lines
    assert b"# /sub: mode 0755 -> 0700" in lines


@needs_git
def test_it_reads_like_git(tmp_path: Path) -> None:
    for side, text in (("a", "one\ntwo\n"), ("b", "one\n2\n")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "na me").write_text(text)
        make_image(tmp_path / f"{side}.raw", tmp_path / side, 8)
    old = tmp_path / "a.raw"
    new = copy_sparse(old, tmp_path / "new.raw")
    debugfs(new, 'rm "na me"', f'write "{tmp_path}/b/na me" "na me"')
    command = ["git", "diff", "--no-index", "--no-color", "--no-ext-diff", "a/na me", "b/na me"]
    expected = subprocess.run(command, cwd=tmp_path, capture_output=True).stdout
    expected = expected.replace(b"a/a/", b"a/").replace(b"b/b/", b"b/")
    with ChainDisk(old) as a, ChainDisk(new) as b:
        assert b"".join(patch(diff_disks(a, b), a, b)) == expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain name", b"plain name"),
        (b"odd /name", b'"odd /name"'),
        (b"tab\there", rb'"tab\there"'),
        (b'quote"', rb'"quote\""'),
        (b"back\\slash", rb'"back\\slash"'),
        ("ü".encode(), rb'"\303\274"'),
        (b"\x01\x7f", rb'"\001\177"'),
    ],
)
def test_names_are_quoted_as_git_quotes_them(name: bytes, shown: bytes) -> None:
    assert quoted(name) == shown


def test_json_keeps_what_is_not_text(tmp_path: Path, disks: tuple[ChainDisk, ChainDisk]) -> None:
    image = copy_sparse(tmp_path / "old.raw", tmp_path / "other.raw")
    run("debugfs", "-w", "-R", "kill_file <99999>", image)
    debugfs(image, "symlink s \\xff", "unlink link")
    with ChainDisk(tmp_path / "old.raw") as a, ChainDisk(image) as b:
        entries = shown(diff_disks(a, b))
    assert counted(entries) == Counts(added=1, removed=1, modified=0, renamed=0)
    added = next(entry for entry in encode(entries) if entry["kind"] == "added")
    assert added["after"]["target"] == r"\\xff" and added["before"] is None
    assert bytes.fromhex(added["after"]["target_hex"]) == rb"\xff"
