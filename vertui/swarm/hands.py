"""What a swarm does things with: the daemon, by a client, each thing once however often it is asked for."""

import signal
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from core.commands import Command
from core.daemon.client import Client
from core.daemon.streams import STDOUT
from core.diff.result import DiffSize
from core.errors import Conflict, GuestFailed, NotFound, VertuiError
from core.model import ExecRequest, OperationState, Plan, Tree
from core.verbs.base import Planned, Verb
from vertui.compare.noise import RULES
from vertui.streaming import AttachRequest, Follower
from vertui.swarm.following import TreeFollower
from vertui.transfer import Copier, Place

A = TypeVar("A")
MOST_PRINTED = 1 << 18  # bytes of a command's output that are recorded, of its end
LOOKED_AT = 1000  # operations, for one that an earlier process asked for


class AnswerLost(Exception):
    """A verb was carried out, and its answer went with a daemon."""


class Hands:
    """The daemon's verbs. A request id makes each happen once, also when another process asked for it before."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._follower: TreeFollower | None = None
        self._lock = threading.Lock()

    def tree(self, wait_s: float | None = 0.0) -> Tree:
        """The tree; one that has changed since it was looked at last, if that happens within so long."""
        if not wait_s and wait_s is not None:
            return self.client.tree()
        return self._following().tree(wait_s)

    def wake(self) -> None:
        """Have who waits for another tree look at the one there is."""
        self._following().wake()

    def do(self, verb: Verb[A], key: str) -> A:
        """A verb's answer. AnswerLost when it was carried out and its answer is known to nobody any more."""
        try:
            return self.client.do(verb, key)
        except Conflict:
            log = self.client.log(LOOKED_AT)
            if any(one.request_id == key and one.state is OperationState.DONE for one in log):
                raise AnswerLost from None
            raise

    def plan(self, verb: Planned[Any]) -> Plan:
        """What a verb would do."""
        return self.client.plan(verb)

    def execute(self, plan: Plan, key: str) -> None:
        """Do it."""
        self.client.execute(plan, key)

    def check_secrets(self, names: Collection[str]) -> None:
        """NotFound for one that there is not."""
        known = {secret.name for secret in self.client.secrets()} if names else set[str]()
        if missing := next((name for name in names if name not in known), None):
            raise NotFound(f"no secret '{missing[:40]}': `vertui secret ls` lists those there are")

    def start(self, request: ExecRequest) -> int:
        """Start a command that goes on without us; its number in its guest."""
        return Follower(self.client.endpoint, request, lambda *_: None, lambda _: None).start()

    def printed(self, branch: str, command: int) -> tuple[int, str]:
        """How a command ended, and the end of what it printed: that is waited for."""
        end = bytearray()

        def keep(stream: int, data: bytes) -> None:
            if stream == STDOUT:
                end.extend(data)
                del end[:-MOST_PRINTED]

        what = AttachRequest(branch, command)
        code = Follower(self.client.endpoint, what, keep, lambda _: None).follow().code
        return code, end.decode(errors="replace")

    def listen(self, branch: str, command: int, heard: Callable[[int, bytes], None]) -> None:
        """Hear all that a command prints, as it comes, to its end: which stream, and bytes."""
        Follower(self.client.endpoint, AttachRequest(branch, command), heard, lambda _: None).follow()

    def kill(self, branch: str, command: int) -> None:
        """Kill a command with all that it started, and wait for its end."""
        follower = Follower(
            self.client.endpoint, AttachRequest(branch, command), lambda *_: None, lambda _: None
        )
        follower.signal(signal.SIGKILL)
        follower.follow()

    def command(self, branch: str, command: int) -> Command | None:
        """What is known of a command; None where the guest does not say."""
        try:
            return next((one for one in self.client.ps(branch) if one.id == command), None)
        except VertuiError:
            return None

    def changed(self, before: str, after: str) -> DiffSize | None:
        """How much differs between two REFs, noise left out; None where that cannot be told."""
        try:
            return self.client.changes(before, after, ignore=[rule.glob for rule in RULES], lines=True)
        except VertuiError:
            return None

    def put_in(self, here: str, branch: str, there: str) -> None:
        """Copy a file, or what is in a directory, into a branch."""
        source = f"{here}/." if Path(here).is_dir() else here
        Copier(self.client, lambda _: None).copy(Place(None, source), Place(branch, there))

    def fits(self, ref: str, memory_bytes: int) -> int:
        """How many children of a REF so much memory is for."""
        each = self.client.room(ref).each_bytes
        if not each:
            raise GuestFailed(f"what memory a child of {ref} takes is not known")
        return memory_bytes // each

    def _following(self) -> TreeFollower:
        with self._lock:
            if self._follower is None:
                self._follower = TreeFollower(self.client)
            return self._follower

    def close(self) -> None:
        """Let go of the daemon."""
        if self._follower is not None:
            self._follower.close()
