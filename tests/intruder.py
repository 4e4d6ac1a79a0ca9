"""A hostile program in a machine's place. It tries what it is told, changes nothing, and says what came of it.

python3 -c SOURCE '{"NAME": ["ATTEMPT", ARGUMENT …]}': prints a line of JSON, {"NAME": "done" or why not}.
"""

import contextlib
import ctypes
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read(path: str) -> None:
    """Open a file to read."""
    os.close(os.open(path, os.O_RDONLY))


def write(path: str) -> None:
    """Open a file to write."""
    os.close(os.open(path, os.O_WRONLY))


def update(path: str) -> None:
    """Open a file to read and write."""
    os.close(os.open(path, os.O_RDWR))


def share(path: str) -> None:
    """Map a file, or a descriptor, so that what is written there is written for all."""
    descriptor = int(path) if path.isdigit() else os.open(path, os.O_RDWR)
    mmap.mmap(descriptor, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()


def make(path: str) -> None:
    """Make a file, and remove it."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    Path(path).unlink()


def list_names(path: str) -> None:
    """List a directory."""
    list(Path(path).iterdir())


def hold(part: str) -> None:
    """Have a descriptor of something with this in its name."""
    for number in range(256):
        with contextlib.suppress(OSError):
            if part in str(Path(f"/proc/self/fd/{number}").readlink()):
                return
    raise FileNotFoundError(part)


def change(descriptor: int) -> None:
    """Write a byte of a file by its descriptor, as it is."""
    os.pwrite(descriptor, os.pread(descriptor, 1, 0), 0)


def reach(path: str, kind: int) -> None:
    """Connect to a Unix socket."""
    with socket.socket(socket.AF_UNIX, kind) as made:
        made.settimeout(5)
        made.connect(path)


def call(address: str, port: int) -> None:
    """Connect by TCP."""
    socket.create_connection((address, port), 5).close()


def look_into(pid: int) -> None:
    """Read another process's memory map."""
    os.close(os.open(f"/proc/{pid}/maps", os.O_RDONLY))


def copy_from(pid: int) -> None:
    """Read another process's memory: nothing of it, which has to be allowed all the same."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.process_vm_readv(pid, None, 0, None, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")


def signal(pid: int) -> None:
    """Send a process nothing, which has to be allowed all the same."""
    os.kill(pid, 0)


def fork() -> None:
    """Have a child."""
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def enter(path: str) -> None:
    """Enter another process's network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(os.open(path, os.O_RDONLY), 0) < 0:
        raise OSError(ctypes.get_errno(), "setns")


def take_memory(size: int) -> None:
    """Take so many bytes of memory; none is touched."""
    mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()


def lengthen(descriptor: int, size: int) -> None:
    """Make a file so long that it has by a descriptor."""
    os.ftruncate(descriptor, size)


def take_descriptor(number: int) -> None:
    """Have a descriptor of that number."""
    os.close(os.dup2(0, number))


def make_memory_file() -> None:
    """Have memory that no limit counts."""
    os.close(os.memfd_create("intruder"))


ATTEMPTS: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (
        read, write, update, share, make, list_names, hold, change, reach, call, look_into, copy_from, signal, fork,
        enter, take_memory, make_memory_file, lengthen, take_descriptor,
    )
}  # fmt: skip


def tried(attempt: Any, *arguments: Any) -> str:
    """What came of it."""
    try:
        ATTEMPTS[attempt](*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    print(json.dumps({name: tried(*what) for name, what in wanted.items()}), flush=True)
