"""What this machine can and cannot do, and the fix; and the daemon's own facts."""

import os
import shutil
from importlib.metadata import version

from core.engine.context import Engine
from core.engine.memory import available_bytes
from core.engine.pool import waiting
from core.model import DaemonStatus, Finding
from core.network import probe

TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "busybox": "busybox-static",
    "lz4": "lz4",
}
LOW_DISK_BYTES = 2 << 30
LOW_MEMORY_BYTES = 1 << 30


def status(engine: Engine) -> DaemonStatus:
    """The daemon and what it holds."""
    holder = engine.held.holdings().pid
    return DaemonStatus(
        os.getpid(), holder, version("vertui"), str(engine.home.root), len(engine.live), engine.started,
        waiting(engine),
    )  # fmt: skip


def findings(engine: Engine) -> list[Finding]:
    """Every requirement, tried."""
    found = [_tool(name, package) for name, package in TOOLS.items()]
    found += [Finding(name, ok, "works" if ok else "does not work", fix) for name, ok, fix in probe.check()]
    found += [_fuse(), _kvm(engine)]
    free = shutil.disk_usage(engine.home.root).free
    found.append(Finding("disk", free > LOW_DISK_BYTES, f"{free >> 20} MiB free", "free at least 2 GiB"))
    memory = available_bytes()
    found.append(
        Finding("memory", memory > LOW_MEMORY_BYTES, f"{memory >> 20} MiB free", "free at least 1 GiB")
    )
    return found


def _tool(name: str, package: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, path is not None, path or "missing", "" if path else f"apt-get install {package}")


def _fuse() -> Finding:
    """Machines map their memory from a mount that /dev/fuse serves."""
    opens = os.access("/dev/fuse", os.R_OK | os.W_OK)
    fix = "" if opens else "modprobe fuse, and let your user read and write /dev/fuse"
    return Finding("/dev/fuse", opens, "opens" if opens else "cannot be opened", fix)


def _kvm(engine: Engine) -> Finding:
    """What the images' own boots showed; emulation is no fault, only slower."""
    used = sorted({image.spec.accelerator for image in engine.catalog.images()})
    opens = os.access("/dev/kvm", os.R_OK | os.W_OK)
    detail = (
        f"/dev/kvm {'opens' if opens else 'does not open'}; images boot on {', '.join(used) or 'nothing yet'}"
    )
    fix = "" if opens else "emulation is used; for speed: modprobe kvm_intel or kvm_amd, join group kvm"
    return Finding("accelerator", True, detail, fix)
