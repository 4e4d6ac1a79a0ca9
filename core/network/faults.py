"""Where the kernel's refusals become ours: one line, with the thing and the fix."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Conflict, NoRoom, Unsupported

FULL = {errno.ENOSPC, errno.ENOMEM, errno.ENOBUFS, errno.EMFILE, errno.ENFILE}
"""What is at fault is this process or a want of memory, whatever was asked for."""
_TAKEN = {errno.EEXIST, errno.EBUSY}
_FORBIDDEN = {errno.EPERM, errno.EACCES, errno.EROFS}


@contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Raise Conflict, NoRoom or Unsupported for an OSError within."""
    try:
        yield
    except OSError as error:
        said = f"{doing}: {error.strerror or error}"
        if error.filename:
            said += f" ({error.filename})"
        if error.errno in _TAKEN:
            raise Conflict(f"{said}; that network exists already") from error
        if error.errno in FULL:
            raise NoRoom(f"{said}; prune some branches or raise the limit (ulimit -n)") from error
        if error.errno in _FORBIDDEN:
            raise Unsupported(
                f"{said}; run as root or allow user namespaces and a writable /proc/sys"
            ) from error
        raise Unsupported(f"{said}; the kernel needs tun, veth and nf_tables: modprobe tun veth") from error
