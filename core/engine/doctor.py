"""What this machine can and cannot do, and the fix; and the daemon's own facts."""

import asyncio
import os
import shutil

from core import VERSION, debian, host
from core.engine.context import Engine
from core.engine.images import better_accelerator, why_emulated
from core.engine.memory import available_bytes
from core.engine.pool import waiting
from core.holder import confine
from core.image import tools
from core.machine.accelerator import DEVICE, KVM, kvm_trouble
from core.model import DaemonStatus, Finding, Image
from core.names import spelled
from core.network import probe

LOW_DISK_BYTES = 2 << 30
LOW_MEMORY_BYTES = 1 << 30


def status(engine: Engine) -> DaemonStatus:
    """The daemon and what it holds."""
    holder = engine.held.holdings().pid
    return DaemonStatus(
        os.getpid(), holder, VERSION, spelled(bytes(engine.home.root)), len(engine.machines.live), engine.verbs.since,
        waiting(engine), engine.admission.listening,
    )  # fmt: skip


async def findings(engine: Engine) -> list[Finding]:
    """Every requirement, tried."""
    return await asyncio.to_thread(_findings, engine, engine.catalog.images())


def _findings(engine: Engine, images: list[Image]) -> list[Finding]:
    findings = [_tool(name) for name in debian.programs()] + [debian.finding(_place)]
    findings += [
        Finding(name, ok, "works" if ok else "does not work", fix) for name, ok, fix in probe.check()
    ]
    findings += [
        host.device(*host.FUSE),
        _kvm(engine, images),
        confinement(confine.trouble()),
        *host.findings(),
    ]
    free = shutil.disk_usage(engine.home.root).free
    findings.append(Finding("disk", free > LOW_DISK_BYTES, f"{free >> 20} MiB free", "free at least 2 GiB"))
    memory = available_bytes()
    findings.append(
        Finding("memory", memory > LOW_MEMORY_BYTES, f"{memory >> 20} MiB free", "free at least 1 GiB")
    )
    return findings


def _tool(name: str) -> Finding:
    path = _place(name)
    return Finding(name, path is not None, path or "missing", "")


def _place(name: str) -> str | None:
    """Where a program is looked for by whoever runs it."""
    return shutil.which(name, path=tools.PATH if name in tools.PACKAGES else None)


def confinement(trouble: str | None) -> Finding:
    """Machines run all the same without what a kernel lacks, and are less apart from the host."""
    what, _, fix = (trouble or "").partition(": ")
    return Finding("confinement of machines", trouble is None, what or "whole", fix)


def _kvm(engine: Engine, images: list[Image]) -> Finding:
    said = (told(engine, image) for told in (better_accelerator, why_emulated) for image in images)
    return kvm_finding(
        {image.spec.accelerator for image in images}, kvm_trouble(), next(filter(None, said), "")
    )


def kvm_finding(used: set[str], trouble: str | None, remark: str) -> Finding:
    """What the images' own boots showed. Emulation is no fault, only slower; but images made on KVM need it."""
    detail = (
        f"images boot on {', '.join(sorted(used)) or 'nothing yet'}; {remark or trouble or f'{DEVICE} opens'}"
    )
    return Finding("accelerator", KVM not in used or trouble is None, detail, trouble or "")
