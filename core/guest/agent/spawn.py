"""From what a client asks for to a running process."""

from __future__ import annotations

import os
import pwd
import signal
from errno import ENOENT
from typing import NamedTuple, TypedDict

from .cgroup import WorkGroup

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = "/etc/environment"
MOST_ENVIRONMENT_BYTES = 16 * 1024


class Exec(TypedDict, total=False):
    """The fields of a request to run a program: `argv` is a line for sh or a list of words. `before` are words of a
    program that is started in its place, as root, with the rest as its arguments, and becomes it.
    """

    argv: str | list[str]
    before: list[str]
    env: dict[str, str]
    cwd: str | None
    user: str | None
    tty: bool
    rows: int
    columns: int
    stdin: bool
    timeout_s: float | None
    lossless: bool
    key: str | None
    inner: bool


class BadRequest(Exception):
    """A request that makes no sense; its text is for the user."""


class CannotRun(Exception):
    """A program that did not start; `message` and `code` are a shell's (127: no such file, 126: anything else)."""

    def __init__(self, name: str, error: OSError | ValueError) -> None:
        reason = (
            f"{error.filename or name}: {error.strerror}"
            if isinstance(error, OSError)
            else f"{name}: {error}"
        )
        self.message = f"vertui: {reason}\n".encode(errors="replace")
        self.code = 127 if isinstance(error, FileNotFoundError) else 126


class Stdio(NamedTuple):
    """The child's ends of its three streams; `tty` names the terminal when they are one."""

    stdin: int
    stdout: int
    stderr: int
    tty: str = ""

    @property
    def actions(self) -> list[tuple[int, int, int] | tuple[int, int, str, int, int]]:
        """For posix_spawn. Opening it makes a terminal the new session's own."""
        sources = [0, 0, 0] if self.tty else [self.stdin, self.stdout, self.stderr]
        copies = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(sources)]
        return [(os.POSIX_SPAWN_OPEN, 0, self.tty, os.O_RDWR, 0), *copies] if self.tty else [*copies]


class Program(NamedTuple):
    """What to run, as whom and where."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    user: pwd.struct_passwd
    before: list[str]

    @property
    def words(self) -> list[str]:
        """What is started: the program, by way of setpriv when it runs as another user."""
        if self.user.pw_uid == os.getuid():
            return [*self.before, *self.argv]
        ids = [f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}"]
        return [*self.before, "setpriv", *ids, "--init-groups", "--", *self.argv]

    @property
    def paths(self) -> list[str]:
        """Where the program may lie, in the order to try."""
        name = self.words[0]
        return [name] if "/" in name else [f"{place}/{name}" for place in self.env["PATH"].split(":")]

    @classmethod
    def from_request(cls, request: Exec) -> Program:
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
        return cls(
            argv, _of_machine() | base | env, request.get("cwd") or home, user, request.get("before") or []
        )


def _of_machine() -> dict[str, str]:
    """The variables that a login has from this machine's own file (pam_env(8)); none where it cannot be read."""
    try:
        fd = os.open(ENVIRONMENT, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        text = os.read(fd, MOST_ENVIRONMENT_BYTES).decode(errors="surrogateescape")
    except OSError:
        return {}
    finally:
        os.close(fd)
    found = {}
    for line in text.split("\n"):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.isidentifier() and "\0" not in value:
            found[name] = value[1:-1] if value[:1] in ("'", '"') and value[-1:] == value[:1] else value
    return found


def root() -> pwd.struct_passwd:
    """The administrator, whom there is also where the guest's list of users is not what it was."""
    try:
        return pwd.getpwuid(0)
    except KeyError:
        return pwd.struct_passwd(("root", "x", 0, 0, "root", "/root", "/bin/sh"))


def _look_up(user: str) -> pwd.struct_passwd:
    try:
        if user in ("root", "0"):
            return root()
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError) as error:
        raise BadRequest(f"the guest has no user {user!r}") from error


def start(program: Program, stdio: Stdio, work: WorkGroup, group: str) -> tuple[int, int]:
    """Run the program in its own session, in `group`; returns (pid, pidfd). CannotRun when it does not start.

    By posix_spawn, which copies no memory: the child of a fork would spend more on the agent's pages than a small
    program runs. What posix_spawn cannot set the child inherits: the agent joins the group, enters the directory,
    and comes back.
    """
    failed = CannotRun(program.argv[0], FileNotFoundError(ENOENT, os.strerror(ENOENT)))
    pid = 0
    with work.joined(group):
        try:
            os.chdir(program.cwd)
            path = next((path for path in program.paths if os.access(path, os.F_OK)), None)
            if path:
                pid = os.posix_spawn(
                    path, program.words, program.env, file_actions=stdio.actions, setsid=True
                )
        except (OSError, ValueError) as error:
            failed = CannotRun(program.argv[0], error)
        finally:
            os.chdir("/")
    if not pid:
        raise failed
    return pid, _followed(pid)


def _followed(pid: int) -> int:
    """A descriptor that tells of a child's end; without one nobody would, so that the child ends at once."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
