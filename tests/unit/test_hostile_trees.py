"""Whatever a guest sends as a tree, through `cp` or `export-files`: nothing is placed outside, nothing leads out."""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH114, PTH115, PTH119, PTH120

import io
import os
import random
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GuestFailed, VertuiError
from core.tar import END, gnu_header, padding
from tests.conftest import full
from tests.unit.diff_images import debugfs, make_image
from tests.unit.test_diff_export import exported
from vertui.unpack import Unpacked, unpack, unpack_file, unpack_tree

SECRET = b"not to be read, linked or overwritten"
PART = st.sampled_from([b"a", b"A", b"b", b"door", b"mine", b"..", b".", b"", b"\xff", b"n" * 120, b"a\0b"])
ODD = st.tuples(st.sampled_from([b"", b"/", b"./"]), st.lists(PART, min_size=1, max_size=4)).map(
    lambda parts: parts[0] + b"/".join(parts[1])
)
PLAIN = st.lists(st.sampled_from([b"a", b"b"]), min_size=1, max_size=4).map(b"/".join)
NAME = st.one_of(PLAIN, PLAIN, PLAIN, ODD)
UPWARD = st.integers(0, 3).map(lambda ups: b"../" * ups + b"a")
LINK = st.one_of(UPWARD, UPWARD, PLAIN, ODD)
ODD_KIND = st.sampled_from([tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE, b"V", b"x"])
KIND = st.one_of(
    *(st.just(kind) for kind in 3 * [tarfile.SYMTYPE, tarfile.LNKTYPE]),
    *(st.just(tarfile.REGTYPE), st.just(tarfile.DIRTYPE), ODD_KIND),
)
ENTRIES = st.lists(st.tuples(KIND, NAME, LINK, st.binary(max_size=3)), min_size=1, max_size=12)


