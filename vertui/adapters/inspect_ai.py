"""A sandbox of inspect_ai that is a branch: each sample has a child of its own, forked from one warm commit.

    Task(dataset=…, solver=…, sandbox=("vertui", "main"))
    Task(dataset=…, solver=…, sandbox=SandboxEnvironmentSpec("vertui", VertuiSandboxConfig(ref="main", setup="make")))

The protocol is `inspect_ai.util.SandboxEnvironment` of 0.3, and `inspect_ai.util._sandbox.self_check` its tests.
"""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import shlex
import signal
from secrets import token_hex
from typing import Any, ClassVar, Literal, NamedTuple, overload

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxConnection,
    SandboxEnvironment,
    SandboxEnvironmentLimits,
    sandboxenv,
)
from inspect_ai.util._sandbox.environment import SandboxUnavailableError
from pydantic import BaseModel
from rich.markup import escape

from core.errors import GuestFailed, VertuiError
from core.model import ExecRequest
from vertui.adapters.starts import Starts, pruned, warm
from vertui.outcomes import Outcome
from vertui.sdk import AsyncBranch, AsyncRunning, AsyncVertui, ExecOptions, connect
from vertui.sdk.running import SyncRunning
from vertui.text import printable

NAME = "vertui"
PREFIX = "inspect-"  # of branches: `inspect sandbox cleanup vertui` finds them by it
FILE_S = 600  # for a file to be read or written, as inspect_ai's own sandboxes have it
MOST_WORDS_BYTES = (
    32 * 1024
)  # of a command that goes in as it is: what is longer is written into a file first
ERROR_BYTES = 64 * 1024  # of what a program says of a file
SHOWN = 2000  # characters of a command, or of what it printed, in an error
CANNOT_RUN = 126  # a command's exit status where it is there and cannot be begun
READ = 'exec /bin/cat -- "$1"'
WRITE = 'case $1 in */*) /bin/mkdir -p -- "${1%/*}/" || exit 1;; esac; exec /bin/cat > "$1"'
WORDS = 'mapfile -d "" -t words < "$0" && /bin/rm -f -- "$0" && exec "${words[@]}"'
SAID = {os.strerror(number): number for number in errno.errorcode}
"""What a guest's programs say of a file, and the number of that error."""


class VertuiSandboxConfig(BaseModel, frozen=True):
    """`ref` is what samples come from: a branch, which is committed once a run, or a commit. `setup` is a line that is
    run once in a child of that, whose state they then come from. `cwd` is where commands run and relative paths begin,
    `user` who runs them (root).
    """

    ref: str = "@trunk"
    setup: str = ""
    cwd: str = "/root"
    user: str | None = None
    home: str | None = None
    author: str = "inspect_ai"

    @classmethod
    def of(cls, given: BaseModel | str | None) -> VertuiSandboxConfig:
        """What a task says: all of it, a REF alone, or nothing."""
        return given if isinstance(given, cls) else cls(ref=given) if isinstance(given, str) else cls()


class Samples:
    """What all samples of one configuration come from, and the branches made for them."""

    def __init__(self, v: AsyncVertui, commit: str, made: list[AsyncBranch]) -> None:
        self.v, self.branches = v, made
        self._starts = Starts(v, commit, PREFIX)

    @classmethod
    async def begun(cls, config: VertuiSandboxConfig) -> Samples:
        """Once a run. PrerequisiteError says why there can be none."""
        try:
            v = await connect(config.home, author=config.author)
            if config.setup:
                return await cls._set_up(v, config)
            return cls(v, await warm(v, config.ref, "inspect_ai"), [])
        except VertuiError as error:
            raise _prerequisite(str(error)) from error

    @classmethod
    async def _set_up(cls, v: AsyncVertui, config: VertuiSandboxConfig) -> Samples:
        child = await Starts(v, config.ref, PREFIX).child()
        try:
            done = await child.exec(config.setup, cwd=config.cwd, user=config.user or "root")
            if done.exit != 0:
                raise _prerequisite(f"setup ended with {done.exit}: {(done.stderr or done.stdout)[-SHOWN:]}")
            return cls(v, await warm(v, child.name, "inspect_ai: set up"), [child])
        except BaseException:
            await pruned(v, [child])
            raise

    async def child(self) -> AsyncBranch:
        """A branch for one sample."""
        child = await self._starts.child()
        self.branches.append(child)
        return child

    async def prune(self, branches: list[AsyncBranch]) -> None:
        """Remove some for good."""
        await pruned(self.v, branches)
        self.branches = [branch for branch in self.branches if branch not in branches]


