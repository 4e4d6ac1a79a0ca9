"""A home and its branches, for programs that wait for each answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, cast

from core.errors import Conflict
from core.model import Branch, Child, Command, Forked, Operation, Plan, Process, Tree
from core.verbs import fork, rename, up
from core.verbs.base import Planned, Verb
from core.verbs.fields import no_branch
from core.verbs.shown import Shown
from vertui.sdk.methods import Blocking, turned, turned_here
from vertui.sdk.request import ExecOptions, Line, request_of
from vertui.sdk.verbs import VerbsOfBranch, VerbsOfHome

if TYPE_CHECKING:
    import socket

    from core.daemon.client import Client, EventStream
    from core.daemon.lines import LineStream
    from core.diff.result import Diff, Siblings
    from core.inward import GuestPort
    from core.journal.entry import JournalEntry
    from vertui.outcomes import Outcome
    from vertui.sdk.running import Execution, SyncRunning
    from vertui.sdk.swarming import SwarmAsked
    from vertui.swarm.results import SwarmOutcome
    from vertui.transfer import Copied

A = TypeVar("A")


class DiffAsked(TypedDict, total=False):
    """What is compared: at or below the absolute paths of `path`, but what matches `ignore`; times with `mtime`,
    numbers of lines with `lines`, and what else there is beside files.
    """

    path: Sequence[str]
    ignore: Sequence[str]
    mtime: bool
    lines: bool
    processes: bool
    ports: bool
    packages: bool
    memory: bool


class JournalAsked(TypedDict, total=False):
    """Which entries: from number `first` on, or the newest `count`; long bodies `whole`; with `follow` those that come
    as well.
    """

    first: int
    count: int
    whole: bool
    follow: bool


class SyncVertui(Blocking, VerbsOfHome):
    """A home: what `vertui` does on the command line. `author` is who says and does what journals are told."""

    def __init__(self, client: Client, author: str = "") -> None:
        self.client, self.author = client, author

    fork = turned(fork.Fork, lambda me, forked: _children(me, forked))
    up = turned(up.Up, lambda me, branch: _branch(me, branch))
    rename = turned(rename.Rename, lambda me, branch: _branch(me, branch))

    def branch(self, name: str) -> SyncBranch:
        """The branch of that name, `@trunk` being the trunk's. NotFound when there is none."""
        shown = Shown(self.tree())
        found = shown.branch(name)
        if found is None:
            raise no_branch(shown, name).error()
        return SyncBranch(self, found.name)

    def branches(self) -> list[SyncBranch]:
        """Every branch, oldest first."""
        return [SyncBranch(self, branch.name) for branch in self.tree().branches]

    def tree(self) -> Tree:
        """Branches, commits, images and the trunk."""
        return self.client.tree()

    def log(self, limit: int = 50) -> list[Operation]:
        """The newest operations, newest first."""
        return self.client.log(limit)

    def diff(self, a: str, b: str = "", **options: Unpack[DiffAsked]) -> Diff:
        """What changed from REF a to REF b, or `x...y` for both."""
        return self.client.diff(a, b, **options)

    def siblings(
        self,
        refs: Sequence[str],
        *,
        path: Sequence[str] = (),
        ignore: Sequence[str] = (),
        mtime: bool = False,
        base: str = "",
    ) -> Siblings:
        """Which files differ among several REFs, from the commit that all come from or from a REF `base`."""
        return self.client.diff_siblings(refs, path=path, ignore=ignore, mtime=mtime, base=base)

    def read(self, ref: str, path: str) -> bytes:
        """A file at an absolute path on the disk of any REF; no machine need run."""
        from vertui.sdk.files import read_kept

        return read_kept(self.client, ref, path)

    def swarm(
        self, name: str, work: str | Callable[[SyncBranch, int], float | None], **asked: Unpack[SwarmAsked]
    ) -> SwarmOutcome:
        """Try N ways at once in forks of one state, and rank them: a command ("" where there are variants), or a
        function that is called with each try's branch and number, several at once, and answers its score. What it
        raises is why a try has none. Asked once more by a program that was killed, a swarm of the same name goes on
        where it was; a call that was cut off is made again in the same branch.
        """
        from vertui.sdk.swarming import swarm

        if isinstance(work, str):
            return swarm(self.client, name, asked, work, None)

        def call(branch: str, number: int) -> float | None:
            return work(SyncBranch(self, branch), number)

        return swarm(self.client, name, asked, "", update_wrapper(call, work))

    def events(self) -> EventStream:
        """What happens from now on, until it is closed."""
        return self.client.events()

    def do(self, verb: Verb[A], key: str | None = None) -> A:
        """Have a verb carried out, given as its value; its answer. Events of progress name the `key`."""
        if self.author and getattr(verb, "author", None) == "":
            verb = cast(Verb[A], replace(cast(Any, verb), author=self.author))
        return self.client.do(verb, key)

    def plan(self, verb: Planned[Any]) -> Plan:
        """What a verb would do, exactly; `execute` does that."""
        return self.client.plan(verb)

    def execute(self, plan: Plan) -> Operation:
        """Carry a plan out, once. Conflict when what it was made for is gone."""
        return self.client.execute(plan)

    def _do(self, verb: Verb[A]) -> A:
        return self.do(verb)


