"""The header of every table: on what it was measured."""

import os
import platform
import subprocess
import time
from pathlib import Path

import psutil
from homes import ROOT, base_image


def header() -> list[str]:
    """Date, processor, kernel, QEMU, accelerator, guest, and what else loads the machine."""
    spec = base_image().spec
    return [
        time.strftime("%Y-%m-%d", time.gmtime()),
        f"{os.cpu_count()} × {_processor()}, {psutil.virtual_memory().total >> 30} GiB",
        f"Linux {platform.release().split('-')[0]}",
        f"QEMU {_qemu()}",
        f"accelerator {spec.accelerator}, {spec.machine}, {spec.cpu}",
        f"guest of {spec.memory_bytes >> 20} MiB",
        f"store on {_filesystem(ROOT)}",
        f"load {os.getloadavg()[0]:.1f} before",
    ]


def _processor() -> str:
    told = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in told if line.startswith("model name")), "?")


def _qemu() -> str:
    told = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[3]


def _filesystem(path: Path) -> str:
    told = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True)
    return told.stdout.strip()
