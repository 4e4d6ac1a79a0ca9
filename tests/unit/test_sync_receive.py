"""Small edits as a program in a branch puts them in place: it runs here, in another directory."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.guest.scripts import guest_script
from core.guest.scripts.receive import DIRECTORY, FILE, IN_THE_WAY, LENGTH, LINK, REMOVE, STEP, put
from tests.guests import eventually
from tests.unit.test_sync import Beside, fill, seen
from vertui.sync import rsync
from vertui.sync.batch import MOST_BYTES, MOST_NAMES, Batch, TooMuch

MOMENT_NS = 1_234_567_890_123_456_789


def bring(here: Path, there: Path, names: Iterable[bytes] = (), removed: Iterable[bytes] = ()) -> str:
    return put(str(there), Batch(here, names, removed).message()[LENGTH.size :])


def names_below(top: Path) -> list[bytes]:
    return [os.fsencode(path.relative_to(top)) for path in top.rglob("*")]


def test_edits_come_as_they_are_and_rsync_finds_nothing_to_do(here: Path, there: Path) -> None:
    fill(here)
    files = [path for path in here.rglob("*") if path.is_file() and not path.is_symlink()]
    assert bring(here, there, names_below(here)) == f"{len(files)} {sum(p.stat().st_size for p in files)} 0"
    assert seen(there) == seen(here)
    (there / "theirs").touch()
    (here / "run").write_text("edited")
    (here / "a:b").chmod(0o640)
    (here / "link").unlink()
    (here / "link").symlink_to("nowhere")
    (here / "new").mkdir(0o700)
    (here / "new" / "empty").touch()
    (here / "deep" / "er" / "data").unlink()
    (here / "deep" / "er").rmdir()
    os.utime(here / "link", ns=(MOMENT_NS, MOMENT_NS), follow_symlinks=False)
    for directory in ("deep", "new", "."):
        os.utime(here / directory, ns=(MOMENT_NS, MOMENT_NS))
    same = (there / "a:b").stat().st_ino
    names = (b"run", b"a:b", b"link", b"new/empty", b"gone meanwhile")
    assert bring(here, there, names, [b"deep/er", b"never there"]) == "2 6 2"
    assert (there / "a:b").stat().st_ino == same
    assert there.stat().st_mtime_ns == MOMENT_NS
    (there / "theirs").unlink()
    assert seen(there) == seen(here)
    again = rsync.run(Beside(there), here, ["--recursive"])
    assert (again.files, again.size_bytes) == (0, 0)


def test_what_is_large_or_many_is_for_rsync_and_devices_stay_here(here: Path, there: Path) -> None:
    (here / "large").write_bytes(bytes(MOST_BYTES))
    os.mkfifo(here / "pipe")
    for names in ([b"large"], [b"%d" % number for number in range(MOST_NAMES + 1)]):
        with pytest.raises(TooMuch):
            Batch(here, names, ())
    assert Batch(here, [b"pipe"], ()).left_out == [b"pipe"]
    assert bring(here, there, [b"pipe"]) == "0 0 0" and not list(there.iterdir())


def step(kind: bytes, path: bytes, data: bytes = b"") -> bytes:
    return STEP.pack(kind, 0o755, MOMENT_NS, len(path), len(data)) + path + data


def test_nothing_is_written_elsewhere_and_what_is_in_the_way_stays(there: Path, tmp_path: Path) -> None:
    """Whatever names come, and wherever links in a guest's directory lead."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("theirs")
    (there / "out").symlink_to(outside)
    (there / "full" / "of").mkdir(parents=True)
    (there / "file").write_text("theirs")
    before, beside = seen(there), seen(tmp_path / "outside")
    for path in (
        b"../outside/x",
        b"/etc/x",
        os.fsencode(outside) + b"/x",
        b"out/x",
        b"full/../../x",
        b"a//x",
        b"./x",
    ):
        for kind in (REMOVE, DIRECTORY, FILE, LINK):
            assert put(str(there), step(kind, path, b"x")) == IN_THE_WAY, (kind, path)
    for kind, path in (
        (FILE, b"full"),
        (LINK, b"full"),
        (DIRECTORY, b"file"),
        (FILE, b"file/x"),
        (DIRECTORY, b"out"),
    ):
        assert put(str(there), step(kind, path, b"x")) == IN_THE_WAY, (kind, path)
    assert put(str(there), step(REMOVE, b"out/kept")) == IN_THE_WAY
    assert (seen(there), seen(outside)) == (before, beside)
    assert put(str(there / "nowhere"), step(FILE, b"x")) == IN_THE_WAY
    assert put(str(there), step(REMOVE, b"out") + step(REMOVE, b"full")) == "0 0 3"
    assert [path.name for path in there.iterdir()] == ["file"] and (outside / "kept").exists()


def test_a_batch_that_does_not_end_is_none_and_no_signal_leaves_half_of_one(there: Path) -> None:
    steps = [step(FILE, b"file-%d" % number, b"data" * 1000) for number in range(200)]
    batch = b"".join(steps)
    for sent, files in ((batch[:-1], 0), (batch, 200)):
        with subprocess.Popen(
            guest_script("receive", str(there)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as running:
            assert running.stdin and running.stdout
            running.stdin.write(LENGTH.pack(4) + b"none" + LENGTH.pack(len(batch)) + sent[:-1])
            running.stdin.flush()
            assert running.stdout.readline() == b"?\n"  # it runs, and a batch that is none does not end it
            running.stdin.write(sent[-1:])
            running.stdin.close()
            for _ in range(20):
                running.send_signal(signal.SIGHUP)
                time.sleep(0.001)
            assert running.wait(60) == 0
        assert len(list(there.iterdir())) == files


def test_it_waits_for_what_comes_next(here: Path, there: Path) -> None:
    with subprocess.Popen(
        guest_script("receive", str(there)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin and running.stdout
        for text in ("one", "another"):
            (here / "file").write_text(text)
            running.stdin.write(Batch(here, [b"file"], ()).message())
            running.stdin.flush()
            assert running.stdout.readline() == b"1 %d 0\n" % len(text)
            assert (there / "file").read_text() == text
        running.stdin.close()
        assert eventually(lambda: running.poll() == 0)
