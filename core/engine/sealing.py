"""From hot to sealed: commits become true while still in RAM, and durable behind that, parents before children.

A hot commit has its row, and the holder has a copy of it: it survives the daemon, and is lost only with the host. One
task seals commits in the order of their making. One that cannot be sealed stays hot and is tried again, and those made
after it wait. The reason is published as an event, and raised by `sealed`.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from core.catalog_values import BranchRow
from core.engine.bases import shorten
from core.engine.context import Engine
from core.engine.hot import Hot, Shot, commit_of, copied, key_of, read_copy
from core.engine.live import Live
from core.errors import DaemonUnavailable, VertuiError
from core.holder.protocol import Holdings
from core.model import Commit, CommitState
from core.store.values import Identified, Label

AGAIN_S = 5.0  # until what could not be sealed is tried again: somebody may have made room
MOST_HOT_BYTES = 2 << 30  # of commits waiting in RAM; further captures wait for the sealer
MOST_LAYERS = 4  # of a machine's disk: a chain of four opens in 4 ms, one of 64 in 40

logger = logging.getLogger(__name__)


@dataclass
class _Queued:
    """A hot commit in the queue. `outcome` is that of the present attempt, or of the next: None, or why it failed."""

    hot: Hot
    identified: Identified | None
    outcome: asyncio.Future[VertuiError | None] = field(default_factory=asyncio.Future)
    at_work: bool = False

    def tell(self, outcome: VertuiError | None) -> None:
        """End the attempt for those who wait for it."""
        done, self.outcome, self.at_work = self.outcome, asyncio.Future(), False
        done.set_result(outcome)


class Sealer:
    """The hot commits of a home, oldest first, and the task that seals them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[str, _Queued] = {}
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._shortening: set[asyncio.Task[None]] = set()

    def hot(self, commit: str) -> Hot | None:
        """A commit's state in RAM, while it is hot."""
        waiting = self._waiting.get(commit)
        return waiting.hot if waiting else None

    def all(self) -> list[Hot]:
        """Every hot commit, parents before children."""
        return [waiting.hot for waiting in self._waiting.values()]

    async def room(self, live: Live) -> None:
        """Wait until a machine may be captured: the disk's chain must stay short, and what is hot must fit in RAM.

        Raises why the commits before it cannot be sealed.
        """
        while self._waiting and (
            len(live.machine.layers) >= MOST_LAYERS or sum(h.size_bytes for h in self.all()) > MOST_HOT_BYTES
        ):
            await self.sealed(next(iter(self._waiting)))
            await asyncio.gather(*self._shortening)

    async def add(self, row: BranchRow, shot: Shot, identified: Identified, message: str) -> Commit:
        """Make a captured state the head of its branch, hot; it is sealed in its turn. On failure nothing is added."""
        label = Label(row.name, message, time.time())
        hot = Hot(identified.id, identified.parents, shot.captured, label)
        await asyncio.to_thread(self._keep, hot)
        try:
            with self._engine.catalog.transaction():
                commit = put_commit(
                    self._engine, identified, shot, label, state=CommitState.HOT,
                    journal_position=min(shot.journal, self._engine.journals.durable(row.id)),
                )  # fmt: skip
                self._engine.catalog.change_branch(row.id, head=commit.id)
        except BaseException:
            self._engine.held.drop(key_of(hot.id))
            raise
        self._enqueue(hot, identified)
        return commit

    async def sealed(self, commit: str) -> None:
        """Wait until a commit is sealed; raises why it cannot be."""
        waiting = self._waiting.get(commit)
        if waiting and (failure := await asyncio.shield(waiting.outcome)):
            raise failure

    async def all_sealed(self) -> None:
        """Wait until none is hot; raises why one cannot be sealed."""
        while self._waiting:
            await self.sealed(next(reversed(self._waiting)))

    def shorten(self, commit: str, layers: tuple[str, ...]) -> None:
        """Once a commit is sealed, let machines that lie on its layers lie on its disk view instead."""
        task = asyncio.create_task(self._shorten(commit, layers))
        self._shortening.add(task)
        task.add_done_callback(self._shortening.discard)

    async def drop(self, commits: Iterable[str]) -> None:
        """Forget hot commits whose rows are about to go. One that is being written is written to its end first."""
        for commit in commits:
            if (waiting := self._waiting.get(commit)) and waiting.at_work:
                await asyncio.shield(waiting.outcome)
            if commit in self._waiting:
                self._waiting.pop(commit).tell(None)
                self._let_go(commit)  # nothing awaited between: what was checked still holds

    async def retract(self, branch: str, commit: str, former: str) -> None:
        """Take a branch's newest commit back, if it is still hot and nothing was made of it. A commit that was the head
        before stays: it was committed again without a change.
        """
        catalog = self._engine.catalog
        rows = [row for deleted in (False, True) for row in catalog.branches(deleted=deleted)]
        commits = [c for deleted in (False, True) for c in catalog.commits(deleted=deleted)]
        used = any(commit in (row.parent, row.head) for row in rows if row.id != branch)
        used = used or commit == former or any(commit in c.parents for c in commits)
        if used or catalog.branch(branch).head != commit:
            return
        await self.drop([commit])
        if catalog.commit(commit).state is not CommitState.HOT:
            return
        with catalog.transaction():
            catalog.change_branch(branch, head=former)
            catalog.delete_commit(commit)
        self._engine.acting.acts(branch)  # what it had done is in no commit again
        self._engine.events.publish("commit", commit, f"commit {commit[:12]} was taken back")

    async def resume(self, holdings: Holdings) -> None:
        """Go on with the commits that an earlier daemon left hot. One that the holder has no copy of is gone."""
        catalog, kept = self._engine.catalog, []
        rows = {c.id: c for deleted in (False, True) for c in catalog.commits(deleted=deleted)}
        for key in holdings.kept:
            if (commit := commit_of(key)) is None:
                continue
            if commit in rows and rows[commit].state is CommitState.HOT:
                kept += await asyncio.to_thread(self._kept, key)
            else:
                self._engine.held.drop(key)
        for hot in sorted(kept, key=lambda hot: hot.label.created):
            self._enqueue(hot, None)
        for row in rows.values():
            if row.state is CommitState.HOT and row.id not in self._waiting:
                catalog.put_commit(replace(row, state=CommitState.GONE))

    async def stop(self) -> None:
        """End the work: what is still hot stays with the holder for the next daemon."""
        tasks = [task for task in (self._task, *self._shortening) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- the copy at the holder ------------------------------------------------------------------------------

    def _keep(self, hot: Hot) -> None:
        with copied(hot) as descriptor:
            self._engine.held.keep(key_of(hot.id), descriptor)

    def _kept(self, key: str) -> list[Hot]:
        descriptor = self._engine.held.get(key)
        if descriptor is None:
            return []
        try:
            return [read_copy(descriptor)]
        except ValueError:
            return []
        finally:
            os.close(descriptor)

    # -- the task --------------------------------------------------------------------------------------------

    def _enqueue(self, hot: Hot, identified: Identified | None) -> None:
        self._waiting[hot.id] = _Queued(hot, identified)
        self._more.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def _let_go(self, commit: str) -> None:
        """Have the holder drop its copy. When it does not answer, the next daemon has it dropped."""
        with contextlib.suppress(DaemonUnavailable):
            self._engine.held.drop(key_of(commit))

    async def _run(self) -> None:
        said = ""
        while self._waiting:
            waiting = next(iter(self._waiting.values()))
            waiting.at_work = True
            self._more.clear()
            failure = await self._tried(waiting)
            if failure is None:
                self._waiting.pop(waiting.hot.id).tell(None)
                await asyncio.to_thread(self._let_go, waiting.hot.id)
                continue
            for each in list(self._waiting.values()):
                each.tell(failure)
            if said != (said := str(failure)):
                line = f"commit {waiting.hot.id[:12]} stays hot for now: {failure}"
                self._engine.events.publish("commit", waiting.hot.id, line)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):  # wait_for loses a cancel that comes with more to do
                    await self._more.wait()

    async def _tried(self, waiting: _Queued) -> VertuiError | None:
        """Seal one; why it failed. A mistake of ours must not leave those who wait for it waiting."""
        try:
            await self._seal(waiting)
        except VertuiError as error:
            return error
        except Exception as error:
            logger.exception("sealing failed")
            return VertuiError(f"sealing failed ({type(error).__name__}): `vertui daemon logs` tells where")
        return None

    async def _seal(self, waiting: _Queued) -> None:
        engine, hot = self._engine, waiting.hot
        engine.reach("seal.begun")
        if waiting.identified is None:
            waiting.identified = await asyncio.to_thread(engine.store.identify, hot.captured, hot.parents)
        _, stored = await asyncio.to_thread(engine.store.put, hot.captured, waiting.identified, hot.label)
        engine.reach("seal.stored")
        row = engine.catalog.commit(hot.id)
        engine.catalog.put_commit(replace(row, state=CommitState.SEALED, stored_bytes=stored))
        engine.events.publish("commit", hot.id, f"{hot.label.branch}: commit {hot.id[:12]} is sealed")
        self.shorten(hot.id, hot.captured.layers)

    async def _shorten(self, commit: str, layers: tuple[str, ...]) -> None:
        with contextlib.suppress(VertuiError):
            await self.sealed(commit)
            if self._engine.catalog.commit(commit).state is CommitState.SEALED:
                await shorten(self._engine, commit, layers)


def put_commit(
    engine: Engine, identified: Identified, shot: Shot, label: Label, stored: int = 0,
    state: CommitState = CommitState.SEALED, journal_position: int = 0,
) -> Commit:  # fmt: skip
    """The catalog row of a captured state, whose guest runs again."""
    commit = Commit(
        id=identified.id,
        state_id=identified.state_id,
        parents=identified.parents,
        branch=label.branch,
        image=shot.captured.image,
        message=label.message,
        created=label.created,
        state=state,
        quiesced=shot.captured.quiesced,
        changed_pages=len(identified.rows),
        stored_bytes=stored,
        pause_ms=round(shot.pause_ms, 2),
        felt_pause_ms=round(shot.felt_ms.result(), 2),
        journal_position=journal_position,
        checkpoint=shot.checkpoint,
    )
    engine.catalog.put_commit(commit)
    engine.catalog.mark_commit(commit.id, None)  # the same state was committed before, and taken back
    engine.events.publish(
        "commit", commit.id, f"{label.branch or commit.image}: commit {commit.id[:12]} is {state}"
    )
    return commit
