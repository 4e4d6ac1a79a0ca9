"""From what a client asks for to a running process.

The child reports its own failure: it writes one line to its standard error and ends with 127 (no such program) or
126 (anything else), as a shell does. So a command that cannot be started is followed like any other.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import termios
from contextlib import suppress
from errno import ENOENT
from typing import Any, NamedTuple, NoReturn

from .kernel import clone_into

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BadRequest(Exception):
    """A request that makes no sense; its text is for the user."""


class Stdio(NamedTuple):
    """The child's ends of its three streams; `tty` when all are one terminal."""

    stdin: int
    stdout: int
    stderr: int
    tty: bool


class Program(NamedTuple):
    """What to run, as whom and where."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    user: pwd.struct_passwd

    @property
    def paths(self) -> list[str]:
        """Where the program may lie, in the order to try."""
        name = self.argv[0]
        return [name] if "/" in name else [f"{place}/{name}" for place in self.env["PATH"].split(":")]

    @classmethod
    def from_request(cls, request: dict[str, Any]) -> Program:
        """Check a request's argv (or shell line), env, cwd and user; BadRequest says what is wrong."""
        command = request.get("argv")
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
            raise BadRequest("argv must be a shell line or a list of strings")
        env = request.get("env") or {}
        if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
            raise BadRequest("env must map names to strings")
        user = _look_up(request.get("user") or "root")
        base = {"PATH": PATH, "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
        base |= {"SHELL": user.pw_shell or "/bin/sh", "LANG": "C.UTF-8"}
        if request.get("tty"):
            base["TERM"] = "xterm-256color"
        home = user.pw_dir if os.access(user.pw_dir, os.X_OK) else "/"
        return cls(argv, base | env, request.get("cwd") or home, user)


def _look_up(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError) as error:
        raise BadRequest(f"the guest has no user {user!r}") from error


def start(program: Program, stdio: Stdio, cgroup: str) -> tuple[int, int]:
    """Run the program in its own session and cgroup; returns (pid, pidfd), OSError when the kernel refuses."""
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        pid, pidfd = clone_into(directory)
        if pid == 0:
            _become(program, stdio)
        return pid, pidfd
    finally:
        os.close(directory)


def _become(program: Program, stdio: Stdio) -> NoReturn:
    """In the child: turn into the program. Never returns, whatever happens."""
    name = program.argv[0]
    try:
        _take_streams(stdio)
        _take_user(program.user)
        name = program.cwd
        os.chdir(program.cwd)
        name = program.argv[0]
        _exec(program)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        os.write(2, f"vertui: {name}: {reason}\n".encode(errors="replace"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    finally:
        os._exit(126)


def _exec(program: Program) -> NoReturn:
    """What execvpe does, without its detours: the child of a fork pays for each page it touches."""
    missing = FileNotFoundError(ENOENT, os.strerror(ENOENT))
    for path in program.paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.execve(path, program.argv, program.env)
    raise missing


def _take_streams(stdio: Stdio) -> None:
    os.setsid()
    if stdio.tty:
        fcntl.ioctl(stdio.stdin, termios.TIOCSCTTY, 0)
    for target, source in enumerate((stdio.stdin, stdio.stdout, stdio.stderr)):
        os.dup2(source, target)


def _take_user(user: pwd.struct_passwd) -> None:
    if user.pw_uid != os.getuid():
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
