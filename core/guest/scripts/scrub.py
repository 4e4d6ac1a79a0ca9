"""Runs in a guest: overwrites files with zeros and removes them, all of them or, if one cannot be, none.

Arguments: absolute paths. Prints one line of JSON: how many were wiped, and of each that could not be why.

Each file is first taken by a lease that the kernel gives only to the one who has it open (fcntl(2), F_WRLCK): neither a
process of the guest nor a mount or a mapping holds its content then, and whoever opens it later waits for the wiping.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH123

import fcntl
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

IN_PLACE = ("ext4", "tmpfs")  # filesystems that write over what is there, not beside it
BLOCK_BYTES = 4096
AT_ONCE = bytes(256 * BLOCK_BYTES)
MOST_BYTES = 1 << 30
MOST_HOLDERS = 3
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW


class CannotWipe(Exception):
    """A file that stays; the text says why."""


class File(NamedTuple):
    """A file that nobody else has open: its path, its directory and itself as descriptors."""

    path: bytes
    folder: int
    fd: int

    @property
    def name(self) -> bytes:
        """In its directory."""
        return self.path.rpartition(b"/")[2]


def taken(path: bytes, kinds: dict[int, str]) -> File:
    """A file that can be wiped, for this process alone; CannotWipe."""
    if not path.startswith(b"/") or path.endswith(b"/"):
        raise CannotWipe("is no absolute path of a file")
    folder = reached(path)
    name = path.rpartition(b"/")[2]
    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(info.st_mode):
        raise CannotWipe(
            "is a link: name what it leads to" if stat.S_ISLNK(info.st_mode)
            else "is a directory: name the files in it" if stat.S_ISDIR(info.st_mode)
            else "is no regular file"
        )  # fmt: skip
    kind = kinds.get(info.st_dev, "another filesystem")
    if kind not in IN_PLACE:
        raise CannotWipe(f"is on {kind}, which need not write over what is there")
    fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except BlockingIOError:
        raise CannotWipe(f"is held open{who_has(os.fstat(fd))}") from None
    if (links := os.fstat(fd).st_nlink) != 1:
        raise CannotWipe(f"has {links} names (hard links): remove the others")
    return File(path, folder, fd)


def reached(path: bytes) -> int:
    """The directory of a path, through no link."""
    folder = os.open(b"/", FOLDER)
    for part in filter(None, path.split(b"/")[1:-1]):
        above = folder
        if stat.S_ISLNK(os.stat(part, dir_fd=above, follow_symlinks=False).st_mode):
            raise CannotWipe(f"leads through a link, {os.fsdecode(part)}")
        folder = os.open(part, FOLDER, dir_fd=above)
        os.close(above)
    return folder


def filesystems() -> dict[int, str]:
    """What is mounted, by device."""
    kinds = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            major, minor = line.split()[2].split(":")
            kind, _, options = line.partition(" - ")[2].split()[:3]
            own_way = "data=journal" in options
            kinds[os.makedev(int(major), int(minor))] = f"{kind} with a journal of data" if own_way else kind
    return kinds


def who_has(info: os.stat_result) -> str:
    """Which processes, as far as can be told."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        with suppress(OSError):  # it has ended
            if int(pid) != os.getpid() and any(same == (info.st_dev, info.st_ino) for same in held_by(pid)):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    found.append(f"{file.read().strip()} (pid {pid})")
    return f" by {', '.join(found[:MOST_HOLDERS])}" if found else ""


def held_by(pid: str) -> Iterator[tuple[int, int]]:
    """Device and inode of what a process has open or mapped."""
    for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
        with suppress(OSError):
            info = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116
            yield info.st_dev, info.st_ino
    with open(f"/proc/{pid}/maps", "rb") as file:
        for line in file:
            device, inode = line.split()[3:5]
            major, minor = (int(part, 16) for part in device.split(b":"))
            yield os.makedev(major, minor), int(inode)


def overwrite(file: File) -> None:
    """Zeros where anything is stored, to the end of its last block, on the disk when this returns."""
    size = os.fstat(file.fd).st_size
    at = 0
    while at < size:
        try:
            begin = os.lseek(file.fd, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            break
        at = os.lseek(file.fd, begin, os.SEEK_HOLE)
        end = -(-at // BLOCK_BYTES) * BLOCK_BYTES
        begin -= begin % BLOCK_BYTES
        while begin < end:
            begin += os.pwrite(file.fd, AT_ONCE[: end - begin], begin)
    os.fsync(file.fd)
    os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)


def remove(file: File) -> None:
    """Take a wiped file's name away, if it is still its."""
    own, named = os.fstat(file.fd), os.stat(file.name, dir_fd=file.folder, follow_symlinks=False)
    if (own.st_dev, own.st_ino) != (named.st_dev, named.st_ino):
        raise CannotWipe("was replaced meanwhile: what it was before is wiped")
    os.unlink(file.name, dir_fd=file.folder)


def main(paths: list[bytes]) -> dict[str, object]:
    """What came of it."""
    files: list[File] = []
    problems: list[str] = []

    def told(path: bytes, error: OSError | CannotWipe) -> None:
        reason = f"cannot be wiped: {error.strerror}" if isinstance(error, OSError) else str(error)
        problems.append(f"{os.fsdecode(path)} {reason}")

    kinds = filesystems()
    for path in dict.fromkeys(paths):
        try:
            files.append(taken(path, kinds))
        except (OSError, CannotWipe) as error:
            told(path, error)
    if sum(os.fstat(file.fd).st_blocks * 512 for file in files) > MOST_BYTES:
        problems.append(f"together they hold more than {MOST_BYTES >> 20} MiB")
    wiped = 0
    for file in files if not problems else ():
        try:
            overwrite(file)
            wiped += 1
            remove(file)
        except (OSError, CannotWipe) as error:
            told(file.path, error)
    return {"wiped": wiped, "problems": problems}


if __name__ == "__main__":
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # of somebody who opens what is leased: they wait
    print(json.dumps(main([os.fsencode(path) for path in sys.argv[1:]])))
