"""An image's files: built, sound, bootable; interrupted at any point nothing half made stays.

They start from the Debian base of the image that other tests use: that was made of nothing.
"""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.home import Home
from core.image import KERNEL_ARGS, Recipe, build_files
from core.image.kernel import has_pvh_note
from core.image.recipe import GIB
from tests.conftest import full, link_or_copy

BOOT_DEADLINE_S = 60
MACHINE = "-nodefaults -no-user-config -no-reboot -display none -machine pc-q35-7.2,accel=tcg,smm=off -cpu Nehalem-v1"
DEVICES = "-device virtio-serial-pci -device virtconsole,chardev=console -device virtio-blk-pci,drive=disk"


@pytest.fixture(scope="module")
def cache(built: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cache")
    for base in built.cache.glob("base-*"):  # no build changes one
        shutil.copytree(base, made / base.name, copy_function=link_or_copy)
    return made


@pytest.fixture(scope="module")
def image(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("image")
    asyncio.run(build_files(Recipe(), directory, cache, lambda step, fraction: None))
    return directory


def test_files_are_sound(image: Path) -> None:
    files = {"root.raw", "vmlinux", "initrd", "empty.qcow2", "whole.json"}
    assert {path.name for path in image.iterdir()} == files
    assert has_pvh_note((image / "vmlinux").read_bytes())
    disk = image / "root.raw"
    assert disk.stat().st_size == Recipe().disk_bytes
    assert disk.stat().st_blocks * 512 < 400 << 20
    subprocess.run(["e2fsck", "-fn", str(disk)], check=True, capture_output=True)


def test_no_identity_on_the_disk(image: Path) -> None:
    for name in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert 'Fast link dest: "/run/vertui/' in _debugfs(image, f"stat {name}")
    assert "ssh_host_rsa_key" not in _debugfs(image, "ls /etc/ssh")


def test_boots_to_a_shell_in_its_cgroup(console: socket.socket) -> None:
    _read_until(console, b"# ")
    assert "0::/work" in _say(console, "cat /proc/self/cgroup")
    assert _say(
        console, "hostname; id -un; stat -fc %T /tmp /run; cat /sys/fs/cgroup/cgroup.controllers"
    ).split()[:4] == [
        "vertui",
        "root",
        "tmpfs",
        "tmpfs",
    ]
    own = "until grep -qsx 0::/agent /proc/$(pgrep -o vertui-agent)/cgroup; do sleep 0.1; done; echo its own"
    assert "its own" in _say(console, own)
    loaded = _say(
        console, "cut -d' ' -f1 /proc/modules; modprobe overlay && grep -c overlay /proc/filesystems"
    )
    assert {"tcp_diag", "udp_diag", "virtio_net", "virtio_rng", "1"} <= set(loaded.split())


async def test_another_size_needs_no_second_debian(image: Path, cache: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, float]] = []
    recipe = Recipe(memory_bytes=GIB, disk_bytes=GIB)
    await build_files(recipe, tmp_path, cache, lambda step, fraction: steps.append((step, fraction)))
    assert [step for step, fraction in steps if fraction == 1.0] == [
        "making the root disk",
        "making the initrd",
    ]
    assert (tmp_path / "root.raw").stat().st_size == GIB
    assert (tmp_path / "vmlinux").read_bytes() == (image / "vmlinux").read_bytes()
    assert (tmp_path / "initrd").read_bytes() == (image / "initrd").read_bytes()


@pytest.mark.parametrize("delay_s", [0.5, 3.0, 9.0] if full() else [0.5, 6.0])
async def test_interrupted_leaves_nothing(tmp_path: Path, delay_s: float) -> None:
    (tmp_path / "out").mkdir()
    build = asyncio.create_task(
        build_files(Recipe(), tmp_path / "out", tmp_path / "cache", lambda step, fraction: None)
    )
    await asyncio.sleep(delay_s)
    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(build, 10)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]
    assert list((tmp_path / "out").iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True).stdout == b""


@pytest.fixture
def console(image: Path, tmp_path: Path) -> Iterator[socket.socket]:
    """The console of a machine booted from the image, its disk's changes thrown away."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        chardev = f"socket,id=console,fd={theirs.fileno()}"
        drive = f"file={image}/root.raw,format=raw,if=none,id=disk,snapshot=on"
        boot = ["-kernel", f"{image}/vmlinux", "-initrd", f"{image}/initrd", "-append", KERNEL_ARGS]
        devices = [*DEVICES.split(), "-netdev", "user,id=n", "-device", "virtio-net-pci,romfile=,netdev=n"]
        argv = [
            "qemu-system-x86_64",
            *MACHINE.split(),
            "-m",
            "512M",
            *boot,
            "-chardev",
            chardev,
            "-drive",
            drive,
            *devices,
        ]
        process = subprocess.Popen([*argv, "-device", "virtio-rng-pci"], pass_fds=[theirs.fileno()])
        try:
            ours.settimeout(BOOT_DEADLINE_S)
            yield ours
        finally:
            process.kill()
            process.wait()


def _say(console: socket.socket, command: str) -> str:
    """What a command prints on the guest's console."""
    console.sendall(f"{command}; echo 'd''one'\n".encode())
    _read_until(console, b"\n")
    said = _read_until(console, b"done\r\n")
    _read_until(console, b"# ")
    return said.removesuffix("done\r\n").rpartition("\x1b[?2004l\r")[2]


def _read_until(console: socket.socket, mark: bytes) -> str:
    said, deadline = b"", time.monotonic() + BOOT_DEADLINE_S
    while mark not in said and time.monotonic() < deadline:
        said += console.recv(1)
    assert mark in said, said
    return said.decode(errors="replace")


def _debugfs(image: Path, request: str) -> str:
    done = subprocess.run(
        ["debugfs", "-R", request, str(image / "root.raw")], capture_output=True, text=True, check=True
    )
    return done.stdout
