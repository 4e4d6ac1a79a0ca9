"""The archive an initrd is: cpio's "newc" format, the one the kernel unpacks.

Layout after the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. Written here because every
field but these is zero, which makes the same inputs the same bytes.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

ALIGNMENT = 4
TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class CpioMember:
    """One name of the archive: `mode` holds type and permissions, `data` a file's bytes or a link's target."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> CpioMember:
    """A directory, 0755."""
    return CpioMember(name, stat.S_IFDIR | 0o755)


def regular(name: str, data: bytes, executable: bool = False) -> CpioMember:
    """A file, 0755 or 0644."""
    return CpioMember(name, stat.S_IFREG | (0o755 if executable else 0o644), data)


def symlink(name: str, target: str) -> CpioMember:
    """A symbolic link."""
    return CpioMember(name, stat.S_IFLNK | 0o777, target.encode())


def character_device(name: str, major: int, minor: int) -> CpioMember:
    """A character device, 0600."""
    return CpioMember(name, stat.S_IFCHR | 0o600, device=(major, minor))


def pack(entries: Iterable[CpioMember]) -> bytes:
    """The archive of these entries, in this order: a directory must come before what lies in it."""
    numbered = enumerate([*entries, CpioMember(TRAILER, 0)], start=1)
    return b"".join(_record(inode, entry) for inode, entry in numbered)


def _record(inode: int, entry: CpioMember) -> bytes:
    name = entry.name.encode() + b"\0"
    # inode mode uid gid nlink mtime size, device of the file (2), device it is (2), name's length, checksum
    fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)
