"""Machines for many who ask at once: starts that come together are one fork, and those that come while a fork is under
way are the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from secrets import token_hex

from core.errors import MachineFailed
from core.model import BranchState
from core.verbs.fork import MOST_CHILDREN
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown
from vertui.sdk import AsyncBranch, AsyncChild, AsyncVertui

TOGETHER_S = 0.02  # a harness begins its attempts in one turn of its loop, or in a few


class Starts:
    """Children of one REF, in names that begin with `prefix` and are new with each fork. `egress` is what each may
    reach, as `fork` takes it: without any what its parent may.
    """

    def __init__(self, v: AsyncVertui, ref: str, prefix: str, egress: tuple[str, ...] = ()) -> None:
        self.v, self.ref, self._prefix, self._egress = v, ref, prefix, egress
        self._asked: list[asyncio.Future[AsyncChild]] = []
        self._forking: asyncio.Task[None] | None = None
        self._pruning: set[asyncio.Task[None]] = set()

    async def child(self) -> AsyncChild:
        """One that runs. MachineFailed says why it does not; what refuses a fork is raised for all who share it. One
        that nobody waits for any more is pruned.
        """
        place: asyncio.Future[AsyncChild] = asyncio.get_running_loop().create_future()
        self._asked.append(place)
        if self._forking is None:
            self._forking = asyncio.create_task(self._fork())
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.exception() is None:  # it came in that moment
                self._drop([place.result()])
            raise

    async def _fork(self) -> None:
        try:
            await asyncio.sleep(TOGETHER_S)
            while self._asked:
                asked, self._asked = self._asked[:MOST_CHILDREN], self._asked[MOST_CHILDREN:]
                await self._serve([place for place in asked if not place.cancelled()])
        finally:
            self._forking = None

    async def _serve(self, asked: list[asyncio.Future[AsyncChild]]) -> None:
        """Fork for all of these, if there are any."""
        if not asked:
            return
        try:
            name = f"{self._prefix}{token_hex(3)}"
            prefix = name if len(asked) == 1 else f"{name}-"
            children = await self.v.fork(self.ref, len(asked), prefix, egress=self._egress)
        except Exception as error:
            for place in asked:
                if not place.cancelled():
                    place.set_exception(error)
            return
        for place, child in zip(asked, children, strict=True):
            if place.cancelled():
                continue
            if child.ok:
                place.set_result(child)
            else:
                place.set_exception(MachineFailed(f"{child.name} did not start: {child.reason}"))
        self._drop(
            child for place, child in zip(asked, children, strict=True) if place.cancelled() and child.ok
        )

    def _drop(self, children: Iterable[AsyncChild]) -> None:
        """Prune children that nobody has."""
        if dropped := list(children):
            task = asyncio.create_task(pruned(self.v, dropped))
            self._pruning.add(task)
            task.add_done_callback(self._pruning.discard)


async def warm(v: AsyncVertui, ref: str, message: str) -> str:
    """The commit that many may be forked from: one that is made now of a branch that runs, or what a REF names."""
    shown = Shown(await v.tree())
    branch = shown.branch(ref)
    if branch and branch.state in (BranchState.RUNNING, BranchState.PAUSED):
        return (await v.commit(branch.name, message, wait=False)).commit.id
    commit = shown.commit(ref)
    if isinstance(commit, Refusal):
        raise commit.error()
    return commit.id


async def pruned(v: AsyncVertui, branches: Iterable[AsyncBranch]) -> None:
    """Remove these branches for good, as many of them as there still are."""
    there = {branch.name for branch in (await v.tree()).branches}
    if names := tuple(branch.name for branch in branches if branch.name in there):
        await v.prune(names, now=True)
