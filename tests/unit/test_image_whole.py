"""What builds keep is whole, or made anew; what is being removed is never taken for whole."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.image import Recipe, build_files, whole
from core.image.debian import kernel_version
from core.progress import BuildStep

BLOCK = "modules/6.1/kernel/drivers/block/virtio_blk.ko"


class Began(Exception):
    """A build got so far."""


def made(directory: Path) -> Path:
    """What looks like a base."""
    for name in ("rootfs.tar", "busybox", "vmlinux", BLOCK):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    whole.settle(directory)
    return directory


def put_beside(base: Path) -> None:
    (base / "touched").touch()


def lost(base: Path) -> None:
    (base / BLOCK).unlink()


def cut(base: Path) -> None:
    os.truncate(base / "rootfs.tar", 3)


def of_an_earlier_vertui(base: Path) -> None:
    (base / whole.LIST).unlink()


@pytest.mark.parametrize(
    ("happens", "stays"), [(put_beside, True), (lost, False), (cut, False), (of_an_earlier_vertui, False)]
)
def test_what_has_lost_something_is_not_whole(
    tmp_path: Path, happens: Callable[[Path], None], stays: bool
) -> None:
    base = made(tmp_path)
    happens(base)
    assert whole.is_whole(base) == stays


async def test_a_build_begins_anew_where_what_was_kept_is_not_whole(tmp_path: Path) -> None:
    def told(step: BuildStep, _: float) -> None:
        raise Began(step)

    base = made(tmp_path / "cache" / f"base-{Recipe().base_digest(await kernel_version())}")
    for step in (BuildStep.DISK, BuildStep.INSTALL):
        with pytest.raises(Began) as began:
            await build_files(Recipe(), tmp_path / "image", tmp_path / "cache", told)
        assert began.value.args == (step,)
        if step is BuildStep.DISK:
            lost(base)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_what_goes_loses_its_name_before_any_of_its_files(tmp_path: Path) -> None:
    base = made(tmp_path / "base")
    with pytest.raises(FileNotFoundError):
        whole.remove(base, tmp_path / "no-such-place")
    assert whole.is_whole(base)
    whole.remove(base, tmp_path)
    assert not list(tmp_path.iterdir())
