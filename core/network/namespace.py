"""Network namespaces for threads.

A thread has a network namespace of its own to be in. Everything here that enters one does so in a thread that
ends with the work: the threads of the caller never move, and no namespace is held by a thread left over.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from core import linux

T = TypeVar("T")


def enter(namespace_fd: int) -> None:
    """Move the calling thread into a namespace."""
    linux.checked(linux.libc.setns(namespace_fd, linux.CLONE_NEWNET), "entering a network namespace")


def unshare() -> int:
    """Move the calling thread into a new, empty namespace; returns the descriptor that keeps it."""
    linux.unshare(linux.CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def open_of_process() -> int:
    """A descriptor of the namespace of this process, which is its main thread's."""
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def identity(namespace_fd: int) -> str:
    """The namespace as the kernel names it: `net:[inode]`."""
    return str(Path(f"/proc/self/fd/{namespace_fd}").readlink())


def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, return what it returns, raise what it raises."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="network", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def inside(namespace_fd: int, work: Callable[[], T]) -> T:
    """Run `work` in a namespace."""

    def entered() -> T:
        enter(namespace_fd)
        return work()

    return in_thread(entered)


def write_sysctl(path: str, value: int | str) -> None:
    """Set `/proc/sys/net/<path>` of the namespace the calling thread is in: procfs looks at who opens it."""
    fd = os.open(f"/proc/sys/net/{path}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def is_initial() -> bool:
    """Whether the calling thread is in the kernel's initial network namespace.

    The per-host packet queue limits exist there and in no other (net/core/sysctl_net_core.c). Neither
    inode numbers nor process 1 tell as much: the first vary, the second is not always ours to look at.
    """
    return Path("/proc/sys/net/core/netdev_max_backlog").exists()