def aimed(entries: list[tuple[bytes, bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """The same with most hard links to something sent before: left to chance they would seldom meet it."""
    members: list[tuple[bytes, bytes, bytes, bytes]] = []
    for number, (kind, name, link, data) in enumerate(entries):
        if kind == tarfile.LNKTYPE and number and len(data) < 3:
            link = members[sum(data) % number][1]
        members.append((kind, name, link, data))
    return members


def sent(entries: list[tuple[bytes, bytes, bytes, bytes]]) -> bytes:
    """These kinds, names, links and contents as an archive, zeros in long names included."""
    return b"".join(map(one, *zip(*entries, strict=True))) + END if entries else END


def one(kind: bytes, name: bytes, link: bytes, data: bytes) -> bytes:
    member = tarfile.TarInfo(
        "short" if len(name) > 99 or b"\0" in name else name.decode(errors="surrogateescape")
    )
    member.type, member.mode, member.linkname = (
        kind,
        0o6777,
        link.replace(b"\0", b"")[:99].decode(errors="surrogateescape"),
    )
    member.devmajor, member.devminor = 1, 3
    member.size = len(data) if kind in (tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE, b"V", b"x") else 0
    data = data[: member.size]
    long = b""
    if member.name == "short":
        carrier = tarfile.TarInfo("././@LongLink")
        carrier.type, carrier.size = tarfile.GNUTYPE_LONGNAME, len(name) + 1
        long = gnu_header(carrier) + name + b"\0" + padding(len(name) + 1)
    return (
        long + gnu_header(member, [] if kind == tarfile.GNUTYPE_SPARSE else None) + data + padding(len(data))
    )


def assert_tame(around: Path) -> None:
    """Only `in` may have changed, and nothing in it leads out of it or is more than files, links and directories."""
    root = around / "in"
    assert {path.name for path in around.iterdir()} == {"in", "outside"}
    assert [path.name for path in (around / "outside").iterdir()] == ["secret"]
    secret = around / "outside" / "secret"
    assert secret.read_bytes() == SECRET and secret.stat().st_nlink == 1
    for path in walked(os.fsencode(root)):
        info = os.lstat(path)
        assert not path.rpartition(b"/")[2].startswith(b".vertui-"), "a half-written file was left"
        if stat.S_ISLNK(info.st_mode):
            assert leads_inside(path, os.fsencode(root)), path
        else:
            assert stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)
            assert not info.st_mode & 0o7022, "a set-id bit, or writable for others"


def walked(top: bytes) -> Iterator[bytes]:
    for directory, folders, files in os.walk(top):
        yield from (directory + b"/" + name for name in folders + files)


def leads_inside(link: bytes, root: bytes) -> bool:
    """Does a link, by every step of its target, existing or not, stay below the root? A loop leads nowhere."""
    at, left = os.path.dirname(link), [os.path.basename(link)]
    for _ in range(1000):
        while left and left[-1] in (b"", b"."):
            left.pop()
        if not left:
            return True
        step = left.pop()
        at = os.path.dirname(at) if step == b".." else at + b"/" + step
        if os.path.islink(at):
            target = os.readlink(at)
            if target.startswith(b"/"):
                return at == root + b"/door"  # the user's own
            left += reversed(target.split(b"/"))
            at = os.path.dirname(at)
        elif at != root and not at.startswith(root + b"/"):
            return False
    return True


@settings(max_examples=3000 if full() else 300)
@given(entries=ENTRIES, single=st.booleans())
def test_nothing_leaves_the_directory(entries: list[tuple[bytes, bytes, bytes, bytes]], single: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        around = Path(name)
        for directory in ("in", "outside"):
            (around / directory).mkdir()
        (around / "outside" / "secret").write_bytes(SECRET)
        (around / "in" / "mine").write_bytes(b"mine")
        (around / "in" / "mine").chmod(0o600)
        (around / "in" / "door").symlink_to(around / "outside")
        mine = os.open(around / "in" / "mine", os.O_RDONLY)
        try:
            data = io.BytesIO(sent(aimed(entries)))
            unpack_file(data, around / "in", b"one") if single else unpack(data, around / "in")
        except VertuiError:
            pass
        assert_tame(around)
        assert os.read(mine, 10) == b"mine" and os.fstat(mine).st_nlink <= 1, "ours got a second name"
        os.close(mine)


def test_links_of_links_at_every_depth(tmp_path: Path) -> None:
    """Links that lead just as far up as their place allows, and second names of them, and names of these, anywhere."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    left_out = 0
    for number in range(2000 if full() else 300):
        around = tmp_path / str(number)
        (around / "outside").mkdir(parents=True)
        (around / "outside" / "secret").write_bytes(SECRET)
        names = list[bytes]()
        entries = list[tuple[bytes, bytes, bytes, bytes]]()
        for _ in range(rng.randrange(2, 12)):
            depth = rng.randrange(4)
            name = b"/".join([*(rng.choice([b"x", b"y"]) for _ in range(depth)), b"l%d" % rng.randrange(9)])
            if names and rng.random() < 0.6:
                entries.append((tarfile.LNKTYPE, name, rng.choice(names), b""))
            else:
                up = b"../" * rng.choice([depth, depth, depth + 1]) + rng.choice([b"", b"x", b"l1", b"x/l1"])
                entries.append((tarfile.SYMTYPE, name, up or b"l2", b""))
            names.append(name)
        (around / "in").mkdir()
        left_out += len(unpack(io.BytesIO(sent(entries)), around / "in").skipped)
        assert_tame(around)
    assert left_out


@pytest.mark.parametrize("depth", range(4))
def test_a_hard_link_to_a_link_is_judged_from_where_it_stands(tmp_path: Path, depth: int) -> None:
    """A link three directories down that leads to the top, given second names at every depth."""
    image = make_image(tmp_path / "image.raw", tree(tmp_path), 16)
    where = "/".join("zyx"[:depth])
    names = [f"{where}/again".lstrip("/"), f"{where}/and-again".lstrip("/")]
    debugfs(image, "symlink a/b/c/way ../../../top", *(f"ln a/b/c/way {name}" for name in names))
    unpacked = unpack_tree(io.BytesIO(exported(image)), tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "a/b/c/way").readlink() == Path("../../../top")
    if depth < 3:
        assert sorted(unpacked.skipped) == sorted(name.encode() for name in names)
        assert not any(os.path.lexists(out / name) for name in names)
    else:
        assert unpacked.skipped == [] and all((out / name).read_text() == "top\n" for name in names)


def test_names_of_what_was_left_out_are_left_out(tmp_path: Path) -> None:
    """Also one from where the link would have led inside: it is a name of something that is not there."""
    image = make_image(tmp_path / "image.raw", tree(tmp_path), 16)
    debugfs(
        image,
        "symlink a/out ../../top",
        "ln a/out z/y/x/out",
        "cd a",
        "mknod device c 1 3",
        "cd /",
        "ln a/device z/device",
    )
    unpacked = unpack_tree(io.BytesIO(exported(image)), tmp_path / "out")
    assert sorted(unpacked.skipped) == [b"a/device", b"a/out", b"z/device", b"z/y/x/out"]


def test_a_tree_that_fails_leaves_no_directory_that_was_made_for_it(tmp_path: Path) -> None:
    data = sent([(tarfile.REGTYPE, b"a/b", b"", b"x"), (tarfile.REGTYPE, b"../evil", b"", b"x")])
    with pytest.raises(GuestFailed):
        unpack_tree(io.BytesIO(data), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(GuestFailed):
        unpack_tree(io.BytesIO(data), tmp_path / "mine")
    assert (tmp_path / "mine" / "a" / "b").read_bytes() == b"x"


def test_a_file_that_fails_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    cut = sent([(tarfile.REGTYPE, b"file", b"", b"xyz")])[:513]
    with pytest.raises(GuestFailed):
        unpack_file(io.BytesIO(cut), tmp_path, b"file")
    with pytest.raises(GuestFailed):
        unpack_file(io.BytesIO(sent([(tarfile.SYMTYPE, b"file", b"mine", b"")])), tmp_path, b"file")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "mine")]


def test_a_link_to_a_file_of_ours_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    unpacked = unpack(io.BytesIO(sent([(tarfile.LNKTYPE, b"theirs", b"mine", b"")])), tmp_path)
    assert unpacked == Unpacked(skipped=[b"theirs"])
    assert (tmp_path / "mine").stat().st_nlink == 1


def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    for directory in ("a/b/c", "z/y/x"):
        (top / directory).mkdir(parents=True)
    (top / "top").write_text("top\n")
    return top
