"""Trees told by the program that runs in guests, compared and made a patch of; here it runs on this machine."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from core.diff.entry import Aspect, DiffKind
from core.diff.walked import Walked, compare_walks, parse_walk, patch_walks
from core.errors import GuestFailed
from core.guest.scripts import guest_script


def walk(top: Path, *options: str) -> Walked:
    told = subprocess.run(guest_script("walk", *options, str(top)), capture_output=True, check=True).stdout
    prefix = os.fsencode(top)
    return {path.removeprefix(prefix): seen for path, seen in parse_walk(told).items()}


def test_two_trees(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "same").write_text("same\n")
        with (tmp_path / name / "huge").open("wb") as file:
            file.truncate(60 << 30)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b/odd\xff\n")).write_text("odd\n")
    (tmp_path / "a" / "text").write_text("one\ntwo\n")
    (tmp_path / "b" / "text").write_text("one\n2\n")
    (tmp_path / "a" / "gone").write_bytes(b"\0")
    (tmp_path / "b" / "deep").chmod(0o700)
    (tmp_path / "a" / "zeros").write_bytes(bytes(100_000))
    with (tmp_path / "b" / "zeros").open("wb") as file:
        file.truncate(100_000)
    with (tmp_path / "b" / "huge").open("r+b") as file:
        file.seek(59 << 30)
        file.write(b"x")
    before, after = (walk(tmp_path / name, "--texts") for name in ("a", "b"))
    found = compare_walks(before, after)
    told = {entry.path: (entry.kind, entry.what - {Aspect.MTIME}) for entry in found.entries}
    assert told == {
        b"/odd\xff\n": (DiffKind.ADDED, frozenset()),
        b"/text": (DiffKind.MODIFIED, {Aspect.CONTENT, Aspect.SIZE}),
        b"/gone": (DiffKind.REMOVED, frozenset()),
        b"/deep": (DiffKind.MODIFIED, {Aspect.MODE}),
        b"/huge": (DiffKind.MODIFIED, {Aspect.CONTENT}),
    }
    text = b"".join(patch_walks(found, before, after))
    assert b"-two\n+2\n" in text and b"Binary files a/gone and /dev/null differ" in text
    assert b"b/huge differ: too large to show" in text and rb'+++ "b/odd\377\n"' in text
    assert all(seen.text is None for seen in walk(tmp_path / "a").values())


def test_a_path_that_is_not_there_or_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert walk(tmp_path / "nothing") == {} == walk(tmp_path / "file" / "below")
    assert set(walk(tmp_path / "file")) == {b""}


HONEST: dict[str, object] = {
    "path": "2f61", "kind": 0o100000, "mode": 0o644, "uid": 0, "gid": 0, "size": 1, "mtime_ns": 1, "links": 1,
    "inode": 12, "target": None, "device": None, "xattrs": [], "flags": 0, "project": 0, "digest": "",
}  # fmt: skip


@pytest.mark.parametrize(
    "lie",
    [
        *({"size": 10**400}, {"size": 1 << 63}, {"mode": float("inf")}, {"uid": float("nan")}, {"gid": "7"}),
        *({"device": [1]}, {"device": [1, 1 << 99]}, {"device": 7}, {"kind": []}, {"xattrs": [["00"]]}),
        *({"inode": True}, {"project": None}, {"path": "x"}, {"target": 1}, {"flags": -1e400}),
        *({"mtime_ns": 10**400}, {"mtime_ns": float("inf")}, {"mtime_ns": 1.5}, {"mtime_ns": "1"}),
    ],
)
def test_what_no_guest_of_ours_would_say_is_its_failure(lie: dict[str, object]) -> None:
    assert list(parse_walk(json.dumps(HONEST).encode())) == [b"/a"]
    with pytest.raises(GuestFailed):
        parse_walk(json.dumps(HONEST | lie).encode())


@pytest.mark.parametrize("line", [b"[" * 100_000, b"[]", b"7", b"null", b'{"size": ' + b"9" * 5000 + b"}"])
def test_lines_that_tell_of_no_file(line: bytes) -> None:
    with pytest.raises(GuestFailed):
        parse_walk(line)


def test_a_file_may_be_of_any_year() -> None:
    mtime_ns = 253_370_764_800 * 1_000_000_000 + 7
    (told,) = parse_walk(json.dumps(HONEST | {"mtime_ns": mtime_ns}).encode()).values()
    assert told.meta.mtime_ns == mtime_ns
