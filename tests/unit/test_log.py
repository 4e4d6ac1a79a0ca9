"""What the daemon prints is bounded, and nothing that prints can fail."""

import os
import traceback
from pathlib import Path

from core.log import KEPT_BYTES, LARGEST_BYTES, Log, shorten


def test_what_repeats_is_printed_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = Log(descriptor)
    for number in range(1000):
        try:
            raise ValueError("the same")
        except ValueError:
            traceback.print_exc(file=log)
        print("each its own", number % 2, file=log)
    os.close(descriptor)
    lines = path.read_text().splitlines()
    assert lines.count("ValueError: the same") == 1 and lines.count("Traceback (most recent call last):") == 1
    assert [line for line in lines if "own" in line] == ["each its own 0", "each its own 1"]


def test_a_full_disk_ends_nobody() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    print("nobody hears it", file=Log(descriptor), flush=True)
    os.close(descriptor)


def test_a_long_log_keeps_its_newest_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %09d\n" % number for number in range(LARGEST_BYTES // 15 + 1)))
    with path.open("ab", buffering=0) as appending:
        shorten(path)
        appending.write(b"and on\n")
    lines = path.read_bytes().splitlines()
    assert path.stat().st_size <= KEPT_BYTES + 10
    assert lines[-1] == b"and on" and all(len(line) == 14 for line in lines[:-1])
