"""The reserve: given up when room is short, taken back as far as it fits, never what fills a disk."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.files import os_files
from core.room import MARGIN_BYTES, RESERVE_BYTES, Reserve, free_bytes, no_room

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 64 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def take(path: Path, left: int) -> None:
    """Fill the disk but for so many bytes."""
    os_files.append(path / "filler", bytes(free_bytes(path) - left))


def test_it_is_given_up_and_taken_back(disk: Path) -> None:
    reserve = Reserve(disk / "reserve", lambda: 0)
    assert reserve.take_back() and free_bytes(disk) == 64 * MIB - RESERVE_BYTES
    with reserve.lent():
        assert reserve.whole, "there was room enough"
    take(disk, 0)
    with reserve.lent(), reserve.lent():
        assert free_bytes(disk) == RESERVE_BYTES
        os_files.append(disk / "written", bytes(MIB))
    assert free_bytes(disk) == 0 and not reserve.whole
    with reserve.lent():
        assert free_bytes(disk) == RESERVE_BYTES - MIB
    (disk / "filler").unlink()
    assert reserve.take_back() and free_bytes(disk) == 64 * MIB - RESERVE_BYTES - MIB


@pytest.mark.parametrize("left", [0, 10 * MIB, RESERVE_BYTES, RESERVE_BYTES + MARGIN_BYTES - 4096])
def test_it_does_not_fill_a_disk(disk: Path, left: int) -> None:
    take(disk, left)
    reserve = Reserve(disk / "reserve", lambda: 0)
    with reserve.lent():
        pass
    assert not reserve.take_back() and free_bytes(disk) == left


def test_a_sparse_copy_is_none(disk: Path) -> None:
    reserve = Reserve(disk / "reserve", lambda: 0)
    with (disk / "reserve").open("wb") as file:
        file.truncate(RESERVE_BYTES)
    assert not reserve.whole and reserve.take_back()


def test_what_is_short_is_said(disk: Path) -> None:
    take(disk, 3 * MIB + 1)
    told = str(no_room("a commit", disk / "not" / "there", 5 * MIB - 1))
    assert told.startswith(f"no room for a commit: 3 MiB free on {disk}, 5 MiB needed; `vertui store gc`")
