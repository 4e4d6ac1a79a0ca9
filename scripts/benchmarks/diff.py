"""Two states of an image compared: time and bytes read, beside the ways that walk both."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
from disks import ROOT, Disks, make_disks
from report import Report, median_ms, timed_ms

from core.diff.compare import Loaded
from core.diff.ext4 import Volume
from core.diff.filesystem import diff_disks, walk
from core.diff.index import PathIndex
from core.diff.meta import FileType, Meta
from core.diff.result import Counts
from core.diff.shape import counted, shown
from core.disk.qcow2 import ChainDisk

FEW, MANY = 20_000, 200_000
QUICK_FEW, QUICK_MANY = 2_000, 20_000
WARM_MS, WARM_AIM_MS, COLD_MS = 150.0, 50.0, 1000.0
COLD_SAMPLES = 3
TIMES_MORE = 2.0  # what ten times the files may cost at most

MOUNTED = """
set -e
mount -o loop,ro "$1" "$3/before"
mount -o loop,ro "$2" "$3/after"
shift 2
cd "$1"; shift
set +e
"$@" > out 2>&1 < /dev/null
cd /
umount "$OLDPWD/before"
umount "$OLDPWD/after"
"""


def measure(quick: bool) -> Report:
    """Our figures for few and many files, then the others' for few."""
    sizes = (QUICK_FEW, QUICK_MANY) if quick else (FEW, MANY)
    report = Report(f"diff: {sizes[0]:,} and {sizes[1]:,} files, 100 changed")
    found = {}
    for files in sizes:
        disks = make_disks(files)
        warm, cold = _ours_ms(disks, quick)
        found[files] = warm, _read_bytes(disks)
        scale = 1.0 if files == sizes[0] else TIMES_MORE
        report.add(f"{files:,} files, warm path index", warm, "ms", must=WARM_MS * scale, aim=WARM_AIM_MS)
        report.add(f"{files:,} files, no path index yet", cold, "ms", must=COLD_MS * scale)
        report.add(f"{files:,} files, bytes read", found[files][1] / 1024, "KiB")
    few, many = (found[files] for files in sizes)
    report.add("ten times the files: time", many[0] / few[0], "times", must=TIMES_MORE, aim=1.0)
    report.add("ten times the files: bytes read", many[1] / few[1], "times", must=TIMES_MORE, aim=1.0)
    _add_others(report, make_disks(sizes[0]), sizes[0])
    return report


def _ours_ms(disks: Disks, quick: bool) -> tuple[float, float]:
    with ChainDisk(disks.before) as base:
        index = PathIndex(base)
        warm = median_ms(lambda: summary(disks, index), quick)
    return warm, median_ms(lambda: summary(disks, None), quick, COLD_SAMPLES)


def summary(disks: Disks, index: PathIndex | None) -> Counts:
    """What a diff's request does once it has its two states: open, compare, shape."""
    with ChainDisk(disks.before) as a, ChainDisk(disks.before, [disks.overlay]) as b:
        return counted(shown(diff_disks(a, b, index)))


def _read_bytes(disks: Disks) -> int:
    """What a warm diff reads, by /proc/self/io, which counts whether or not the page cache has it."""
    with ChainDisk(disks.before) as base:
        index = PathIndex(base)
        io = psutil.Process().io_counters
        before = io().read_chars
        summary(disks, index)
        return io().read_chars - before


def _add_others(report: Report, disks: Disks, files: int) -> None:
    """The others run once, with everything in the page cache: they walk both trees and read every file."""
    for title, contents in (("virt-diff's way", False), ("virt-diff --checksum's way", True)):
        name = f"{files:,} files, {title}: walk both without mounting"
        report.add(name, timed_ms(partial(_walk_both, disks, contents=contents)), "ms")
    commands = {
        "diff -rq on loop mounts": ["diff", "-rq", "before", "after"],
        "rsync -n on loop mounts": ["rsync", "-nrlptgoDc", "--delete", "before/", "after/"],
        "git diff --no-index --stat on loop mounts": [
            "git",
            "diff",
            "--no-index",
            "--stat",
            "before",
            "after",
        ],
    }
    for title, command in commands.items():
        if shutil.which(command[0]) is None:
            report.notes.append(f"{title}: {command[0]} is not installed")
            continue
        try:
            _mounted(disks, command)
            report.add(f"{files:,} files, {title}", _mounted(disks, command), "ms")
        except subprocess.CalledProcessError:
            report.notes.append(f"{title}: this user cannot mount")


def _walk_both(disks: Disks, *, contents: bool) -> None:
    with ChainDisk(disks.before) as a, ChainDisk(disks.after) as b:
        assert _walked(a, contents) != _walked(b, contents)


def _walked(disk: ChainDisk, contents: bool) -> dict[bytes, tuple[Meta, bytes]]:
    metas = walk(disk)
    loaded = Loaded.of(Volume(disk), {meta.inode for meta in metas.values()})
    return {
        path: (meta, loaded.content(meta).digest() if contents and meta.type is FileType.FILE else b"")
        for path, meta in metas.items()
    }


def _mounted(disks: Disks, command: list[str]) -> float:
    with _directory() as work:
        timed = ["sh", "-c", 'date +%s%N > began; "$@"; date +%s%N > ended', "sh", *command]
        script: list[str | Path] = [
            "unshare",
            "-m",
            "sh",
            "-c",
            MOUNTED,
            "mounted",
            disks.before,
            disks.after,
            work,
            *timed,
        ]
        subprocess.run(script, check=True, capture_output=True)
        began, ended = (int((work / name).read_text()) for name in ("began", "ended"))
        return (ended - began) / 1e6


@contextmanager
def _directory() -> Iterator[Path]:
    work = ROOT / "mounts"
    for name in ("before", "after"):
        (work / name).mkdir(parents=True, exist_ok=True)
    try:
        yield work
    finally:
        shutil.rmtree(work)
