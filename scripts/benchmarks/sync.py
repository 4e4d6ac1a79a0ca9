"""`scripts/bench sync`: a tree of small files into branches, and bytes by exec and cp."""

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import MB, Lab, lab
from report import Report, timed_ms

from core.daemon import streams
from core.model import ExecRequest

FILES, FILE_BYTES, EDITED = 10_000, 6_000, 10
BRANCHES, EDITS = 4, 10
STREAM_MB, QUICK_STREAM_MB = 200, 20
FIRST_MUST_S, AGAIN_MUST_S, FOLLOWED_MUST_MS = 15.0, 1.0, 1000.0
STREAM_MB_S = 50.0
KEEPS_UP = 0.9  # that must be where the guest keeps up: its processors are busy for no more of the time
VERTUI = (sys.executable, "-P", "-m", "vertui")
WAIT = """
import time
while True:
    try:
        if open("/srv/work/{0}").read() == "{1}":
            break
    except OSError:
        pass
    time.sleep(0.02)
"""
WAITING_S = 3.0  # until a guest has started that


def measure(quick: bool) -> Report:
    """The tree the first time and again, edits that are followed, and what exec and cp carry."""
    files = FILES // (20 if quick else 1)
    report = Report(f"{files:,} files, {files * FILE_BYTES / MB:.0f} MB, by `sync`")
    with lab("sync") as found, tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        _fill(top, files)
        found.client.up("base", "main")
        _ran(found, "exec", "main", "--", "rsync", "--version")
        first = timed_ms(lambda: _ran(found, "sync", directory, "main:/srv/work"))
        report.add(
            "first", first / 1000, "s", must=FIRST_MUST_S, promise=4, timed="the command, from start to end"
        )
        again = [_again(found, top, number) for number in range(2 if quick else 5)]
        report.add_samples(
            f"again with {EDITED} changed", again, "s", must=AGAIN_MUST_S, promise=4, timed="the command"
        )
        _followed(found, top, report, quick)
        _streamed(found, (QUICK_STREAM_MB if quick else STREAM_MB) * 1_000_000, report)
    return report


def _fill(top: Path, files: int) -> None:
    chance = random.Random(1)
    for number in range(files):
        directory = top / f"d{number // 100}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number}").write_bytes(chance.randbytes(FILE_BYTES))


def _again(found: Lab, top: Path, number: int) -> float:
    for file in range(EDITED):
        (top / "d0" / f"f{file + 10 * number}").write_bytes(os.urandom(FILE_BYTES))
    return timed_ms(lambda: _ran(found, "sync", str(top), "main:/srv/work")) / 1000


def _ran(found: Lab, *words: str) -> None:
    subprocess.run([*VERTUI, *words], env=_environment(found), stdout=subprocess.DEVNULL, check=True)


def _environment(found: Lab) -> dict[str, str]:
    return os.environ | {"VERTUI_HOME": str(found.home.root)}


def _followed(found: Lab, top: Path, report: Report, quick: bool) -> None:
    """From an edit here until a program in the last of some branches has read it."""
    names = [child.name for child in found.fork("main", BRANCHES).children]
    with _following(found, top, names):
        samples = [_edit(found, top, names, f"edit{number}") for number in range(2 if quick else EDITS)]
    report.add_samples(
        f"an edit in {BRANCHES} branches by --watch", samples, must=FOLLOWED_MUST_MS, promise=4,
        timed="written here → read in the last one",
    )  # fmt: skip


@contextmanager
def _following(found: Lab, top: Path, names: list[str]) -> Iterator[None]:
    words = ("sync", str(top), *(f"{name}:/srv/work" for name in names), "--watch", "--json")
    with subprocess.Popen([*VERTUI, *words], env=_environment(found), stdout=subprocess.PIPE) as running:
        assert running.stdout
        for _ in names:
            running.stdout.readline()
        try:
            yield
        finally:
            running.terminate()


def _edit(found: Lab, top: Path, names: list[str], text: str) -> float:
    waiting = [
        threading.Thread(target=found.text, args=(name, "python3", "-c", WAIT.format("edited", text)))
        for name in names
    ]
    for thread in waiting:
        thread.start()
    time.sleep(WAITING_S)
    began = time.perf_counter()
    (top / "edited").write_text(text)
    for thread in waiting:
        thread.join()
    return (time.perf_counter() - began) * 1000


def _streamed(found: Lab, size: int, report: Report) -> None:
    _add_stream(found, report, "into a guest by exec", "`cat > /dev/null`", size, _write)
    _add_stream(found, report, "out of one", "`head -c N /dev/zero`", size, _read)
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(size))
        file.flush()
        copied = _rate(size, lambda: _ran(found, "cp", file.name, "main:/dev/shm/copied"))
    report.add("into its memory by cp", copied, "MB/s", timed="the command")


def _add_stream(
    found: Lab, report: Report, name: str, timed: str, size: int, act: Callable[[Lab, int], None]
) -> None:
    worked, slept = _processors(found)
    rate = _rate(size, lambda: act(found, size))
    works, sleeps = _processors(found)
    busy = (works - worked) / (works - worked + sleeps - slept)
    must = STREAM_MB_S if busy < KEEPS_UP else None
    report.add(name, rate, "MB/s", must=must, aim=STREAM_MB_S, at_least=True, timed=timed)
    report.add("its processor busy meanwhile", busy * 100, "%", timed="/proc/stat of the guest")


def _processors(found: Lab) -> tuple[int, int]:
    """Of the guest's processors: ticks they worked, and ticks they slept."""
    ticks = [int(word) for word in found.text("main", "head", "-1", "/proc/stat").split()[1:9]]
    slept = ticks[3] + ticks[4]
    return sum(ticks) - slept, slept


def _rate(size: int, act: Callable[[], object]) -> float:
    return size / MB / (timed_ms(act) / 1000)


def _write(found: Lab, size: int) -> None:
    request = ExecRequest("main", ("sh", "-c", "cat > /dev/null"), stdin=True, lossless=True)
    with streams.run(found.home, request) as stream:
        piece = bytes(1 << 20)
        for _ in range(size // len(piece)):
            stream.write(piece)
        stream.eof()
        for _ in stream:
            pass


def _read(found: Lab, size: int) -> None:
    request = ExecRequest("main", ("head", "-c", str(size), "/dev/zero"), lossless=True)
    with streams.run(found.home, request) as stream:
        for _ in stream:
            pass
