"""What a guest sends is unpacked below one directory, whatever it sends; what we send comes out the same."""

import io
import os
import stat
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Conflict, GuestFailed, NotFound, VertuiError
from vertui.pack import FILE_NAME, pack
from vertui.unpack import stays_inside, unpack, unpack_file


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **facts: object
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mode = kind, len(data), 0o644
    for key, value in facts.items():
        setattr(member, key, value)
    return member, data


def archive(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as target:
        for member, data in entries:
            target.addfile(member, io.BytesIO(data))
    stream.seek(0)
    return stream


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_tree_comes_out_as_it_went_in(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    (source / "deep" / "er").mkdir(parents=True)
    target.mkdir()
    (source / "deep" / "er" / "x").write_bytes(b"x" * 700_000)
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o755)
    (source / "deep" / "link").symlink_to("../run")
    os.link(source / "run", source / "same")
    os.mkfifo(source / "pipe")
    stream = io.BytesIO()
    packed = pack(source, stream)
    stream.seek(0)
    unpacked = unpack(stream, target)
    assert names(target) == ["deep", "deep/er", "deep/er/x", "deep/link", "run", "same"]
    assert packed.skipped == [b"./pipe"]
    assert unpacked.files == packed.files == 4
    assert (target / "deep/er/x").read_bytes() == b"x" * 700_000
    assert stat.S_IMODE((target / "run").stat().st_mode) == 0o755
    assert (target / "run").samefile(target / "same")
    assert int((target / "run").stat().st_mtime) == int((source / "run").stat().st_mtime)


def test_a_single_file_takes_the_name_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hello")
    stream = io.BytesIO()
    pack(tmp_path / "secret", stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as written:
        assert [(one.name, one.uname, one.uid) for one in written] == [(FILE_NAME, "root", 0)]
    stream.seek(0)
    assert unpack_file(stream, tmp_path, b"copy").files == 1
    assert (tmp_path / "copy").read_text() == "hello"


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no-such"):
        pack(tmp_path / "no-such", io.BytesIO())


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/../out", "a/.."])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "in"
    root.mkdir()
    with pytest.raises(GuestFailed, match="leads out"):
        unpack(archive(entry(name, data=b"evil")), root)
    assert names(tmp_path) == ["in"]


def test_an_absolute_path_lands_inside(tmp_path: Path) -> None:
    unpack(archive(entry("/etc/passwd", data=b"x")), tmp_path)
    assert names(tmp_path) == ["etc", "etc/passwd"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "in", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "door").symlink_to(outside)
    with pytest.raises(Conflict, match="stands in"):
        unpack(archive(entry("door/evil", data=b"x")), root)
    assert names(outside) == []
    unpack(archive(entry("door", data=b"x")), root)  # the link itself is replaced
    assert (root / "door").read_bytes() == b"x"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "a/../../..", "..", "a/.."])
def test_links_that_lead_out_are_left_out_and_named(tmp_path: Path, target: str) -> None:
    result = unpack(archive(entry("link", tarfile.SYMTYPE, linkname=target)), tmp_path)
    assert result.skipped == [b"link"]
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("target", "depth", "inside"),
    [
        ("a", 0, True),
        ("../a", 1, True),
        ("../a", 0, False),
        ("a/../b", 5, False),
        ("./../b", 1, True),
        ("", 0, False),
    ],
)
def test_where_a_link_may_point(target: str, depth: int, inside: bool) -> None:
    assert stays_inside(target.encode(), depth) is inside


@given(
    links=st.lists(
        st.tuples(
            st.lists(st.sampled_from("abc"), min_size=1, max_size=3),
            st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5),
        ),
        max_size=6,
    )
)
@settings(max_examples=150, deadline=None)
def test_no_web_of_links_resolves_to_the_outside(links: list[tuple[list[str], list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory).resolve() / "in"
        root.mkdir()
        for path, target in links:
            try:
                unpack(archive(entry("/".join(path), tarfile.SYMTYPE, linkname="/".join(target))), root)
            except VertuiError:
                continue
        for made in root.rglob("*"):
            if made.is_symlink() and made.exists():
                assert made.resolve().is_relative_to(root)


def test_a_hard_link_reaches_only_inside(tmp_path: Path) -> None:
    (tmp_path / "host").write_text("host")
    root = tmp_path / "in"
    root.mkdir()
    with pytest.raises(GuestFailed, match="leads out"):
        unpack(archive(entry("x", tarfile.LNKTYPE, linkname="../host")), root)
    assert names(root) == []


def test_devices_are_left_out_and_bits_are_dropped(tmp_path: Path) -> None:
    result = unpack(
        archive(
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
            entry("pipe", tarfile.FIFOTYPE),
            entry("su", data=b"x", mode=0o6777, mtime=1 << 60),
        ),
        tmp_path,
    )
    assert result.skipped == [b"null", b"pipe"]
    assert stat.S_IMODE((tmp_path / "su").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "stream",
    [
        archive(entry("a", b"S", b"data without a place")),
        archive(entry("é" * 90, data=b"x"), format=tarfile.PAX_FORMAT),
        archive(entry("n" * 5000, data=b"x")),
        io.BytesIO(b"\xff" * 4096),
        io.BytesIO(archive(entry("cut", data=b"y" * 9000)).getvalue()[:5000]),
    ],
    ids=["sparse", "pax", "long name", "noise", "cut short"],
)
def test_what_is_not_our_archive_is_one_error(tmp_path: Path, stream: io.BytesIO) -> None:
    with pytest.raises(GuestFailed):
        unpack(stream, tmp_path)
    assert names(tmp_path) == []


def test_a_thousand_long_names_in_a_row_are_one_error(tmp_path: Path) -> None:
    block = archive(entry("n" * 200, data=b"")).getvalue()[:1024]  # header and name, never the file
    with pytest.raises(GuestFailed):
        unpack(io.BytesIO(block * 3000), tmp_path)


def test_a_directory_in_the_way_of_a_file_is_a_conflict(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(Conflict, match="x is a directory"):
        unpack(archive(entry("x", data=b"1")), tmp_path)
