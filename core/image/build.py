"""Building an image's files, step by step, leaving whole things or nothing."""

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from core.errors import Conflict
from core.files import disk_error, sync_directory, write_atomic
from core.image import whole
from core.image.debian import kernel_version, make_rootfs, unpack_packages
from core.image.modules import initrd
from core.image.recipe import GUEST, SOURCES, Recipe
from core.image.tools import alone, hearing, run
from core.progress import BuildStep, TellStep

KEPT_BASES = 3
"""Bases stay in the cache for the next image; each is a quarter of a gigabyte."""


async def digest(recipe: Recipe) -> str:
    """Names the image these inputs would make now: the same digest means there is nothing to build."""
    return recipe.digest(await kernel_version())


async def build_files(recipe: Recipe, directory: Path, cache: Path, progress: TellStep) -> None:
    """Fill the empty `directory` with root.raw, vmlinux, initrd and empty.qcow2, durably, and a list of them.

    `cache` keeps the base for the next image; one that is not whole is made again. `progress` is told the step's name
    and how far it is, 0…1.
    Raises Conflict when another build uses the cache, Unsupported when a tool is missing, NoRoom, Damaged, VertuiError.
    On failure, cancelled or killed, the cache holds whole bases only; the caller removes `directory`.
    """
    try:
        async with _workshop(cache) as work:
            base = await _base(recipe, cache, work, progress)
            await _assemble(recipe, base, directory, work, progress)
            await asyncio.to_thread(whole.settle, directory)
    except OSError as error:
        raise disk_error(error, directory) from error


async def _base(recipe: Recipe, cache: Path, work: Path, progress: TellStep) -> Path:
    """The cached base of this recipe, made first if need be."""
    base = cache / f"base-{recipe.base_digest(await kernel_version())}"
    if base.exists() and not await asyncio.to_thread(whole.is_whole, base):
        hearing.get()("what was kept of Debian is not whole: it is made again")
        await asyncio.to_thread(whole.remove, base, work)
    if not base.exists():
        fresh = work / "base"
        fresh.mkdir()
        progress(BuildStep.INSTALL, 0.0)
        await make_rootfs(recipe, fresh, lambda fraction: progress(BuildStep.INSTALL, fraction))
        progress(BuildStep.UNPACK, 0.0)
        await unpack_packages(fresh)
        await asyncio.to_thread(whole.settle, fresh)
        progress(BuildStep.UNPACK, 1.0)
        fresh.replace(base)
        sync_directory(cache)
    os.utime(base)
    bases = sorted(cache.glob("base-*"), key=lambda path: path.stat().st_mtime)
    for unused in bases[:-KEPT_BASES]:
        await asyncio.to_thread(whole.remove, unused, work)
    return base


async def _assemble(recipe: Recipe, base: Path, directory: Path, work: Path, progress: TellStep) -> None:
    progress(BuildStep.DISK, 0.0)
    disk = directory / "root.raw"
    inputs = [base / "rootfs.tar", base / "modules", base / "busybox", GUEST, disk]
    scratch = work / "scratch"
    scratch.mkdir()
    script = [
        "sh",
        str(SOURCES / "disk.sh"),
        str(scratch / "tree"),
        *map(str, inputs),
        str(recipe.disk_bytes),
    ]
    await run(alone(script, scratch))
    disk.chmod(0o600)
    progress(BuildStep.DISK, 1.0)
    progress(BuildStep.INITRD, 0.0)
    await asyncio.to_thread(shutil.copyfile, base / "vmlinux", directory / "vmlinux")
    write_atomic(directory / "initrd", initrd(base / "modules", base / "busybox"))
    overlay = ["-o", "cluster_size=4k", str(directory / "empty.qcow2"), str(recipe.disk_bytes)]
    await run(["qemu-img", "create", "-q", "-f", "qcow2", *overlay])
    progress(BuildStep.INITRD, 1.0)


@contextlib.asynccontextmanager
async def _workshop(cache: Path) -> AsyncIterator[Path]:
    """An empty scratch directory, one build's at a time: what a killed build left in it goes first."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = os.open(cache / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        work = cache / "work"
        await _remove(work)
        work.mkdir()
        try:
            yield work
        finally:
            await _remove(work)
    except BlockingIOError as error:
        raise Conflict("another image is being built: wait for it to finish") from error
    finally:
        os.close(lock)


def empty_cache(cache: Path) -> int:
    """Remove every base; bytes freed. Nothing while a build is at work with them."""
    try:
        lock = os.open(cache / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # nothing was ever built here
        return 0
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        work = cache / "work"
        work.mkdir(exist_ok=True)
        bases = list(cache.glob("base-*"))
        freed = sum(path.lstat().st_blocks * 512 for top in (work, *bases) for path in top.rglob("*"))
        for base in bases:
            whole.remove(base, work)
        shutil.rmtree(work)
        return freed
    except BlockingIOError:
        return 0
    except OSError as error:
        raise disk_error(error, cache) from error
    finally:
        os.close(lock)


async def _remove(tree: Path) -> None:
    """Remove a tree, also while being cancelled."""
    if tree.exists():
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, tree))
