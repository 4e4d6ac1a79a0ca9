"""Runs in a guest: makes a tree in the directory it is started in, which is empty, of what comes on standard input.

Input: entries, each a HEAD (kind, mode, time, lengths of its name and content), the name and the content: of a file its
bytes, of a link its target. A directory comes before what is in it; the last entry is the one it is all made in, and
has no name. Everything is made in a hidden directory and moved into place once it is whole: of a stream that ends
early nothing stays. It ends with its input, and by no signal that is said beside that: none comes between what it does
and what it takes away.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH114, PTH208, PTH211

import os
import signal
import struct
import sys
from typing import BinaryIO

HEAD = struct.Struct("<cIqHQ")
DIRECTORY, FILE, LINK = b"d", b"f", b"l"
PIECE_BYTES = 256 * 1024
ENDINGS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL

Entry = tuple[bytes, int, int]  # a directory that is yet to get its mode and time


class CutShort(Exception):
    """The stream has, before its last entry."""


def receive(source: BinaryIO) -> None:
    """Make what comes. OSError for what cannot be made, CutShort."""
    hidden = b".vertui-sync-%d" % os.getpid()
    os.mkdir(hidden, 0o700)
    try:
        _, mode, time_ns = make(hidden, source)
        for name in os.listdir(hidden):
            os.rename(hidden + b"/" + name, name)
    finally:
        remove(hidden)
    os.chmod(b".", mode)
    os.utime(b".", ns=(time_ns, time_ns))


def make(top: bytes, source: BinaryIO) -> Entry:
    """Make every entry below `top`; the last one, which is not made here."""
    directories: list[Entry] = []
    while True:
        kind, mode, time_ns, name_bytes, size = HEAD.unpack(exactly(source, HEAD.size))
        path = top + b"/" + exactly(source, name_bytes)
        if kind == DIRECTORY and not name_bytes:
            for entry in directories:
                dress(*entry)
            return path, mode, time_ns
        if kind == DIRECTORY:
            os.mkdir(path, 0o700)
            directories.append((path, mode, time_ns))
        elif kind == LINK:
            os.symlink(exactly(source, size), path)
            os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)
        else:
            write(path, mode, time_ns, size, source)


def write(path: bytes, mode: int, time_ns: int, size: int, source: BinaryIO) -> None:
    """Make a file of the next `size` bytes."""
    descriptor = os.open(path, NEW, mode)
    try:
        while size:
            rest = memoryview(exactly(source, min(size, PIECE_BYTES)))
            size -= len(rest)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        if mode & 0o7000:  # which writing may take away
            os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(time_ns, time_ns))
    except OSError as error:  # of a descriptor it names no file
        error.filename = path
        raise
    finally:
        os.close(descriptor)


def dress(path: bytes, mode: int, time_ns: int) -> None:
    """Give a directory its mode and time, now that nothing is made in it any more."""
    os.chmod(path, mode)
    os.utime(path, ns=(time_ns, time_ns))


def exactly(source: BinaryIO, size: int) -> bytes:
    """The next bytes of the stream; CutShort when there are fewer."""
    data = source.read(size)
    if len(data) < size:
        raise CutShort
    return data


def remove(top: bytes) -> None:
    """Remove a directory and all in it."""
    for directory, directories, files in os.walk(top, topdown=False):
        for name in files:
            os.unlink(directory + b"/" + name)
        for name in directories:
            path = directory + b"/" + name
            (os.unlink if os.path.islink(path) else os.rmdir)(path)
    os.rmdir(top)


def main() -> int:
    """Exit status: 0 done, 1 not, with a line on standard error that says why."""
    os.umask(0)
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    try:
        with open(0, "rb", buffering=PIECE_BYTES) as source:
            receive(source)
    except CutShort:
        return 1
    except OSError as error:
        where = error.filename if isinstance(error.filename, bytes) else b"."
        said = os.fsencode(error.strerror or str(error))
        sys.stderr.buffer.write(where.partition(b"/")[2] + b": " + said + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
