"""Swarms over an engine of twins. Commands need no guest: each scores its branch by what a test says of it."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.commands import Command, Scoring
from core.daemon.client import Client
from core.diff.result import DiffSize
from core.engine.context import Engine
from core.engine.news import Announcer
from core.home import Home
from core.model import ExecRequest, Plan
from core.verbs.base import Verb
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from vertui.swarm import record as records
from vertui.swarm.hands import A, Hands
from vertui.swarm.playing import play
from vertui.swarm.results import SwarmOutcome, SwarmResult
from vertui.swarm.spec import SwarmSpec

LASTS_S = 0.005
Judge = Callable[[str, str], float | None]
"""What a branch's command scores, by the branch's name and the command; None of one that never ends."""


class Killed(BaseException):
    """The process is gone."""


class Quiet:
    """Nobody looks on."""

    def say(self, line: str) -> None:
        pass

    def show(self, round: int, running: Sequence[str], results: Sequence[SwarmResult]) -> None:
        pass


@dataclass
class Commands:
    """What runs in guests: each once, by its key."""

    engine: Engine
    loop: asyncio.AbstractEventLoop
    judge: Judge
    known: dict[str, int] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    most: int = 0
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

    def _end(self, branch: str, score: float) -> None:
        self.running.discard(branch)
        self.engine.catalog.change_branch(self.engine.branch(branch).id, scoring=None, score=score)
        self.engine.publish("branch", branch, f"{branch}: scored")


class TwinHands(Hands):
    """Hands that can do so many things, and are killed behind the next: that is done, and not recorded."""

    def __init__(self, client: Client, commands: Commands, lives: int | None = None) -> None:
        super().__init__(client)
        self.commands, self.lives, self.paths = commands, lives, 0
        self._lock = threading.Lock()

    def do(self, verb: Verb[A], key: str) -> A:
        answer = super().do(verb, key)
        self._did()
        return answer

    def execute(self, plan: Plan, key: str) -> None:
        super().execute(plan, key)
        self._did()

    def start(self, request: ExecRequest) -> int:
        number = self.commands.start(request)
        self._did()
        return number

    def printed(self, branch: str, command: int) -> tuple[int, str]:
        self._did()
        return 0, f"{branch} {command}\n"

    def command(self, branch: str, command: int) -> Command | None:
        return Command(command, ("sh",), 1, 0.0, 0, lasted_ms=5.0)

    def changed(self, before: str, after: str) -> DiffSize | None:
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

    def run(self, name: str, spec: SwarmSpec, lives: int | None = None) -> SwarmOutcome:
        """From the beginning, in a thread."""
        hands = self.hands(lives)
        try:
            with records.begin(self.home, name, spec) as record:
                return play(record, hands, Quiet())
        finally:
            hands.close()

    def resume(self, name: str, lives: int | None = None) -> SwarmOutcome:
        """From where it was."""
        hands = self.hands(lives)
        try:
            with records.go_on(self.home, name) as record:
                return play(record, hands, Quiet())
        finally:
            hands.close()

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
