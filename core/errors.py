"""Every error a user can meet, and what it means for the process's exit status.

    VertuiError                 exit 1   anything below; `message` is the one line a user reads
    ├── UsageError              exit 2   the request itself is malformed (name, number, path)
    ├── NotOnDisk               exit 3   what lies on no disk, where disks alone are read; what came without a part, too
    ├── NotFound                exit 4   a branch, commit, image or operation that does not exist
    ├── Ambiguous               exit 4   a prefix that fits several commits; they are listed
    ├── Conflict                exit 5   name taken, branch in the wrong state, undo no longer possible
    ├── NoRoom                  exit 6   memory budget, disk or address space exhausted
    ├── Unsupported             exit 7   this host cannot do it (no tun, no QEMU); says what to install
    ├── Damaged                 exit 8   data on disk is not what was written; names the thing
    ├── MachineFailed           exit 9   QEMU ended, did not start, or refused a command
    ├── GuestFailed             exit 10  the agent did not answer, or refused
    ├── DaemonUnavailable       exit 11  the daemon cannot be started or reached
    │   └── DaemonStopped       exit 11  somebody stopped it, or all of the home: it is not to come back by itself
    ├── Impostor                exit 12  a socket or directory that must be this user's is somebody else's
    ├── Unauthorized            exit 13  the daemon's port was shown no token, or none that it knows
    └── Forbidden               exit 14  what that port lets nobody do, whatever the token; by what it lets nobody in

Foreign exceptions (OSError, QMP, Netlink, sqlite3, zstd) are mapped to these once, where they enter.
A message says what was wrong, which thing, and what to do, in one line.
"""


class VertuiError(Exception):
    """Base of all; `str(error)` is one line fit for a terminal."""

    exit_status = 1

    def __init__(self, message: str) -> None:
        lines = (line.strip() for line in message.split("\n"))
        super().__init__(" ".join(line for line in lines if line))

    @property
    def kind(self) -> str:
        """The class name: how the error travels through the API."""
        return type(self).__name__


class UsageError(VertuiError):
    """The request itself is malformed."""

    exit_status = 2


class NotOnDisk(VertuiError):
    """The path is on another filesystem of the guest than its root disk, which alone is read."""

    exit_status = 3


class NotFound(VertuiError):
    """No such branch, commit, image or operation."""

    exit_status = 4


class Ambiguous(VertuiError):
    """A prefix fits several commits."""

    exit_status = 4


class Conflict(VertuiError):
    """Refused in the present state: name taken, wrong state, not undoable."""

    exit_status = 5


class NoRoom(VertuiError):
    """Memory budget, disk or addresses are exhausted."""

    exit_status = 6


class Unsupported(VertuiError):
    """This host cannot do it; the message names the fix."""

    exit_status = 7


class Damaged(VertuiError):
    """Stored data is not what was written."""

    exit_status = 8


class MachineFailed(VertuiError):
    """QEMU ended, did not start, or refused a command."""

    exit_status = 9


class GuestFailed(VertuiError):
    """The agent did not answer in time, or refused."""

    exit_status = 10


class DaemonUnavailable(VertuiError):
    """The daemon cannot be started or reached."""

    exit_status = 11


class Impostor(VertuiError):
    """What must be this user's own is somebody else's: nothing was said to it."""

    exit_status = 12


class Unauthorized(VertuiError):
    """The daemon's port was shown no token, or none that it knows."""

    exit_status = 13


class Forbidden(VertuiError):
    """What the daemon's port lets nobody do, or by what it lets nobody in."""

    exit_status = 14


class DaemonStopped(DaemonUnavailable):
    """Somebody stopped the daemon on purpose, or it gave up."""


def by_kind(kind: str, message: str) -> VertuiError:
    """The error a `kind` names, as the API sends it; unknown kinds become VertuiError."""
    for error in VertuiError.__subclasses__():
        if error.__name__ == kind:
            return error(message)
    return VertuiError(message)
