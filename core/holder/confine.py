"""What a machine's process may do: compute, and use what it was given. Code that took over QEMU has that and no more.
A process of ours that listens to strangers confines itself in the same way (`confine_server`).

Each of these holds by itself, where the kernel has it:

    descriptors    no file is named to QEMU: its disk's files, its kernel and its sockets are opened before; what it
                   was given to read it may open again to read
    nowhere        a network namespace with nothing in it, not even loopback
    capabilities   none, also of root, and none to be had again
    limits         of memory, of a file's size, of descriptors
    Landlock       files: programs and libraries to read, the devices it needs, and again what it was given
    seccomp        no sockets, no processes, no other's memory, no signals but to itself, no namespaces, and no memory
                   that the limits do not count

All is set between fork and exec, and costs some 1 ms.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import resource
import socket
import stat
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import linux
from core.holder import landlock
from core.holder.landlock import EXECUTE, IOCTL_DEV, READ, READ_FILE, WRITE_FILE, Grant

PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS = 28, 38
SECCOMP = {"x86_64": 317, "aarch64": 277}  # the call's number
SET_MODE_FILTER, NEW_LISTENER = 1, 1 << 3
SECCOMP_ACTIONS = Path("/proc/sys/kernel/seccomp/actions_avail")
THIS_PROCESS, NO_CAPABILITIES = struct.pack("=Ii", 0x2008_0522, 0), bytes(24)  # of capset(2), version 3
ROOT_IS_NOBODY = 0b1110_1111  # SECBIT_NOROOT, NO_SETUID_FIXUP, no KEEP_CAPS, NO_CAP_AMBIENT_RAISE; all locked
CLONE_THREAD = 0x10000
SHARED_ANONYMOUS = 0x21  # MAP_SHARED | MAP_ANONYMOUS
STAND_IN = 0x7EED_FACE  # in the filter, for the process's own number
INSTRUCTION_BYTES = 8
SERVER_BYTES, SERVER_FILE_BYTES = 2 << 30, 64 << 20  # of memory; of a file, which is its log
FIRST_HIGH = 128  # above the places that a child's descriptors take, and above where they are moved first

SYSTEM: tuple[Grant, ...] = (
    *((path, READ | EXECUTE) for path in ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/nix/store")),
    *((path, READ_FILE) for path in ("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/dev/urandom")),
    *((path, READ) for path in ("/etc/qemu", "/sys/devices/system", "/sys/kernel/mm", "/proc/self")),
    *((path, READ_FILE | WRITE_FILE) for path in ("/dev/null", "/dev/zero")),
    ("/dev/kvm", READ_FILE | WRITE_FILE | IOCTL_DEV),
)  # fmt: skip
"""What QEMU reads of a host, and the device that runs its guest."""

FORBIDDEN = (
    "socket", "socketpair", "connect", "bind",
    "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp",
    "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
    "unshare", "setns", "chroot", "pivot_root", "mount", "umount2", "mount_setattr", "move_mount", "open_tree",
    "fsopen", "fsconfig", "fsmount", "fspick", "name_to_handle_at", "open_by_handle_at",
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "add_key", "request_key", "keyctl", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "memfd_create", "memfd_secret", "shmget", "shmat", "semget", "msgget", "mq_open",
    "setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr", "quotactl", "acct",
    "swapon", "syslog", "personality",
)  # fmt: skip
"""Calls no machine makes. A libseccomp or a kernel that does not know one has no use for its rule."""


class FilterProgram(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


@dataclass(frozen=True)
class Confinement:
    """What one process may use at most. Limits that are lower already stay so."""

    data_bytes: int
    """Memory that is its own: what it maps privately and may write, its guest's included."""
    file_bytes: int
    """The longest a file that it writes may become."""
    reopened: int
    """The one of its descriptors whose file it opens again, for writing, though it only reads it."""
    asking: int
    """The one that is a socket, to which it sends the listener of its seccomp filter: who has that is told of each
    attempt to open a file for writing, and can answer it with another descriptor.
    """
    descriptors: int = 4096


class Confiner:
    """Made once, before a process is forked that is to be confined: `nowhere` is a descriptor of the network namespace
    that such a one gets.
    """

    def __init__(self, nowhere: int) -> None:
        self._nowhere = fcntl.fcntl(nowhere, fcntl.F_DUPFD_CLOEXEC, FIRST_HIGH)
        os.close(nowhere)
        self._landlock = landlock.version()
        self._filter, self._asking_filter = _filter(), _filter(asking=True)

    def confine(self, limits: Confinement, given: Sequence[int]) -> None:
        """Confine this process, a fork that is about to execute a program, which is `given` these descriptors."""
        linux.checked(linux.libc.setns(self._nowhere, linux.CLONE_NEWNET), "setns")
        _limit(limits.data_bytes, limits.file_bytes, limits.descriptors)
        _disarm()
        read = [each for each in given if _is_read(each)]
        asks = self._filter_calls(limits.asking)
        if self._landlock:
            again = READ_FILE if asks else READ_FILE | WRITE_FILE
            own = [(limits.reopened, again), *((each, READ_FILE) for each in read)]
            landlock.restrict(self._landlock, [*SYSTEM, *own])

    def _filter_calls(self, asking: int) -> bool:
        """Load the filter. Has it a listener, that was sent?"""
        with socket.socket(fileno=asking) as to:
            if not self._filter:
                return False
            try:
                listener = _load(self._asking_filter, NEW_LISTENER)
            except (
                OSError
            ):  # a container has one already; or the kernel is older than Linux 5.0, or has no filters
                with contextlib.suppress(OSError):
                    _load(self._filter)
                return False
            socket.send_fds(to, [b"!"], [listener])
            os.close(listener)
            return True


