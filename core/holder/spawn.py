"""How the holder and the porter start a process: given descriptors, and it ends with its parent.

All are of the holder's session, which has no terminal: the kernel shares the processor out between sessions first
(sched_autogroup), and a vCPU thread's niceness only counts within its own.
"""

import fcntl
import os
import signal
from collections.abc import Callable, Sequence

from core import linux

FIRST_HIGH = 64  # descriptors are moved above this before they take their places, so that none is overwritten


Last = Callable[[Sequence[int]], None]


def spawn(argv: Sequence[str], descriptors: Sequence[int], last: Last | None = None) -> int:
    """Start a child that has these descriptors as 0, 1, 2, 3 … and no others; its pid.

    `last` is what it does before it executes its program, told of its descriptors from 3 on.
    """
    pid = os.fork()
    if pid == 0:
        _become(argv, descriptors, last)
    return pid


def _become(argv: Sequence[str], descriptors: Sequence[int], last: Last | None) -> None:
    """In the child: never returns. What goes wrong is said on descriptor 2, and the exit status is 127."""
    try:
        os.setpgid(0, 0)
        linux.die_with_parent(signal.SIGKILL)
        linux.without_huge_pages()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an exec keeps that
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, FIRST_HIGH) for descriptor in descriptors]
        for number, descriptor in enumerate(high):
            os.dup2(descriptor, number)
        most = os.sysconf("SC_OPEN_MAX")
        if last is not None:
            last(range(3, len(high)))
        os.closerange(len(high), most)
        os.execvp(argv[0], list(argv))
    except BaseException as error:
        os.write(2, f"{argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def null() -> int:
    """A descriptor of /dev/null."""
    return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
