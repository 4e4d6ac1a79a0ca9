"""Up and fork: branches out of images, branches and commits.

A fork is one job with three sources: a machine, which is committed on the way; spares of a commit, which run already;
and a commit in the store.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

from msgspec.structs import replace as replaced

from core.catalog_values import BranchRow
from core.engine import endings, handing, letting, start
from core.engine.capture import make_hot, shoot
from core.engine.change import Change
from core.engine.children import NO_TERMS, Children, Terms, Wanted, listed
from core.engine.context import Engine
from core.engine.hot import Shot
from core.engine.journals import AUTHOR, Forkpoint
from core.engine.live import Live
from core.engine.members import LastFork
from core.engine.memory import check_room
from core.engine.operations import operation
from core.engine.publish import published_of
from core.engine.spares import Running, running
from core.engine.tally import counting, in_mebibytes
from core.engine.transfer import check_trusted, trusted
from core.engine.unattended import UnattendedCommand
from core.errors import Conflict, VertuiError
from core.mirrors import Mirrors
from core.model import Child, Commit, Forked
from core.naming import children_commands, children_names
from core.refs import Ref, check_new
from core.startable import unquiesced
from core.store.values import MEMORY

NOT_YET = ""  # the commit of children that are loaded before theirs is made; a crash removes them


@dataclass(frozen=True)
class Made:
    """A fork's commit and children, and the head that its branch had, by its id; of a machine that was captured the
    last entry of its journal then, and the commands that it was in the middle of.
    """

    commit: Commit
    children: tuple[Child, ...]
    heads: dict[str, str]
    journal: int | None = None
    commands: tuple[UnattendedCommand, ...] = ()


class ForkSource(Protocol):
    """What children are made of."""

    async def children(self, engine: Engine, wanted: Wanted) -> Made:
        """Make them: all have run, or failed with a reason each. On failure as a whole nothing is left."""


async def up(
    engine: Engine, request_id: str, image_name: str | None, name: str, mirrors: Mirrors | None = None
) -> BranchRow:
    """Start a branch from an image's golden commit, and hand in mirrors; it becomes the trunk if there is none.

    Requires an image, a free and legal name, and room. On failure nothing is left.
    """
    image = engine.image(image_name)
    _check_names(engine, [name])
    handing.check(mirrors or Mirrors())
    await check_room(engine, 1)
    async with operation(engine, request_id, "up", f"up {name} from image {image.name}") as record:
        source = start.source_of(engine, image.golden)
        wanted = Wanted([name], {}, None, time.perf_counter())
        child = Children.to_load(engine, wanted, source, image.golden, None)
        [row] = child.rows
        try:
            [outcome] = await child.make_distinct(await child.run(await child.load(source)))
            if not outcome.ok:
                raise VertuiError(outcome.reason)
            if mirrors is not None and not mirrors.is_empty:
                await handing.hand_in(engine.machines.live[row.id], mirrors)
            await letting.settle_default(engine, row)
        except VertuiError as error:
            await child.discard()
            raise type(error)(f"{name} did not start: {error}") from error
        except BaseException:
            await child.discard()
            raise
        if engine.catalog.setting("trunk") is None:
            engine.catalog.set_setting("trunk", row.id)
        record.inverse = Change(prune=(row.id,))
    for line in mirrors.left_out if mirrors else ():
        engine.events.publish("branch", name, f"{name}: {line}")
    return engine.catalog.branch(row.id)


async def fork(
    engine: Engine,
    request_id: str,
    ref: str,
    n: int,
    prefix: str | None,
    command: str | None,
    variants: Sequence[str] = (),
    *,
    terms: Terms = NO_TERMS,
    trust: bool = False,
    eager: bool = False,
    with_journal: int | None = None,
) -> Forked:
    """Start N branches from one commit: a branch is committed first and runs on. `trust` lets a foreign one start.
    `variants` are a command a child, where they are not all to start the same one. `terms` go for each child.
    `eager` reads all memory of a stored commit before its children run, so that none of them waits for it later.
    Their journal is the parent's `with_journal`, up to that entry, or else up to where the parent stood.

    Requires free and legal names, a quiesced state, and memory for N × (delta + 60 MB). On success all children have
    run; one that fails is reported with its reason, marked failed, and leaves the others alone. On failure the parent
    runs on and nothing is left.
    """
    began = time.perf_counter()
    point = engine.resolve(ref)
    names = _names(engine, point.branch, n, prefix)
    commands = children_commands(names, command, variants)
    rules = children_commands(names, terms.score, ())
    live = engine.machines.live.get(engine.branch(point.branch).id) if point.branch else None
    summary = f"fork {ref} into {listed(names)}"
    teller = _journal_of(engine, point)
    if with_journal is not None:
        engine.journals.check_last(teller, with_journal)
    async with AsyncExitStack() as stack:
        ready = await stack.enter_async_context(running(engine, point.commit, 0 if live else n, began))
        if live is None and not ready:  # no spare waits on a commit that is not trusted
            engine.check_there(engine.catalog.commit(point.commit))
            check_trusted(trusted(engine, point.commit) if trust else engine.catalog.commit(point.commit))
        if not ready:
            await check_room(engine, n, live)
        record = await stack.enter_async_context(operation(engine, request_id, "fork", summary, names))
        source: ForkSource = OfStored(point, eager)
        if live is not None:
            source = OfMachine(live)
        elif ready:
            source = OfSpares(point, ready)
        made = await source.children(engine, Wanted(names, commands, record.id, began, terms, rules))
        engine.machines.members.last_fork = LastFork(live.branch if live else None, made.commit.id)
        rows = [row for row in (engine.catalog.named(child.name) for child in made.children) if row]
        keep = () if live else (point.commit,)
        stand = dict.fromkeys(made.heads, made.commit.id)
        ids = tuple(row.id for row in rows)
        record.inverse = Change(prune=ids, heads=made.heads, keep=keep, heads_from=stand)
        seen = made.commit.journal_position if point.branch is None else made.journal
        at = Forkpoint(teller, seen, with_journal, made.commit.id, summary)
        begun = {row.id: _begun(engine, row.id, made) for row in rows}
        await engine.journals.forked(at, begun)
        for one in chain.from_iterable(begun.values()):
            endings.expect(engine, replace(one, mark=engine.journals.mark(one.branch)))
        children = await published_of(engine, made.children, terms.ports)
    pause = (made.commit.pause_ms, made.commit.felt_pause_ms) if live else (0.0, 0.0)
    return Forked(made.commit, children, record.id, *pause)


def _begun(engine: Engine, branch: str, made: Made) -> list[UnattendedCommand]:
    """What runs in a child by itself: what its parent was in the middle of, and what it was started with."""
    if (live := engine.machines.live.get(branch)) is None:
        return []
    found = [
        replace(one, branch=branch, commit=made.commit.id, begun=replaced(one.begun, inherited=True))
        for one in made.commands
    ]
    own = UnattendedCommand(branch, live.begun, AUTHOR, made.commit.id, 0)
    return [*found, own] if own.begun.argv else found


def _journal_of(engine: Engine, point: Ref) -> str:
    """The branch whose journal the children go on from, by its id; "" for none."""
    if point.branch:
        return engine.branch(point.branch).id
    return engine.journals.maker(engine.catalog.commit(point.commit))


@dataclass(frozen=True)
class OfMachine:
    """Children of a machine as it is now."""

    live: Live

    async def children(self, engine: Engine, wanted: Wanted) -> Made:
        """Freeze it, read what it changed, and let it go on; make children of that."""
        await engine.tasks.sealer.room(self.live)
        async with self.live.lock:
            row = engine.catalog.branch(self.live.branch)
            shot = await shoot(engine, self.live, row)
            try:
                with engine.needing(*shot.captured.needs):
                    return await self._of_shot(engine, wanted, row, shot)
            finally:
                await shot.felt_ms

    async def _of_shot(self, engine: Engine, wanted: Wanted, parent: BranchRow, shot: Shot) -> Made:
        """Children of a state still in RAM. It becomes a commit only once they run, while they get their identities:
        hashing takes as long as loading, and every processor.
        """
        captured = shot.captured
        if not captured.quiesced:
            raise Conflict(
                f"{parent.name} could not be frozen, and an unquiesced state is not forkable: "
                f"{shot.unfrozen or 'its processes ran when it was paused'}"
            )
        source = start.source_in_ram(engine.image(captured.image), captured)
        children = Children.to_load(engine, wanted, source, NOT_YET, parent)
        committing: asyncio.Task[Commit] | None = None
        try:
            engine.reach("fork.captured")
            loaded = await children.load(source)
            engine.reach("fork.loaded")
            awake = await children.run(loaded)
            committing = asyncio.create_task(self._committed(children, parent, shot))
            told = await children.make_distinct(awake, committing)
            commit = await committing
            engine.tasks.sealer.shorten(commit.id, captured.layers)
            return Made(commit, told, {parent.id: parent.head}, shot.journal, shot.commands)
        except BaseException:
            made = (await asyncio.gather(committing, return_exceptions=True))[0] if committing else None
            await children.discard()
            if isinstance(made, Commit):
                await engine.tasks.sealer.retract(parent.id, made.id, parent.head)
            raise

    async def _committed(self, children: Children, parent: BranchRow, shot: Shot) -> Commit:
        """Make the children's commit: hot, the parent's head, and named by their rows. Their processes run only after
        that.
        """
        engine = children.engine
        commit = await make_hot(engine, parent, shot, f"fork into {listed(children.wanted.names)}")
        with engine.catalog.transaction():
            for row in children.rows:
                engine.catalog.change_branch(row.id, head=commit.id, parent=commit.id)
        engine.reach("fork.committed")
        return commit


@dataclass(frozen=True)
class OfSpares:
    """Children of a commit that run already: written down, then made distinct."""

    point: Ref
    ready: list[Running]

    async def children(self, engine: Engine, wanted: Wanted) -> Made:
        """Give each a row and an identity."""
        commit = engine.catalog.commit(self.point.commit)
        parent = engine.catalog.named(self.point.branch or commit.branch)
        children = Children.that_run(engine, wanted, commit, parent, self.ready)
        try:
            engine.reach("fork.running")
            return Made(commit, await children.make_distinct(children.give(self.ready)), {})
        except BaseException:
            await children.discard()
            raise


@dataclass(frozen=True)
class OfStored:
    """Children of a commit; with `eager` all its memory is read before they run."""

    point: Ref
    eager: bool

    async def children(self, engine: Engine, wanted: Wanted) -> Made:
        """Load each from the commit."""
        if self.eager:
            await engine.tasks.sealer.sealed(self.point.commit)  # a hot commit has no view
            what = f"reading the memory of commit {self.point.commit[:12]}"
            with counting(engine, what, spell=in_mebibytes) as read:
                await engine.views.hydrate(self.point.commit, MEMORY, read)
        commit = engine.catalog.commit(self.point.commit)
        source = start.source_of(engine, commit.id)
        if not commit.quiesced:
            raise Conflict(unquiesced(commit))
        parent = engine.catalog.named(self.point.branch or commit.branch)
        with engine.needing(*source.needs):
            children = Children.to_load(engine, wanted, source, commit.id, parent)
            try:
                told = await children.make_distinct(await children.run(await children.load(source)))
            except BaseException:
                await children.discard()
                raise
        if source.layers:
            engine.tasks.sealer.shorten(commit.id, source.layers)
        return Made(commit, told, {})


# -- names ---------------------------------------------------------------------------------------------------


def _names(engine: Engine, branch: str | None, n: int, prefix: str | None) -> list[str]:
    """The children's names, as `core.naming` makes them of what is free."""
    taken = {row.name for row in engine.catalog.branches()}
    return children_names(branch, n, prefix, taken, engine.catalog.commits())


def _check_names(engine: Engine, names: list[str]) -> list[str]:
    check_new(names, {row.name for row in engine.catalog.branches()}, engine.catalog.commits())
    return names
