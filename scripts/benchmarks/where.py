"""The header of every table: on what it was measured."""

import os
import platform
import subprocess
import time
from pathlib import Path

from homes import ROOT, base_image


def header() -> list[str]:
    """Date, processor, kernel, QEMU, accelerator, guest, and what else loads the machine."""
    spec = base_image().spec
    memory = _field("/proc/meminfo", "MemTotal").split()[0]
    return [
        time.strftime("%Y-%m-%d", time.gmtime()),
        f"{os.cpu_count()} × {_field('/proc/cpuinfo', 'model name')}, {int(memory) >> 20} GiB",
        f"Linux {platform.release().split('-')[0]}",
        f"QEMU {_qemu()}",
        f"accelerator {spec.accelerator}, {spec.machine}, {spec.cpu}",
        f"guest of {spec.memory_bytes >> 20} MiB",
        f"store on {_filesystem(ROOT)}",
        f"load {os.getloadavg()[0]:.1f} before",
    ]


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "?"


def _qemu() -> str:
    told = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[3]


def _filesystem(path: Path) -> str:
    told = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True)
    return told.stdout.strip()
