"""Boot L1, print what it prints, and end as it ended: 0 when every step passed."""

import asyncio
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import l1

from core.image.kernel import KERNEL_ARGS

MEMORY = "6G"
CPU = "EPYC,+svm,+npt,-avx,-avx2,-fma,-f16c"  # tcg computes AVX2 wrong
TICKS = "tsc=reliable highres=off nohz=off"  # one that is lost, as happens beside SVM, is followed by another
CLOSING = re.compile(r"test-kvm: (\d+) passed, (\d+) failed")
LONGEST_S = 5400.0
# The latter: one of L1's processors does nothing else any more.
PANIC = re.compile(r"Kernel panic|soft lockup - CPU#\d+ stuck for \d{3,}s")
PANICKED, BOOTS = 2, 3


def main() -> int:
    """The exit status."""
    shell = sys.argv[1:] == ["--shell"]
    if sys.argv[1:] and not shell:
        print("usage: scripts/test-kvm [--shell]", file=sys.stderr)
        return 2
    began = time.monotonic()
    files, base = asyncio.run(l1.make_l1()), asyncio.run(l1.make_base())
    tar = l1.payload(base, "shell" if shell else "test")
    try:
        for boot in range(BOOTS):
            if boot:
                print(
                    "test-kvm: L1's own kernel panicked or hangs, a fault of the emulated SVM: once more",
                    flush=True,
                )
            status = _boot(files, tar, shell)
            if status != PANICKED:
                break
    finally:
        tar.unlink()
    print(f"test-kvm: {'passed' if not status else 'FAILED'} in {time.monotonic() - began:.0f}s")
    return status


def _boot(files: Path, tar: Path, shell: bool) -> int:
    """Let L1 do its work, from a fresh disk; how it ended."""
    with tempfile.TemporaryDirectory(dir=l1.KEPT) as scratch:
        overlay = Path(scratch) / "root.qcow2"
        backing = ["-F", "raw", "-b", str(files / "root.raw")]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(overlay)], check=True)
        argv = _qemu(files, overlay, tar)
        return subprocess.run(argv, check=False).returncode if shell else _follow(argv)


def _qemu(files: Path, overlay: Path, tar: Path) -> list[str]:
    return [
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "q35,smm=off,vmport=off", "-accel", "tcg", "-cpu", CPU),
        *("-smp", "1", "-m", MEMORY),
        *("-kernel", str(files / "vmlinux"), "-initrd", str(files / "initrd")),
        *("-append", f"{KERNEL_ARGS} {TICKS}"),
        *("-drive", f"if=virtio,format=qcow2,file={overlay},cache=unsafe"),
        *("-drive", f"if=virtio,format=raw,file={tar},readonly=on"),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
        *("-chardev", "stdio,id=console,signal=off", "-device", "virtconsole,chardev=console"),
    ]


def _follow(argv: list[str]) -> int:
    """Print L1's console until it ends; 0 when its closing line says that nothing failed."""
    status = 1
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        limit = threading.Timer(LONGEST_S, machine.kill)
        limit.start()
        try:
            assert machine.stdout
            for line in machine.stdout:
                text = line.decode(errors="replace").rstrip()
                print(text, flush=True)
                if found := CLOSING.search(text):
                    status = int(found[2] != "0")
                elif PANIC.search(text):
                    status = PANICKED
                    break
        finally:
            limit.cancel()
            machine.kill()
    return status


if __name__ == "__main__":
    sys.exit(main())
