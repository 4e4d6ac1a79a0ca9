"""A directory brought where nothing is: the program that a guest runs for it runs here, in another directory."""

import io
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import pytest

from core.daemon.streams import Input
from core.errors import GuestFailed, VertuiError
from core.guest.scripts.ignored import Rules
from tests.guests import eventually
from tests.unit.test_sync import Beside, fill, seen
from vertui.sync import rsync
from vertui.sync.first import AT_ONCE_BYTES, bring
from vertui.sync.guest import GuestSide
from vertui.transfer import Place

MOMENT_NS = 1_234_567_890_123_456_789


@dataclass
class Pipe:
    """An `Input` that is a program's own."""

    into: IO[bytes]
    meanwhile: Callable[[], None]

    def write(self, data: bytes) -> bool:
        self.meanwhile()
        try:
            self.into.write(data)
            self.into.flush()
        except BrokenPipeError:
            return False
        return True

    def eof(self) -> None:
        self.into.close()


@dataclass
class Side:
    """As much of a `GuestSide` as it takes."""

    directory: Path
    place: Place = field(default_factory=lambda: Place("beside", "/srv"))
    said: bytes = b""
    meanwhile: Callable[[], None] = lambda: None

    def moved(self, size: int) -> None:
        """Bytes that went."""

    def run(
        self, command: Sequence[str], feed: Callable[[Input], None], hear: Callable[[bytes], None]
    ) -> int:
        with subprocess.Popen(
            command, cwd=self.directory, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as running:
            assert running.stdin and running.stderr
            feed(cast(Input, Pipe(running.stdin, self.meanwhile)))
            self.said = running.stderr.read()
        return running.returncode


def side(directory: Path) -> GuestSide:
    return cast(GuestSide, Side(directory))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir(0o750)
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def test_a_tree_comes_as_it_is_and_rsync_finds_nothing_to_do(here: Path, there: Path) -> None:
    fill(here)
    (here / "big").write_bytes(os.urandom(2 * AT_ONCE_BYTES + 1))
    (here / "run").chmod(0o6755)
    (here / "deep" / "empty").mkdir(0o500)
    os.mkfifo(here / "pipe")
    os.utime(here / "dangling", ns=(MOMENT_NS, MOMENT_NS), follow_symlinks=False)
    os.utime(here / "deep", ns=(MOMENT_NS, MOMENT_NS))
    os.utime(here, ns=(MOMENT_NS, MOMENT_NS))
    tally = bring(side(there), here, Rules())
    expected = seen(here)
    del expected["pipe"]
    assert seen(there) == expected
    files = [path for path in here.rglob("*") if path.is_file() and not path.is_symlink()]
    assert (tally.files, tally.left_out) == (len(files), (b"pipe",))
    assert tally.size_bytes == sum(path.stat().st_size for path in files)
    assert (there.stat().st_mode, there.stat().st_mtime_ns) == (here.stat().st_mode, MOMENT_NS)
    again = rsync.run(Beside(there), here, ["--recursive", "--itemize-changes"])
    assert (again.files, again.size_bytes) == (0, 0)


def test_what_rules_leave_out_is_not_brought(here: Path, there: Path) -> None:
    fill(here)
    (here / ".gitignore").write_text("deep/er/\n*[[]*\n")
    bring(side(there), here, Rules(b".gitignore"))
    assert set(seen(here)) - set(seen(there)) == {"deep/er", "deep/er/data", "*[?"}


def test_of_what_cannot_be_read_or_made_nothing_stays(here: Path, there: Path, tmp_path: Path) -> None:
    fill(here)
    (here / "big").write_bytes(bytes(3_000_000))
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=True)
    try:
        with pytest.raises(
            GuestFailed, match=r"^sync to beside:/srv failed: [^:]+: No space left on device$"
        ):
            bring(side(small), here, Rules())
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)
    shorter = Side(there, meanwhile=lambda: os.truncate(here / "big", 1_000_000))
    with pytest.raises(VertuiError, match=r"big: it became shorter while it was read$"):
        bring(cast(GuestSide, shorter), here, Rules())
    assert not list(there.iterdir())


class Recorder(Side):
    """It only keeps what it is to run, and on what."""

    def run(
        self, command: Sequence[str], feed: Callable[[Input], None], hear: Callable[[bytes], None]
    ) -> int:
        self.command, self.read = command, io.BytesIO()
        pipe = Pipe(self.read, lambda: None)
        pipe.eof = lambda: None  # type: ignore[method-assign]
        feed(cast(Input, pipe))
        return 0


@pytest.mark.parametrize("after_ms", [None, *range(0, 60, 6)])
def test_a_stream_that_does_not_end_leaves_nothing(here: Path, there: Path, after_ms: int | None) -> None:
    """Also of one that is told to end while it takes away what it had made: who hangs up ends its input and says so."""
    for number in range(1000):
        (here / f"{number}").write_bytes(b"data")
    kept = Recorder(there)
    bring(cast(GuestSide, kept), here, Rules())
    data = kept.read.getvalue()
    cut = len(data) - 2 * 512 - 512  # all but the last member and the end
    with subprocess.Popen(kept.command, cwd=there, stdin=subprocess.PIPE, process_group=0) as running:
        assert running.stdin
        running.stdin.write(data[:cut])
        running.stdin.flush()
        assert eventually(lambda: any(there.glob(".vertui-sync-*/*")))
        running.stdin.close()
        if after_ms is not None:
            time.sleep(after_ms / 1000)
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGHUP)
        assert running.wait(60) == 1
    assert not list(there.iterdir())
