"""Runs in a guest: tells of files as they change, one line of JSON each, paths in hexadecimal.

Arguments: the paths to watch, through symlinks, from the home directory if relative, each on the filesystem it lies
on; the root directory without any. `{"missing": path}` tells of one that is not there yet; then comes `{}`: from now
on nothing is missed. Changes of one file between two looks are one; `{"lost": true}` says the kernel dropped some. See
fanotify(7).
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH112, PTH115, PTH118, PTH120

import ctypes
import errno
import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator

PAUSE_S = 0.1  # before each look, so that the kernel joins what happens to one file
BUFFER_BYTES = 1 << 20
CLOEXEC, REPORT_DIRECTORY_AND_NAME = 0x1, 0xC00
MARK_ADD, MARK_FILESYSTEM, CURRENT_DIRECTORY = 0x1, 0x100, -100
MODIFY, ATTRIB, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
OVERFLOW, ON_DIRECTORY = 0x4000, 0x40000000
DIRECTORY_AND_NAME = 2  # type of an information record
EVENT = struct.Struct("=IBBHQii")  # length, version, 0, its own length, mask, descriptor, process
RECORD = struct.Struct("=BBHQIi")  # type, 0, length, filesystem, bytes and type of the directory's handle

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """A function of the C library; OSError when it fails."""
    result = int(libc[name](*arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def begin(tops: list[bytes]) -> tuple[int, dict[int, int]]:
    """A descriptor to read events from, and by number of each filesystem that is watched a directory on it."""
    queue = call("fanotify_init", CLOEXEC | REPORT_DIRECTORY_AND_NAME, os.O_RDONLY)
    mask = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE | ON_DIRECTORY
    roots: dict[int, int] = {}
    for top in tops:
        place = nearest_directory(top)
        if (number := os.statvfs(place).f_fsid) not in roots:
            call(
                "fanotify_mark",
                queue,
                MARK_ADD | MARK_FILESYSTEM,
                ctypes.c_uint64(mask),
                CURRENT_DIRECTORY,
                place,
            )
            roots[number] = os.open(place, os.O_RDONLY)
    return queue, roots


def nearest_directory(path: bytes) -> bytes:
    """A directory itself, else the nearest above: on the filesystem that a file of that path is on, or would be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def events(data: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Mask, filesystem, handle of the directory and name of each event."""
    at = 0
    while at < len(data):
        length, _, _, header, mask, _, _ = EVENT.unpack_from(data, at)
        handle = name = b""
        number = 0
        if header < length:
            kind, _, size, number, handle_bytes, _ = RECORD.unpack_from(data, at + header)
            if kind == DIRECTORY_AND_NAME:
                start = at + header + RECORD.size
                handle = data[start - 8 : start + handle_bytes]
                name = data[start + handle_bytes : at + header + size].partition(b"\0")[0]
        yield mask, number, handle, name
        at += length


def directory(root: int, handle: bytes) -> bytes | None:
    """The path of a directory; None when it is gone."""
    try:
        found = call("open_by_handle_at", root, handle, os.O_PATH)
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return None
    try:
        return os.readlink(b"/proc/self/fd/%d" % found) if os.fstat(found).st_nlink else None
    finally:
        os.close(found)


def changed(roots: dict[int, int], data: bytes) -> Iterator[tuple[bytes | None, str]]:
    """Paths and what became of them; None for those that were lost."""
    masks: dict[tuple[int, bytes, bytes], int] = {}
    for mask, number, handle, name in events(data):
        if mask & OVERFLOW:
            yield None, "lost"
        elif name and number in roots:
            masks[number, handle, name] = masks.get((number, handle, name), 0) | mask
    paths = {(number, handle): directory(roots[number], handle) for number, handle, _ in masks}
    for (number, handle, name), mask in masks.items():
        parent = paths[number, handle]
        if parent is not None:
            path = parent if name == b"." else os.path.join(parent, name)  # "." is the directory itself
            there = "added" if mask & (CREATE | MOVED_TO) else "modified"
            yield path, there if os.path.lexists(path) else "removed"


def watch(tops: list[bytes]) -> None:
    """Tell until somebody ends it."""
    tops = list(map(os.path.realpath, tops))
    queue, roots = begin(tops)
    for top in tops:
        if not os.path.lexists(top):
            print(json.dumps({"missing": top.hex()}))
    print("{}", flush=True)
    while True:
        select.select([queue], [], [])
        time.sleep(PAUSE_S)
        for path, change in changed(roots, os.read(queue, BUFFER_BYTES)):
            if path is None:
                print(json.dumps({"lost": True}))
            elif any(path == top or path.startswith(top.rstrip(b"/") + b"/") for top in tops):
                print(json.dumps({"change": change, "path": path.hex()}))
        sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        watch([os.fsencode(top) for top in sys.argv[1:]] or [b"/"])
    except OSError as error:
        sys.exit(f"changes there cannot be told: {error.strerror}")
