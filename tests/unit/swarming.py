"""Swarms over an engine of twins. Commands need no guest: each scores its branch by what a test says of it."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from core.commands import Command, LastCommand, Scoring
from core.daemon.client import Client
from core.diff.result import DiffSize
from core.engine.context import Engine
from core.engine.news import Announcer
from core.errors import Conflict
from core.home import Home
from core.model import Applied, ExecRequest, Plan, Tree
from core.verbs.apply import Apply
from core.verbs.base import Verb
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from vertui.swarm import record as records
from vertui.swarm.hands import A, Hands
from vertui.swarm.playing import play
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.spec import SwarmSpec
from vertui.swarm.steps import SilentBoard
from vertui.swarm.work import Called

LASTS_S = 0.005
Judge = Callable[[str, str], float | None]
"""What a branch's command scores, by the branch's name and the command; None of one that never ends."""


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Commands:
    """What runs in guests: each once, by its key. `prints` is what a branch's command says; what branches of `clashes`
    changed cannot be applied.
    """

    engine: Engine
    loop: asyncio.AbstractEventLoop
    judge: Judge
    known: dict[str, int] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    most: int = 0
    prints: Callable[[str], bytes] = lambda branch: b""
    clashes: set[str] = field(default_factory=set)
    applied: dict[str, str] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)

    def start(self, request: ExecRequest) -> int:
        return asyncio.run_coroutine_threadsafe(self._start(request), self.loop).result(60)

    async def _start(self, request: ExecRequest) -> int:
        if request.key not in self.known:
            self.known[request.key] = number = len(self.known) + 1
            self.begun[request.branch] += 1
            self.running.add(request.branch)
            self.most = max(self.most, len(self.running))
            row = self.engine.branch(request.branch)
            self.engine.catalog.change_branch(row.id, scoring=Scoring(number, request.score))
            score = self.judge(request.branch, request.argv[-1])
            if score is not None:
                self.loop.call_later(LASTS_S, self._end, request.branch, score)
        return self.known[request.key]

    def kill(self, branch: str) -> None:
        self.loop.call_soon_threadsafe(self._end, branch, None, "not scored: its command ended with 137")

    def _end(self, branch: str, score: float | None, note: str = "") -> None:
        self.running.discard(branch)
        row = self.engine.branch(branch)
        if row.scoring is not None:
            code = 0 if score is not None else 137
            last = LastCommand(row.scoring.command, "sh", 0.0, code, lasted_ms=5.0)
            self.engine.machines.live[row.id].last = last
            self.engine.catalog.change_branch(row.id, scoring=None, score=score, note=note)
        self.engine.events.publish("branch", branch, f"{branch}: scored")


class TwinHands(Hands):
    """Hands that can do so many things, and are killed behind the next: that is done, and not recorded."""

    def __init__(self, client: Client, commands: Commands, lives: int | None = None) -> None:
        super().__init__(client)
        self.commands, self.lives, self.paths = commands, lives, 0
        self.asked = Counter[str]()
        self._lock = threading.Lock()

    def tree(self, wait_s: float | None = 0.0) -> Tree:
        self.asked["tree"] += wait_s == 0
        return super().tree(wait_s)

    def do(self, verb: Verb[A], key: str) -> A:
        self.asked[type(verb).__name__] += 1
        if isinstance(verb, Apply):  # disks of twins hold no files
            self.commands.applied[key] = f"{verb.source} to {verb.target}"
            if verb.source in self.commands.clashes:
                raise Conflict("1 changed in both: /root/answer")
            self._did()
            return cast(A, Applied((), (), ()))
        answer = super().do(verb, key)
        self._did()
        return answer

    def execute(self, plan: Plan, key: str) -> None:
        super().execute(plan, key)
        self._did()

    def start(self, request: ExecRequest) -> int:
        self.asked["start"] += 1
        number = self.commands.start(request)
        self._did()
        return number

    def printed(self, branch: str, command: int) -> tuple[int, str]:
        self._did()
        return 0, f"{branch} {command}\n"

    def listen(self, branch: str, command: int, heard: Callable[[int, bytes], None]) -> None:
        for byte in self.commands.prints(branch):
            heard(1, bytes([byte]))

    def kill(self, branch: str, command: int) -> None:
        self.commands.kill(branch)

    def command(self, branch: str, command: int) -> Command | None:
        self.asked["command"] += 1
        return Command(command, ("sh",), 1, 0.0, 0, lasted_ms=5.0)

    def changed(self, before: str, after: str) -> DiffSize | None:
        self.asked["changed"] += 1
        return DiffSize(self.paths, (1, 0))

    def _did(self) -> None:
        with self._lock:
            if self.lives is not None:
                self.lives -= 1
                if self.lives < 0:
                    raise Killed


@dataclass
class Swarming:
    """A home with a trunk `main`, and swarms in it."""

    twins: Twins
    client: Client
    commands: Commands

    @property
    def home(self) -> Home:
        return self.twins.engine.home

    def hands(self, lives: int | None = None) -> TwinHands:
        return TwinHands(self.client, self.commands, lives)

    def run(
        self, name: str, spec: SwarmSpec, lives: int | None = None, call: Called | None = None
    ) -> SwarmOutcome:
        """From the beginning, or from where it was, in a thread."""
        hands = self.hands(lives)
        begun = records.begun(self.home, name)
        try:
            with records.go_on(self.home, name) if begun else records.begin(self.home, name, spec) as record:
                return play(record, hands, SilentBoard(), call=call)
        finally:
            hands.close()

    async def killed(
        self, name: str, spec: SwarmSpec, call: Called | None = None
    ) -> tuple[SwarmOutcome, int]:
        """Killed after every step: what came of it nevertheless, and how often that was."""
        deaths = 0
        while True:
            try:
                return await asyncio.to_thread(self.run, name, spec, 1, call), deaths
            except Killed:
                deaths += 1

    def names(self) -> set[str]:
        """Of the branches that are there."""
        return {row.name for row in self.twins.engine.catalog.branches()}

    def trunk(self) -> str:
        """Its name."""
        catalog = self.twins.engine.catalog
        return catalog.branch(catalog.setting("trunk") or "").name

    def forks(self) -> int:
        """How many there were."""
        return sum(one.verb == "fork" for one in self.twins.engine.catalog.operations())


@asynccontextmanager
async def swarming(judge: Judge) -> AsyncIterator[Swarming]:
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up")
        telling = asyncio.create_task(Announcer(twins.engine).tell())
        try:
            async with served(twins) as client:
                yield Swarming(twins, client, Commands(twins.engine, asyncio.get_running_loop(), judge))
        finally:
            telling.cancel()
            await twins.close()
