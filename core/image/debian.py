"""The base of an image: a Debian tree as a tar, with its kernel, modules and busybox unpacked beside it."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from core.errors import Damaged
from core.image.kernel import unpack_kernel
from core.image.modules import keep_modules
from core.image.recipe import SOURCES, Recipe
from core.image.tools import alone, output, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
KERNEL_PACKAGE = "linux-image-cloud-amd64"
ACQUIRE = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")
"""The host's apt settings that decide whether a mirror is reached: proxies and clocks."""

PACKAGE_STEPS = ("Get:", "Unpacking ", "Setting up ")
USUAL_STEPS = 460
"""Lines like these of a usual run: only the progress bar depends on the guess."""

Step = Callable[[float], None]


async def kernel_version() -> str:
    """The version of Debian's cloud kernel this host's apt would install now, or "unknown"."""
    policy = await output(["apt-cache", "policy", KERNEL_PACKAGE])
    versions = [line.split()[1] for line in policy.split("\n") if line.strip().startswith("Candidate:")]
    return versions[0] if versions else "unknown"


async def make_rootfs(recipe: Recipe, work: Path, step: Step) -> None:
    """Write work/rootfs.tar and the packages work/debs/*.deb, from the mirrors this host's apt knows."""
    scratch = work / "scratch"
    scratch.mkdir()
    (work / "apt.conf").write_text(await _apt_settings())
    seen = 0

    def line(text: str) -> None:
        nonlocal seen
        if text.startswith(PACKAGE_STEPS):
            seen += 1
            step(min(seen / USUAL_STEPS, 1.0))

    await run(alone(await _mmdebstrap(recipe, work), scratch), line, env={"TMPDIR": str(scratch)})
    scratch.rmdir()


async def unpack_packages(work: Path) -> None:
    """Turn work/debs into work/vmlinux, work/busybox and work/modules/VERSION."""
    raw = work / "unpacked"
    for package in (work / "debs").glob("*.deb"):
        await run(["dpkg-deb", "-x", str(package), str(raw)])
    modules = next(raw.glob("lib/modules/*"), None)
    if modules is None:
        raise Damaged("Debian's kernel package holds no modules")
    await run([str(raw / "bin/busybox"), "depmod", "-b", str(raw), modules.name])
    keep_modules(modules, work / "modules" / modules.name)
    await unpack_kernel(raw / f"boot/vmlinuz-{modules.name}", work / "vmlinux")
    shutil.copy(raw / "bin/busybox", work / "busybox")
    shutil.rmtree(raw)
    shutil.rmtree(work / "debs")


async def _mmdebstrap(recipe: Recipe, work: Path) -> list[str]:
    return [
        "mmdebstrap",
        "--verbose",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(recipe.installed)}",
        f"--aptopt={work / 'apt.conf'}",
        f'--extract-hook=sh {shlex.quote(str(SOURCES / "extracted.sh"))} "$1"',
        f'--customize-hook=sh {shlex.quote(str(SOURCES / "fetch.sh"))} "$1"',
        f"--customize-hook=copy-out /debs {shlex.quote(str(work))}",
        '--customize-hook=rm -r "$1/debs"',
        recipe.suite,
        str(work / "rootfs.tar"),
        *await _mirrors(recipe.suite, work),
    ]


async def _mirrors(suite: str, work: Path) -> list[str]:
    """A sources list of the Debian mirrors this host's apt uses for the suite; none leaves mmdebstrap its default."""
    trust = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    line = f"deb {trust}$(REPO_URI) $(RELEASE) $(COMPONENT)"
    known = await output(
        ["apt-get", "indextargets", "--format", line, "Created-By: Packages", "Origin: Debian"]
    )
    lines = [text for text in known.split("\n") if re.search(rf" {suite}(-updates|-security)? ", text)]
    if not lines:
        return []
    (work / "sources.list").write_text("".join(f"{text}\n" for text in sorted(set(lines))))
    return [str(work / "sources.list")]


async def _apt_settings() -> str:
    """The host's settings that matter, and ours: nothing recommended, no translations, downloads as root."""
    dump = await output(["apt-config", "dump"])
    kept = [line for line in dump.split("\n") if line.startswith(ACQUIRE)]
    ours = ('APT::Install-Recommends "false";', 'Acquire::Languages "none";', 'APT::Sandbox::User "root";')
    return "".join(f"{line}\n" for line in (*kept, *ours))