@sandboxenv(name=NAME)
class VertuiSandbox(SandboxEnvironment):
    """A branch for one sample. `branch` is its handle: `await sandbox().as_type(VertuiSandbox).branch.diff()`."""

    _begun: ClassVar[dict[VertuiSandboxConfig, asyncio.Task[Samples]]] = {}

    def __init__(self, branch: AsyncBranch, config: VertuiSandboxConfig) -> None:
        super().__init__()
        self.branch, self.config = branch, config

    @classmethod
    async def task_init(cls, task_name: str, config: BaseModel | str | None) -> None:
        """Make what all samples come from."""
        await cls._samples(VertuiSandboxConfig.of(config))

    @classmethod
    async def sample_init(
        cls, task_name: str, config: BaseModel | str | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """A child for one sample: those asked for together are one fork."""
        meant = VertuiSandboxConfig.of(config)
        samples = await cls._samples(meant)
        return {"default": cls(await samples.child(), meant)}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: BaseModel | str | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Remove a sample's branch. Those of a run that is interrupted go together, at its end."""
        begun = cls._begun.get(VertuiSandboxConfig.of(config))
        if begun and not interrupted:
            samples = await begun
            await samples.prune([one.as_type(cls).branch for one in environments.values()])

    @classmethod
    async def task_cleanup(cls, task_name: str, config: BaseModel | str | None, cleanup: bool) -> None:
        """Remove what is left, or with `--no-sandbox-cleanup` say what is."""
        begun = cls._begun.pop(VertuiSandboxConfig.of(config), None)
        if begun is None:
            return
        samples = await begun
        if cleanup:
            await samples.prune(samples.branches)
        elif names := " ".join(branch.name for branch in samples.branches):
            print(f"branches that stay: {names}\n`vertui prune {names}` removes them")

    @classmethod
    async def cli_cleanup(cls, id: str | None) -> None:
        """Remove the branches of all runs, or one."""
        v = await connect()
        wanted = [branch for branch in await v.branches() if branch.name.startswith(PREFIX)]
        await pruned(v, [branch for branch in wanted if id in (None, branch.name)])

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """As a log has it."""
        return VertuiSandboxConfig(**config)

    @classmethod
    async def _samples(cls, config: VertuiSandboxConfig) -> Samples:
        """Begun by whoever needs them first."""
        if config not in cls._begun:
            cls._begun[config] = asyncio.create_task(Samples.begun(config))
        try:
            return await asyncio.shield(cls._begun[config])
        except Exception:
            cls._begun.pop(config, None)
            raise

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a command. One that is not done in time is killed with all that it started, and is not tried again."""
        who = user or self._user
        options: ExecOptions = {"cwd": self._path(cwd or ""), "env": env or {}, "user": who}
        if input is not None:
            options["input"] = input
        if timeout:
            options["timeout_s"] = timeout
        limit = SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE
        try:
            done = await _printed(self.branch.run(await self._words(cmd, who), **options), limit)
        except GuestFailed as error:
            await self._file(
                "exit 0", "", user="root"
            )  # it answers: so it is the command that it does not begin
            return ExecResult(False, CANNOT_RUN, "", f"{error}\n")
        except VertuiError as error:
            raise SandboxUnavailableError(str(error)) from error
        return _result(cmd, done, limit)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Make what a file holds; the directories above it are made."""
        await self._file(WRITE, file, given=contents)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...
    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...
    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """What a file holds."""
        limit = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE
        data = await self._file(READ, file, limit)
        if len(data) > limit:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
        return data.decode() if text else data

    async def connection(self, *, user: str | None = None) -> SandboxConnection:
        """The command that opens a shell in it."""
        try:
            await self.branch.info()
        except VertuiError as error:
            raise ConnectionError(str(error)) from error
        name = self.branch.name
        line = f"exec -it -u {shlex.quote(user)} {name} -- bash -l" if user else f"shell {name}"
        return SandboxConnection(type=NAME, command=f"vertui {line}")

    def default_polling_interval(self) -> float:
        """Seconds between two looks for what a program in it asks of inspect_ai."""
        return 0.2

    @property
    def _user(self) -> str:
        return self.config.user or "root"

    def _path(self, path: str) -> str:
        return posixpath.join(self.config.cwd, path)

    async def _words(self, cmd: list[str], user: str) -> list[str]:
        """A command as the guest takes it."""
        if len(cmd) == 1 and cmd[0].split() != cmd:  # it would be taken for a line
            return ["/bin/sh", "-c", 'exec "$0"', *cmd]
        if sum(len(os.fsencode(word)) for word in cmd) < MOST_WORDS_BYTES:
            return cmd
        path = f"/tmp/.vertui-{token_hex(8)}"
        await self._file(WRITE, path, given="".join(f"{word}\0" for word in cmd), user=user)
        return ["/bin/bash", "-c", WORDS, path]

    async def _file(
        self,
        script: str,
        file: str,
        limit: int = ERROR_BYTES,
        given: str | bytes | None = None,
        user: str | None = None,
    ) -> bytes:
        """Have a script do something with a file; what it prints. OSError, by its kind, says why it cannot."""
        asked = ExecRequest(
            self.branch.name,
            ("/bin/sh", "-c", script, "sh", self._path(file)),
            user=user or self._user,
            stdin=given is not None,
            timeout_s=FILE_S,
            lossless=True,
            inner=True,
        )
        endpoint = self.branch.vertui.blocking.client.endpoint
        try:
            done = await _printed(AsyncRunning(SyncRunning(endpoint, asked, given)), limit)
        except VertuiError as error:
            raise SandboxUnavailableError(str(error)) from error
        if done.ended.timed_out:
            raise TimeoutError(f"{file}: not done after {FILE_S} seconds")
        if done.ended.exit and len(done.out) <= limit:
            raise _problem(file, bytes(done.err))
        return bytes(done.out)


class AllPrinted(NamedTuple):
    """How a command ended and all it printed."""

    ended: Outcome
    out: bytearray
    err: bytearray


async def _printed(running: AsyncRunning, limit: int) -> AllPrinted:
    """Follow a command to its end. One that prints more is killed, and of that a little more is kept."""
    out, err = bytearray(), bytearray()
    async with running:
        async for printed in running:
            kept = err if printed.is_error else out
            kept += printed.data
            if len(kept) > limit:
                running.signal(signal.SIGKILL)
                break
        return AllPrinted(await running.wait(), out, err)


def _result(cmd: list[str], done: AllPrinted, limit: int) -> ExecResult[str]:
    """What a harness is told of a command that has ended."""
    if done.ended.timed_out:
        raise TimeoutError(f"not done in time: {' '.join(cmd)[:SHOWN]}")
    out, err = (printed[:limit].decode(errors="replace") for printed in (done.out, done.err))
    if len(done.out) > limit or len(done.err) > limit:
        most = SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR
        raise OutputLimitExceededError(most, out if len(done.out) > limit else err)
    denied = os.strerror(errno.EACCES)
    if done.ended.exit == CANNOT_RUN and err.endswith(f": {denied}\n"):
        raise PermissionError(errno.EACCES, denied, cmd[0])
    return ExecResult(done.ended.exit == 0, done.ended.exit, out, err)


def _problem(file: str, said: bytes) -> OSError:
    """Why a file cannot be read or written, by the last that a program said."""
    line = said.decode(errors="replace").rstrip("\n").rpartition("\n")[2]
    number = SAID.get(line.rpartition(": ")[2], errno.EIO)
    return OSError(number, os.strerror(number) if number != errno.EIO else printable(line), file)


def _prerequisite(message: str) -> PrerequisiteError:
    return PrerequisiteError(escape(f"{NAME}: {printable(message)}"))
