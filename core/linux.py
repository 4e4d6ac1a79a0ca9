"""System calls Python 3.11 has no name for, by ctypes.

Sources: unshare(2), umount2(2), mount_setattr(2), open_tree(2), move_mount(2), prctl(2), process_vm_readv(2),
timerfd_create(2).
"""

import contextlib
import ctypes
import errno
import os
import platform
import signal
import struct
import time
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CLONE_PARENT = 0x00008000
CLONE = {"x86_64": 56, "aarch64": 220}  # the call's number
PR_SET_PDEATHSIG = 1
PR_SET_THP_DISABLE = 41
MADV_HUGEPAGE = 14
MNT_FORCE, MNT_DETACH = 1, 2
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442  # the calls' numbers, on every architecture
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH, MOUNT_ATTR_RDONLY, MS_PRIVATE = 1, 4, 1, 1 << 18
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
NEVER_S = 1 << 40  # in Unix time

libc = ctypes.CDLL(None, use_errno=True)
libc.process_vm_readv.restype = libc.process_vm_writev.restype = ctypes.c_ssize_t


def checked(result: int, what: str) -> int:
    """`result`, or the OSError that errno names when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move this process (this thread, for the network) into new namespaces."""
    checked(libc.unshare(flags), "unshare")


def unshare_as_ourselves(flags: int) -> None:
    """The same for whoever is not root, too: in a user namespace, in which they are who they were."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(flags | (CLONE_NEWUSER if uid else 0))
    if uid:
        lines = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
        for name, line in lines.items():
            Path(f"/proc/self/{name}").write_text(line)


def write_only_below(directory: Path) -> None:
    """Enter a directory, outside of which this process and all that it starts can write to no file from now on.

    By mounts of its own, all of which but one are read-only; whatever path or link leads there.
    """
    unshare_as_ourselves(CLONE_NEWNS)
    below = os.fsencode(directory)
    tree = checked(libc.syscall(OPEN_TREE, AT_FDCWD, below, OPEN_TREE_CLONE | AT_RECURSIVE), "open_tree")
    attributes = struct.pack("=QQQQ", MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, 0)
    told = (AT_FDCWD, b"/", AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes)))
    checked(libc.syscall(MOUNT_SETATTR, *told), "mount_setattr")
    checked(libc.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, below, MOVE_MOUNT_F_EMPTY_PATH), "move_mount")
    os.close(tree)
    os.chdir(directory)


def unmount(directory: Path) -> None:
    """Unmount, and let whoever waits for a FUSE server fail, in whatever process; nothing if nothing is mounted.

    A killed process waits for an answer that nobody will give as long as any has the /dev/fuse descriptor, itself
    included.
    """
    libc.umount2(os.fsencode(directory), MNT_FORCE | MNT_DETACH)


def clock_jumps() -> int:
    """A descriptor that is readable each time CLOCK_REALTIME was set, or has slept with the host; read(2) from it then
    fails with ECANCELED.
    """
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = checked(libc.timerfd_create(time.CLOCK_REALTIME, flags), "timerfd_create")
    never = struct.pack("=qqqq", 0, 0, NEVER_S, 0)
    try:
        how = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        checked(libc.timerfd_settime(descriptor, how, never, None), "timerfd_settime")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def without_huge_pages() -> None:
    """Keep this process and what it executes from transparent huge pages: a machine that touches 4 KiB takes 4 KiB."""
    checked(libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl")


def refuse_huge_pages() -> None:
    """Let MADV_HUGEPAGE fail with EINVAL, here and in every descendant, where system calls can be filtered: the kernel
    must be able to, and libseccomp be there.

    QEMU gives that advice for all of a guest's memory. PR_SET_THP_DISABLE keeps pages small all the same, but a touch
    of an advised file mapping reads 2 MiB around it: Linux 5.18 and later, mm/filemap.c, do_sync_mmap_readahead.
    """
    with contextlib.suppress(OSError, RuntimeError):
        import pyseccomp  # which runs ldconfig: 40 ms, that only the holder has to wait for

        rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ALLOW)  # a 32-bit program is not ours to end
        advice = pyseccomp.Arg(2, pyseccomp.MASKED_EQ, 0xFFFF_FFFF, MADV_HUGEPAGE)
        rules.add_rule(pyseccomp.ERRNO(errno.EINVAL), "madvise", advice)
        rules.load()


def fork_sibling() -> int:
    """fork(2), but the child's parent is ours: 0 in the child. Call it before this process has a second thread.

    What os.fork does for the interpreter is done here, too: C API, PyOS_BeforeFork.
    """
    python, number = ctypes.pythonapi, CLONE.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, "clone")
    python.PyOS_BeforeFork()
    pid = int(python.syscall(number, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0))
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    python.PyOS_AfterFork_Parent()
    return checked(pid, "clone")


def children() -> list[int]:
    """The pids of this process's children, ended ones among them; none where the kernel does not list them (proc(5),
    CONFIG_PROC_CHILDREN). For a process with one thread.
    """
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def die_with_parent(number: int) -> None:
    """Be sent this signal when the parent ends; the caller checks that it has not ended already."""
    checked(libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl")
