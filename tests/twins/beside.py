"""The engine on twins beside the model: asked as the daemon asks it, and what both say kept for comparison."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from core.engine.ports import wanted
from core.engine.trash import free
from core.errors import VertuiError
from core.verbs import load
from tests.twins.engine import twin_engine
from tests.twins.model import Commit, Model
from tests.twins.stood import Stood

P = ParamSpec("P")
R = TypeVar("R")
RUNNING, PAUSED, LOST, SUSPENDED = "running", "paused", "lost", "suspended"
RUNS = {RUNNING, PAUSED}


class AtOnce(ThreadPoolExecutor):
    """Runs what it is given where it is asked: the same choices are the same sequence."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class Beside(RuleBasedStateMachine):
    """The engine on twins, asked as the daemon asks it, beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.made = twin_engine()
        self.twins = self.made.__enter__()
        self.engine = self.twins.engine
        self.runner = asyncio.Runner()
        self.loop = self.runner.get_loop()
        self.loop.set_default_executor(AtOnce())
        self.loop.call_soon(self.twins.begin)
        self.run(asyncio.sleep(0))
        self.stood = Stood(self.engine)
        self.images = {image.id: image.golden for image in self.engine.catalog.images()}
        self.model = Model(self.twins.world(), self.images.values())
        self.states: dict[str, object] = {}  # of paused machines, and of commits of theirs
        self.commits_of: dict[tuple[object, str], str] = {}

    def teardown(self) -> None:
        """The past is as it was, nothing is left that nobody needs, and the catalog is whole."""
        try:
            self.run(self.engine.tasks.sealer.all_sealed())
            self.run(self.stood.check())
            self.run(self.twins.close())
            engine = self.engine
            self.run(free(engine))
            rows = [c.id for deleted in (False, True) for c in engine.catalog.commits(deleted=deleted)]
            assert self.twins.store.commits() == sorted(rows)
            assert self.twins.store.layers() == {}, engine.layers_needed()
            assert engine.catalog.check() == [] and self.twins.hub.list() == ()
            held = self.twins.held.holdings()
            opened = [row for row in wanted(engine) if f"port:{row.id}" in held.kept]
            assert held.children == {} and held.kept == {f"port:{row.id}" for row in opened}
            taken = {
                (row.address, row.host_port) for row in opened
            }  # by others, while a branch was in the trash
            assert all((row.address, row.host_port) in taken for row in wanted(engine))
        finally:
            self.runner.close()
            self.made.__exit__(None, None, None)

    # -- asking ----------------------------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        return self.loop.run_until_complete(work)

    def ask(self, allowed: bool | None, name: str, *fields: Any, **options: Any) -> Any:
        """The answer, None when it was refused, as the model says (or leaves open)."""
        verb = load(name)(*fields, **options)
        try:
            answer = self.run(self.twins.ask(verb))
        except VertuiError as error:
            assert not allowed, f"{verb}: {error}"
            return None
        assert allowed is not False, f"{verb} was not refused"
        return answer

    def one(self, pick: int, *states: str) -> str:
        """A branch's id, preferably in such a state."""
        all_ = self.aged(self.model.world.branches)
        wanted = [id for id in all_ if self.model.world.branches[id].state in states] or all_
        return wanted[pick % len(wanted)]

    def aged(self, ids: Iterable[str]) -> list[str]:
        """Branches and commits, the oldest first. Ids are random, and with them the order of sets of them, but the same
        choices are to be the same sequence.
        """
        catalog = self.engine.catalog
        made = dict[str, float]()
        for deleted in (False, True):
            made |= {row.id: row.created for row in catalog.branches(deleted=deleted)}
            made |= {row.id: row.created for row in catalog.commits(deleted=deleted)}
        return sorted(ids, key=made.__getitem__)

    def free(self, *names: str) -> bool:
        """Has nobody such a name?"""
        world = self.model.world
        taken = {branch.name for branch in world.branches.values()}
        return not taken.union(*(commit.tags for commit in world.commits.values())) & set(names)

    # -- what a machine's state is ---------------------------------------------------------------------------

    def captured(self, id: str, message: str) -> tuple[str | None, Commit | None]:
        """The commit that a branch's machine would be now: its id if it is known, and what it is unless that is the
        head.
        """
        branch = self.model.world.branches[id]
        guest = self.twins.machine(branch.name).guest
        state: object = self.states.setdefault(id, object()) if branch.state == PAUSED else object()
        if state == self.states.get(branch.head):
            return branch.head, None
        quiesced = guest.frozen if branch.state == PAUSED else not guest.stubborn
        made = Commit((branch.head,), branch.name, branch.image, message, quiesced)
        return self.commits_of.get((state, branch.head)), made

    def learned(self, id: str, known: str | None, made: Commit | None) -> tuple[str, dict[str, Commit]]:
        """The id of what was captured, and the commit unless it is the head."""
        if made is None:
            return known or "", {}
        found = known
        if known is None or known in self.model.gone:
            strangers = {**self.twins.world().commits, **self.twins.world(deleted=True).commits}
            new = [key for key, c in strangers.items() if c == made and key not in self.known()]
            assert len(new) == 1, f"{made} was to be made: {new}"
            found = new[0]
        assert found is not None
        if (state := self.states.get(id)) is not None:
            self.states[found] = state
            self.commits_of[state, made.parents[0]] = found
        before = self.model.trash.commits.get(found) or self.model.world.commits.get(found)
        return found, {found: replace(made, tags=before.tags if before else ())}

    def known(self) -> set[str]:
        return {*self.model.world.commits, *self.model.trash.commits}

    def restarted(self, ids: set[str]) -> None:
        """The machines of these are others now; those that run have no state that stays."""
        for id in [*self.states]:
            branch = self.model.world.branches.get(id)
            if id in ids or (branch is not None and branch.state != PAUSED):
                self.states.pop(id)
