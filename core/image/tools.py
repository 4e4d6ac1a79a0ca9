"""Running the tools an image is made with, each in a session of its own that ends whole when it is not wanted."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

from core.errors import NoRoom, Unsupported, VertuiError

PACKAGES = {
    "apt-cache": "apt",
    "apt-config": "apt",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "lz4": "lz4",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""The Debian package of each tool, for the error that says it is missing."""

WRAPPERS = ("setpriv", "unshare")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # an ordinary user's PATH often lacks mke2fs
LONGEST_LINE = 1 << 20
EPOCH = "1700000000"  # the time of every file an image is made of
ON_TMPFS = 'umask 022 && mount -t tmpfs -o mode=755,size=75% tmpfs "$1" && shift && exec "$@"'
"""A Debian tree is 10,000 small files: in memory it takes half the time, and needs no tidying."""

Line = Callable[[str], None]


def _nobody(text: str) -> None:
    """Nobody wants to know."""


hearing: ContextVar[Line] = ContextVar("hearing", default=_nobody)
"""Who is told each line of the tools that are run here, to show it; what a tool is asked for its `output` is not."""


def alone(argv: Sequence[str], scratch: Path) -> list[str]:
    """`argv` as root of private mount and process namespaces, with a tmpfs on the directory `scratch`.

    The namespaces, every mount in them and all in `scratch` end with the tool, which ends with the process that
    started it. An ordinary user becomes root of a user namespace, with the subordinate ids /etc/subuid grants.
    """
    died = ["setpriv", "--pdeathsig", "KILL"]
    mapped = [] if os.geteuid() == 0 else ["--map-root-user", "--map-auto"]
    unshared = ["unshare", *mapped, "--fork", "--pid", "--mount-proc", "--kill-child"]
    return [*died, *unshared, "sh", "-c", ON_TMPFS, "sh", str(scratch), *argv]


async def run(argv: Sequence[str], line: Line | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a tool to its end, calling `line` with each line it prints on either stream.

    Raises Unsupported when a tool is missing, NoRoom when the disk is full, else VertuiError with what it said.
    Cancelled, it returns when nothing of the tool is left running.
    """
    heard = hearing.get()

    def both(text: str) -> None:
        heard(text)
        if line:
            line(text)

    await _run(argv, both, env)


async def output(argv: Sequence[str]) -> str:
    """All that a tool prints, as `run` runs it."""
    lines: list[str] = []
    await _run(argv, lines.append)
    return "\n".join(lines)


async def _run(argv: Sequence[str], line: Line, env: Mapping[str, str] | None = None) -> None:
    said = _Said(line)
    process = await _start(argv, env)
    try:
        await _read_lines(process, said)
        status = await process.wait()
    finally:
        await _end(process)
    if status:
        raise said.error(argv, status)


class _Said:
    """Passes lines on and remembers the one that says why the tool failed: the first error, else the last line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._first_error = ""
        self._last = ""

    def __call__(self, text: str) -> None:
        if text.startswith("E: ") and not self._first_error:
            self._first_error = text.removeprefix("E: ")
        self._last = text if text.strip() else self._last
        self._line(text)

    def error(self, argv: Sequence[str], status: int) -> VertuiError:
        names = [Path(word).name for word in argv if word in PACKAGES or word.endswith(".sh")]
        tool = next((name for name in names if name not in WRAPPERS), argv[0])
        why = self._first_error or self._last or f"exit status {status}"
        if "No space left on device" in why:
            return NoRoom(f"no disk space or memory left while {tool} ran: free some and try again")
        return VertuiError(f"{tool} failed: {why[:300]}")


async def _start(argv: Sequence[str], env: Mapping[str, str] | None) -> asyncio.subprocess.Process:
    for word in argv:
        if word in PACKAGES and not shutil.which(word, path=PATH):
            raise Unsupported(f"{word} is missing: apt-get install {PACKAGES[word]}")
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=LONGEST_LINE,
        env={"PATH": PATH, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": EPOCH, **(env or {})},
    )


async def _read_lines(process: asyncio.subprocess.Process, said: Line) -> None:
    assert process.stdout
    async for text in process.stdout:
        said(text.decode(errors="replace").rstrip())


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the tool's session, and wait until its output has no writer: nothing of it lives."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout
    while await process.stdout.read(LONGEST_LINE):
        pass
    await process.wait()