class SyncBranch(Blocking, VerbsOfBranch):
    """A branch, by its name."""

    def __init__(self, vertui: SyncVertui, name: str) -> None:
        self.vertui, self.name = vertui, name

    fork = turned_here(fork.Fork, lambda me, forked: _children(me.vertui, forked))
    rename = turned_here(rename.Rename, lambda me, branch: _renamed(me, branch))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def ref(self) -> str:
        """Its name, as what is asked for takes it."""
        return self.name

    def info(self) -> Branch:
        """What is known of it now. NotFound once it is pruned."""
        shown = Shown(self.vertui.tree())
        found = shown.branch(self.ref)
        if found is None:
            raise no_branch(shown, self.ref).error()
        return found

    def exec(self, command: Line, **options: Unpack[ExecOptions]) -> Outcome:
        """Run a command to its end: a line for the guest's shell, or its words. Of each output the last MiB is kept."""
        return self.execution(command, options).outcome()

    def execution(self, command: Line, options: ExecOptions) -> Execution:
        """The same, not yet begun."""
        from vertui.sdk.running import Execution

        given = options.get("input")
        request = request_of(self.ref, command, self.vertui.author, options, stdin=given is not None)
        return Execution(self.vertui.client.endpoint, request, given)

    def run(self, command: Line, *, stdin: bool = False, **options: Unpack[ExecOptions]) -> SyncRunning:
        """Start a command, to read what it prints as it comes; with `stdin` it is written to until `eof`."""
        from vertui.sdk.running import SyncRunning

        given = options.get("input")
        request = request_of(self.ref, command, self.vertui.author, options, stdin=stdin or given is not None)
        return SyncRunning(self.vertui.client.endpoint, request, given)

    def attach(self, command: int) -> SyncRunning:
        """Follow a command that runs, or ran, by its number in the guest; also one inherited by a fork."""
        from vertui.sdk.running import SyncRunning
        from vertui.streaming import AttachRequest

        return SyncRunning(self.vertui.client.endpoint, AttachRequest(self.ref, command))

    def ps(self) -> list[Command]:
        """Commands started by `exec`, also those inherited by a fork."""
        return self.vertui.client.ps(self.ref)

    def processes(self) -> list[Process]:
        """All processes of its guest."""
        return self.vertui.client.processes(self.ref)

    def ports(self) -> list[GuestPort]:
        """Its published ports, and those that a program in it listens on; `publish` publishes one."""
        return self.vertui.client.ports(self.ref)

    def dial(self, port: int) -> socket.socket:
        """A connection to a TCP port of its guest. UsageError where the daemon is reached by its port."""
        return self.vertui.client.dial(self.ref, port)

    def read(self, path: str) -> bytes:
        """A file of its guest, which runs; a relative path starts at root's home."""
        from vertui.sdk import files

        return files.read(self.vertui.client, self.ref, path)

    def write(self, path: str, data: bytes | str) -> None:
        """Make what a file of its guest holds; the directories above it are made."""
        from vertui.sdk import files

        files.write(self.vertui.client, self.ref, path, data)

    def upload(self, source: str | Path, path: str) -> Copied:
        """Copy a file or tree of this machine into it, as `vertui cp` does."""
        from vertui.sdk import files

        return files.upload(self.vertui.client, source, self.ref, path)

    def download(self, path: str, target: str | Path) -> Copied:
        """Copy a file or tree of it to this machine, as `vertui cp` does."""
        from vertui.sdk import files

        return files.download(self.vertui.client, self.ref, path, target)

    def diff(self, since: str = "", **options: Unpack[DiffAsked]) -> Diff:
        """What changed from a REF to it, or without one since it was forked."""
        return self.vertui.client.diff(self._since(since), self.ref, **options)

    def patch(
        self, since: str = "", *, path: Sequence[str] = (), ignore: Sequence[str] = (), whole: bool = False
    ) -> bytes:
        """The same as a unified text diff, `whole` as `git apply` takes it, with binary files."""
        return self.vertui.client.patch(self._since(since), self.ref, path=path, ignore=ignore, whole=whole)

    def journal(self, **options: Unpack[JournalAsked]) -> LineStream[JournalEntry]:
        """Entries of its journal, oldest first."""
        return self.vertui.client.journal(self.ref, **options)

    def journal_grep(self, text: str) -> LineStream[JournalEntry]:
        """The entries that hold a text."""
        return self.vertui.client.journal_grep(self.ref, text)

    def prune(self, *, now: bool = False) -> Operation:
        """Into the trash, from where `undo` brings it back; with `now` for good."""
        return self.vertui.prune((self.ref,), now=now)

    def _since(self, ref: str) -> str:
        return ref or Shown(self.vertui.tree()).origin(self.ref)

    def _do(self, verb: Verb[A]) -> A:
        return self.vertui.do(verb)


class SyncChild(SyncBranch):
    """What came of one child of a fork: a branch that runs, or with `ok` False why there is none. `commit` is what all
    of them come from.
    """

    def __init__(self, vertui: SyncVertui, outcome: Child, commit: str) -> None:
        super().__init__(vertui, outcome.name)
        self.outcome, self.commit_id = outcome, commit

    @property
    def ok(self) -> bool:
        """Does it run?"""
        return self.outcome.ok

    @property
    def reason(self) -> str:
        """Why it does not."""
        return self.outcome.reason

    @property
    def ref(self) -> str:
        """Its name. Conflict where it did not start."""
        if not self.ok:
            raise Conflict(f"{self.name} did not start: {self.reason}")
        return self.name


def _children(vertui: SyncVertui, forked: Forked) -> list[SyncChild]:
    return [SyncChild(vertui, child, forked.commit.id) for child in forked.children]


def _branch(vertui: SyncVertui, branch: Branch) -> SyncBranch:
    return SyncBranch(vertui, branch.name)


def _renamed(me: SyncBranch, branch: Branch) -> Branch:
    me.name = branch.name
    return branch
