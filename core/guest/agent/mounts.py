"""Whether a process of the guest may have to answer before a file can be opened or read.

The kernel tells who polls the table of mounts that it has changed (proc_pid_mountinfo(5)), so asking again is one call.
"""

from __future__ import annotations

import os
import select

from .kernel import open_proc, read_again

_THE_KERNELS = frozenset(
    b"""ext2 ext3 ext4 xfs btrfs f2fs vfat exfat iso9660 udf squashfs erofs tmpfs ramfs rootfs devtmpfs devpts proc
    sysfs cgroup cgroup2 mqueue hugetlbfs debugfs tracefs securityfs selinuxfs configfs pstore efivarfs bpf binfmt_misc
    nsfs
    """.split()
)
"""Filesystems the kernel answers for by itself. Not so FUSE, automount points, those of a network, and overlays, which
may be made of any of them."""


class Mounts:
    """What is mounted where the agent looks names up."""

    def __init__(self) -> None:
        self._table = open_proc("self/mountinfo", os.O_RDONLY)
        self._changes = select.poll()
        self._changes.register(self._table, select.POLLPRI)
        self._served = served(read_again(self._table))

    def served(self) -> bool:
        """Is there a filesystem that a process may have to answer for?"""
        if self._changes.poll(0):
            self._served = served(read_again(self._table))
        return self._served


def served(table: bytes) -> bool:
    """Does a table of mounts, in mountinfo's form, name a filesystem that a process may have to answer for?"""
    kinds = {line.partition(b" - ")[2].partition(b" ")[0] for line in table.split(b"\n") if line}
    return not kinds <= _THE_KERNELS
