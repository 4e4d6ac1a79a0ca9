"""A home and its branches, for programs with a loop: all is asked by `vertui.sdk.synchronous`, in other threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial, update_wrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from core.model import Branch, Child, Forked
from core.verbs import fork, rename, up
from core.verbs.base import Verb
from vertui.sdk.away import away, bridged
from vertui.sdk.methods import Awaiting, Later, turned, turned_here
from vertui.sdk.request import ExecOptions, Line
from vertui.sdk.synchronous import JournalAsked, SyncBranch, SyncChild, SyncVertui
from vertui.sdk.verbs import VerbsOfBranch, VerbsOfHome

if TYPE_CHECKING:
    import asyncio

    from core.journal.entry import JournalEntry
    from core.model import Event
    from vertui.outcomes import Outcome
    from vertui.sdk.running import PrintedPiece, SyncRunning
    from vertui.sdk.swarming import SwarmAsked
    from vertui.swarm.results import SwarmOutcome

A = TypeVar("A")


class AsyncVertui(Awaiting, VerbsOfHome):
    """A home: what `vertui` does on the command line. `blocking` is the same for who blocks."""

    def __init__(self, blocking: SyncVertui) -> None:
        self._blocking = self.blocking = blocking

    fork = turned(fork.Fork, lambda me, forked: _children(me, forked))
    up = turned(up.Up, lambda me, branch: _branch(me, branch))
    rename = turned(rename.Rename, lambda me, branch: _branch(me, branch))

    tree = Later(SyncVertui.tree)
    log = Later(SyncVertui.log)
    diff = Later(SyncVertui.diff)
    siblings = Later(SyncVertui.siblings)
    read = Later(SyncVertui.read)
    plan = Later(SyncVertui.plan)
    execute = Later(SyncVertui.execute)

    async def branch(self, name: str) -> AsyncBranch:
        """The branch of that name, `@trunk` being the trunk's. NotFound when there is none."""
        return AsyncBranch(self, await away(partial(self.blocking.branch, name)))

    async def branches(self) -> list[AsyncBranch]:
        """Every branch, oldest first."""
        return [AsyncBranch(self, branch) for branch in await away(self.blocking.branches)]

    async def do(self, verb: Verb[A]) -> A:
        """Have a verb carried out, given as its value; its answer. It is done also when nobody waits any more."""
        return await away(lambda: self.blocking.do(verb))

    async def swarm(
        self,
        name: str,
        work: str | Callable[[AsyncBranch, int], Coroutine[Any, Any, float | None]],
        **asked: Unpack[SwarmAsked],
    ) -> SwarmOutcome:
        """Try N ways at once in forks of one state, and rank them: a command, or a function that is awaited with each
        try's branch and number. See `SyncVertui.swarm`.
        """
        import asyncio

        loop = asyncio.get_running_loop()

        def call(branch: SyncBranch, number: int) -> float | None:
            assert not isinstance(work, str)
            return asyncio.run_coroutine_threadsafe(work(AsyncBranch(self, branch), number), loop).result()

        given = work if isinstance(work, str) else update_wrapper(call, work)
        return await away(partial(self.blocking.swarm, name, given, **asked))

    def events(self) -> AsyncIterator[Event]:
        """What happens from the first step of the iteration on."""
        return bridged(self.blocking.events, lambda events: events.close())


