"""L1: a Debian with QEMU and a kernel with KVM, made once and kept in build/kvm."""

import asyncio
import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files import write_atomic
from core.image import whole
from core.image.build import build_files
from core.image.debian import kernel_version, make_rootfs, unpack_packages
from core.image.modules import initrd
from core.image.recipe import GIB, Recipe
from core.image.tools import alone, run

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
KEPT = ROOT / "build" / "kvm"
DISK_BYTES = 12 * GIB
PACKAGES = (
    *("qemu-system-x86", "qemu-utils", "seabios"),
    *("mmdebstrap", "debian-archive-keyring", "e2fsprogs", "lz4", "uidmap"),
    *("libnftables1", "nftables", "iproute2", "libseccomp2", "openssh-client", "procps"),
    *("kmod", "util-linux", "strace"),
)
PYTHON = "3.11"  # bookworm's
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


async def make_l1() -> Path:
    """The directory with L1's root disk, kernel and initrd; made when an input of it is another."""
    wanted = KEPT / f"l1-{_digest(await kernel_version())}"
    if whole.is_whole(wanted):
        return wanted
    for other in KEPT.glob("l1-*"):
        shutil.rmtree(other)
    with _workshop() as work:
        _say("installing L1's Debian")
        await make_rootfs(Recipe(packages=PACKAGES), work, lambda _: None)
        await _unpack_modules(work)
        await unpack_packages(work)
        _say("installing vertui's libraries for it")
        _libraries(work / "libraries")
        _say("making its disk")
        scratch = work / "scratch"
        scratch.mkdir()
        made = work / "l1"
        made.mkdir()
        inputs = [work / "rootfs.tar", work / "all-modules", work / "libraries"]
        words = [scratch / "tree", *inputs, made / "root.raw", DISK_BYTES]
        await run(alone(["sh", str(HERE / "disk.sh"), *map(str, words)], scratch))
        shutil.copyfile(work / "vmlinux", made / "vmlinux")
        write_atomic(made / "initrd", initrd(work / "modules", work / "busybox"))
        whole.settle(made)
        made.rename(wanted)
    return wanted


async def make_base() -> Path:
    """The Debian base of L2's image, under the name it has where apt knows no version, as in L1."""
    recipe, cache, scratch = Recipe(), KEPT / "cache", KEPT / "l2"
    base = cache / f"base-{recipe.base_digest(await kernel_version())}"
    if not whole.is_whole(base):
        _say("installing L2's Debian")
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            await build_files(recipe, scratch, cache, lambda *_: None)
        finally:
            shutil.rmtree(scratch)
    return base


def payload(base: Path, job: str) -> Path:
    """A tar of this source, of L2's base in the cache of a home, and of what to do."""
    tar, tree = KEPT / "payload.tar", KEPT / "payload"
    shutil.rmtree(tree, ignore_errors=True)
    cache = tree / "cache" / f"base-{Recipe().base_digest('unknown')}"
    cache.parent.mkdir(parents=True)
    cache.symlink_to(base)
    (tree / "job").write_text(job)
    source = ["core", "vertui", "tests", "scripts", "assets", "pyproject.toml"]
    pack = ["tar", "-chf", str(tar), "--exclude=__pycache__"]
    subprocess.run([*pack, "-C", str(ROOT), *source, "-C", str(tree), "cache", "job"], check=True)
    shutil.rmtree(tree)
    return tar


def _digest(kernel: str) -> str:
    """Names L1's disk by what goes into it."""
    sources = (
        HERE / "disk.sh",
        HERE / "l1.py",
        ROOT / "core/image/modules.py",
        ROOT / "core/image/debian.py",
    )
    parts = [kernel, *_requirements(), *(source.read_text() for source in sources)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


async def _unpack_modules(work: Path) -> None:
    """All modules of the kernel, to all-modules/VERSION: an image keeps only what its guests may need."""
    raw = work / "kernel"
    for package in (work / "debs").glob("*.deb"):
        await run(["dpkg-deb", "-x", str(package), str(raw)])
    (raw / "lib/modules").rename(work / "all-modules")
    shutil.rmtree(raw)


def _requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"][:1]]


def _libraries(target: Path) -> None:
    """What vertui imports, for L1's Python, whatever Python runs this."""
    platforms = [f"--platform={name}" for name in PLATFORMS]
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", f"--target={target}"]
    only = ["--only-binary=:all:", f"--python-version={PYTHON}", *platforms]
    subprocess.run([*pip, *only, *_requirements()], check=True)


@contextmanager
def _workshop() -> Iterator[Path]:
    work = KEPT / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work)


def _say(text: str) -> None:
    print(f"test-kvm: {text}", flush=True)


def main() -> None:
    """Make all that a run needs."""
    asyncio.run(make_l1())


if __name__ == "__main__":
    main()
