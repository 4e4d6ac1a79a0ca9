"""Unix sockets between processes of one user: who connects looks whose they are before a byte is said.

Two things are looked at. The socket's directory is ours and nobody else may write in it, so that no other user can put
a socket there or reach one of a process that does not ask who comes. The process that listens runs as us: the kernel
says so (SO_PEERCRED), whatever became of the directory since. Imports little: every verb pays for it.
"""

import contextlib
import errno
import os
import pwd
import socket
import stat
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from core.errors import Impostor

CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
BUSY_S = 0.01  # until a listener that has no room for another connection is tried again


@dataclass(frozen=True)
class Peer:
    """The process at the other end: who connected, or who called listen(2)."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end, as the kernel says."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid, uid, _ = CREDENTIALS.unpack(told)
    return Peer(pid, uid)


def connect(
    path: Path, kind: socket.SocketKind = socket.SOCK_STREAM, timeout_s: float | None = None
) -> socket.socket:
    """A connection to a process of ours; OSError when none listens, Impostor when it is somebody else's.

    One that is busy is waited for, as long as `timeout_s` at most.
    """
    check_directory(path.parent)
    connection = socket.socket(socket.AF_UNIX, kind)
    try:
        connection.settimeout(timeout_s)
        _reach(connection, path, timeout_s)
        check_peer(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _reach(connection: socket.socket, path: Path, timeout_s: float | None) -> None:
    """connect(2), which the kernel refuses with EAGAIN where the backlog is full and a deadline is set: unix(7)."""
    deadline = time.monotonic() + (timeout_s or 0.0)
    while True:
        try:
            return connection.connect(str(path))
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "too many wait for it already") from error
            time.sleep(BUSY_S)


def check_peer(connection: socket.socket, path: Path) -> None:
    """Impostor unless the process that listens at `path` runs as us."""
    if (uid := peer_of(connection).uid) != os.geteuid():
        raise Impostor(
            f"{path} is served by {user(uid)}, not by you ({user(os.geteuid())}): nothing was sent"
        )


def check_directory(path: Path) -> None:
    """Impostor unless a directory is ours, and only we may put sockets there; OSError when there is none."""
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise Impostor(f"{path} is no directory of yours but a link or a file: remove it")
    if facts.st_uid != os.geteuid():
        raise Impostor(
            f"{path} belongs to {user(facts.st_uid)}, not to you ({user(os.geteuid())}): {_WAY_OUT}"
        )
    if facts.st_mode & OTHERS_WRITE:
        raise Impostor(f"others may write in {path}: `chmod 700 {path}` if that was a mistake")


def check_way(path: Path) -> None:
    """Impostor when another user could put a directory of his own in the place of `path`."""
    trusted = {os.geteuid(), *_roots()}
    for parent in {*path.parents, *path.resolve().parents}:
        facts = parent.lstat()
        if facts.st_uid not in trusted:
            raise Impostor(f"{parent}, where sockets would lie, belongs to {user(facts.st_uid)}: {_WAY_OUT}")
        if stat.S_ISDIR(facts.st_mode) and facts.st_mode & OTHERS_WRITE and not facts.st_mode & stat.S_ISVTX:
            raise Impostor(f"others may write in {parent}, where sockets would lie: {_WAY_OUT}")


class Listener:
    """A listening socket of ours at a path, which can be made again when somebody removed it there."""

    def __init__(self, path: Path, kind: socket.SocketKind, backlog: int) -> None:
        self._path, self._kind, self._backlog = path, kind, backlog
        self.socket = self._made()

    def is_gone(self) -> bool:
        """Does the path lead to this socket no longer?"""
        return _identity(self._path) != self._known

    def renew(self) -> None:
        """Listen there again. Whoever is connected stays so."""
        former, self.socket = self.socket, self._made()
        former.close()

    def _made(self) -> socket.socket:
        make_private(self._path.parent)
        made = socket.socket(socket.AF_UNIX, self._kind)
        try:
            self._path.unlink(missing_ok=True)
            made.bind(str(self._path))
            self._path.chmod(0o600)
            made.listen(self._backlog)
        except BaseException:
            made.close()
            raise
        self._known = _identity(self._path)
        return made


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def make_private(path: Path) -> None:
    """Make a directory, if need be, that is ours and that only we may use. Impostor when it cannot be; OSError.

    mkdir(2) either makes it or finds what is there, which is looked at, not through links, before it is used.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    facts = path.lstat()
    if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) != 0o700:
        path.chmod(0o700)
    check_directory(path)


def _roots() -> set[int]:
    """Who root is here. In a user namespace that does not map it, it is the nameless user, as other strangers are."""
    if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
        return {0}
    return {0, int(Path("/proc/sys/kernel/overflowuid").read_text())}


def user(uid: int) -> str:
    """A user's name and number."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"


_WAY_OUT = "use one of your own (VERTUI_HOME, XDG_RUNTIME_DIR)"