class AsyncBranch(Awaiting, VerbsOfBranch):
    """A branch, by its name."""

    _blocking: SyncBranch

    def __init__(self, vertui: AsyncVertui, blocking: SyncBranch) -> None:
        self.vertui, self._blocking = vertui, blocking

    fork = turned_here(fork.Fork, lambda me, forked: _children(me.vertui, forked))
    rename = turned_here(rename.Rename, lambda me, branch: _renamed(me, branch))

    info = Later(SyncBranch.info)
    ps = Later(SyncBranch.ps)
    processes = Later(SyncBranch.processes)
    ports = Later(SyncBranch.ports)
    read = Later(SyncBranch.read)
    write = Later(SyncBranch.write)
    upload = Later(SyncBranch.upload)
    download = Later(SyncBranch.download)
    diff = Later(SyncBranch.diff)
    patch = Later(SyncBranch.patch)
    prune = Later(SyncBranch.prune)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self._blocking.name

    async def exec(self, command: Line, **options: Unpack[ExecOptions]) -> Outcome:
        """Run a command to its end: a line for the guest's shell, or its words. Of each output the last MiB is kept.
        When the task is cancelled the command hangs up, unless it `outlives` that.
        """
        execution = self._blocking.execution(command, options)
        return await away(execution.outcome, execution.close)

    def run(self, command: Line, *, stdin: bool = False, **options: Unpack[ExecOptions]) -> AsyncRunning:
        """Start a command, to read what it prints as it comes; with `stdin` it is written to until `eof`."""
        return AsyncRunning(self._blocking.run(command, stdin=stdin, **options))

    def attach(self, command: int) -> AsyncRunning:
        """Follow a command that runs, or ran, by its number in the guest; also one inherited by a fork."""
        return AsyncRunning(self._blocking.attach(command))

    async def dial(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a TCP port of its guest. UsageError where the daemon is reached by its port."""
        import asyncio

        return await asyncio.open_connection(sock=await away(partial(self._blocking.dial, port)))

    def journal(self, **options: Unpack[JournalAsked]) -> AsyncIterator[JournalEntry]:
        """Entries of its journal, oldest first."""
        return bridged(lambda: self._blocking.journal(**options), lambda entries: entries.close())

    def journal_grep(self, text: str) -> AsyncIterator[JournalEntry]:
        """The entries that hold a text."""
        return bridged(lambda: self._blocking.journal_grep(text), lambda entries: entries.close())


class AsyncChild(AsyncBranch):
    """What came of one child of a fork: a branch that runs, or with `ok` False why there is none. `commit_id` is what
    all of them come from.
    """

    _blocking: SyncChild

    def __init__(self, vertui: AsyncVertui, outcome: Child, commit: str) -> None:
        super().__init__(vertui, SyncChild(vertui.blocking, outcome, commit))
        self.outcome, self.commit_id = outcome, commit

    @property
    def ok(self) -> bool:
        """Does it run?"""
        return self.outcome.ok

    @property
    def reason(self) -> str:
        """Why it does not."""
        return self.outcome.reason


class AsyncRunning:
    """A command that runs. Iterate it for what it prints, as it comes: it waits while nobody does. `wait` is for its
    end, and leaves the rest of what it prints unread. Closed before that, it hangs up: use `async with`.
    """

    def __init__(self, blocking: SyncRunning) -> None:
        self._blocking: SyncRunning = blocking

    @property
    def command(self) -> int | None:
        """Its number in the guest, as `ps` shows it; None until it is known to run."""
        return self._blocking.command

    def __aiter__(self) -> AsyncIterator[PrintedPiece]:
        return bridged(lambda: self._blocking, lambda running: running.unread())

    async def write(self, data: bytes) -> bool:
        """Give it input, blocking while it has not taken what it was given; False when it takes no more."""
        return await away(partial(self._blocking.write, data))

    def eof(self) -> None:
        """End its input."""
        self._blocking.eof()

    def signal(self, number: int) -> None:
        """Send a signal to it and what it started."""
        self._blocking.signal(number)

    async def wait(self) -> Outcome:
        """How it ended, and the end of what it printed."""
        return await away(self._blocking.wait)

    async def leave(self) -> int:
        """Let it run on without us; its number, for `attach`. DaemonUnavailable when that is not sure."""
        return await away(self._blocking.leave)

    async def close(self) -> None:
        """End the connection, and with it a command that runs."""
        await away(self._blocking.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _children(vertui: AsyncVertui, forked: Forked) -> list[AsyncChild]:
    return [AsyncChild(vertui, child, forked.commit.id) for child in forked.children]


def _branch(vertui: AsyncVertui, branch: Branch) -> AsyncBranch:
    return AsyncBranch(vertui, SyncBranch(vertui.blocking, branch.name))


def _renamed(me: AsyncBranch, branch: Branch) -> Branch:
    me._blocking.name = branch.name
    return branch