def confine_server(readable: Sequence[str]) -> None:
    """Confine this process, a program of ours that is given all its connections: it is in no network, and makes no
    socket and no process; of files it may open these, programs and libraries, to read. What a kernel lacks is left out.
    """
    with contextlib.suppress(OSError):  # only a holder's child has the right to
        linux.unshare(linux.CLONE_NEWNET)
    version, program = landlock.version(), _filter()
    _limit(SERVER_BYTES, SERVER_FILE_BYTES, Confinement.descriptors)
    _disarm()
    if version:
        own = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]), *readable)
        granted = [(path, rights & READ) for path, rights in SYSTEM if rights & READ_FILE]
        landlock.restrict(version, [*granted, *((path, READ) for path in own)])
    if program:
        with contextlib.suppress(OSError):  # a container has one already, which forbids that
            _load(program)


def trouble() -> str | None:
    """What of it this kernel lacks, and the fix; None when it has all."""
    if not landlock.version():
        return "the kernel has no Landlock: one with CONFIG_SECURITY_LANDLOCK, and landlock in lsm= on its command line"
    if not _filter() or not SECCOMP_ACTIONS.exists():
        return (
            "no calls can be filtered: a kernel with CONFIG_SECCOMP_FILTER, and apt-get install libseccomp2"
        )
    return None


def decoded(fields: Mapping[str, Any] | None) -> Confinement | None:
    """Of a request's JSON."""
    return Confinement(**fields) if fields else None


def _disarm() -> None:
    """Give up every capability, also root's, and every way to have one."""
    with contextlib.suppress(OSError):  # a container may lack the right to
        _prctl(PR_SET_SECUREBITS, ROOT_IS_NOBODY)
    linux.checked(linux.libc.capset(THIS_PROCESS, NO_CAPABILITIES), "capset")
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _limit(data_bytes: int, file_bytes: int, descriptors: int) -> None:
    for limit, most in (
        (resource.RLIMIT_DATA, data_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, descriptors),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (least, least))


def _is_read(descriptor: int) -> bool:
    """Is it a file's, opened for reading?"""
    opened = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    return opened == os.O_RDONLY and stat.S_ISREG(os.fstat(descriptor).st_mode)


def _filter(*, asking: bool = False) -> bytes:
    """The program of the seccomp filter, STAND_IN in the place of a pid; empty where none can be made. One that is
    `asking` has its listener decide who opens a file for reading and writing.
    """
    if platform.machine() not in SECCOMP:
        return b""
    try:
        import pyseccomp

        rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        refused, absent = pyseccomp.ERRNO(errno.EPERM), pyseccomp.ERRNO(errno.ENOSYS)
        rules.add_rule(absent, "clone3")  # its flags cannot be seen: libc then takes clone
        rules.add_rule(refused, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
        rules.add_rule(refused, "tgkill", pyseccomp.Arg(0, pyseccomp.NE, STAND_IN))
        rules.add_rule(refused, "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
        rules.add_rule(
            refused, "mmap", pyseccomp.Arg(3, pyseccomp.MASKED_EQ, SHARED_ANONYMOUS, SHARED_ANONYMOUS)
        )
        if asking:
            writing = pyseccomp.Arg(2, pyseccomp.MASKED_EQ, os.O_ACCMODE, os.O_RDWR)
            rules.add_rule(pyseccomp.NOTIFY, "openat", writing)
        for name in FORBIDDEN:
            with contextlib.suppress(OSError, ValueError):
                rules.add_rule(refused, name)
        with os.fdopen(os.memfd_create("vertui-filter", os.MFD_CLOEXEC), "w+b") as file:
            rules.export_bpf(file)
            file.seek(0)
            return file.read()
    except (OSError, RuntimeError):
        return b""


def _load(program: bytes, flags: int = 0) -> int:
    """Load a filter; the descriptor of its listener, if it is to have one."""
    own = program.replace(struct.pack("=I", STAND_IN), struct.pack("=I", os.getpid()))
    told = FilterProgram(len(own) // INSTRUCTION_BYTES, own)
    number = SECCOMP[platform.machine()]
    return linux.checked(linux.libc.syscall(number, SET_MODE_FILTER, flags, ctypes.byref(told)), "seccomp")


def _prctl(what: int, value: int) -> None:
    rest = [ctypes.c_ulong(each) for each in (value, 0, 0, 0)]
    linux.checked(linux.libc.prctl(what, *rest), "prctl")
