"""A disk that is full from any write to the catalog on: the verb is refused or done, and nothing is left half way."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from core.engine.context import Engine
from core.errors import NoRoom
from core.model import BranchState, OperationState
from tests.twins.engine import Twins, twin_engine
from tests.unit.test_every_verb import ASKED, peopled, request_of

MOST_WRITES = 60  # of a verb to the catalog
PATIENCE_S = 0.5  # for a verb that waits until there is room again


class Filling:
    """A catalog on a disk that is full after so many more writes. What the reserve is lent for finds room."""

    def __init__(self, engine: Engine, left: int) -> None:
        self.left, self.refused, self._reserve = left, 0, engine.reserve
        catalog: Any = engine.catalog
        self._write, catalog._transaction = catalog._transaction, self.write

    @contextmanager
    def write(self) -> Iterator[None]:
        if not self._reserve._users:
            if not self.left:
                self.refused += 1
                raise NoRoom("no room for the catalog")
            self.left -= 1
        with self._write():
            yield

    def empty(self) -> None:
        """There is room from now on."""
        self.left = -1


async def filled_after(twins: Twins, name: str, writes: int) -> bool:
    """Ask for a verb when there is room for so many writes: was one refused?"""
    twins.begin()
    try:
        await peopled(twins)
        before = twins.world(), twins.world(deleted=True)
        disk = Filling(twins.engine, writes)
        asked = asyncio.create_task(twins.ask(request_of(name)))
        await asyncio.wait([asked], timeout=PATIENCE_S)
        disk.empty()
        try:
            await asked
        except NoRoom:
            await settled(twins)
            assert (twins.world(), twins.world(deleted=True)) == before
            await twins.ask(request_of(name))
        await settled(twins)
        return bool(disk.refused)
    finally:
        await twins.close()


async def settled(twins: Twins) -> None:
    """All that began has ended, one way or the other."""
    engine = twins.engine
    await engine.tasks.sealer.all_sealed()
    await engine.machines.reaping.done()
    for row in engine.catalog.branches():
        assert row.state is not BranchState.STARTING, row
        assert (row.machine is not None) == (row.id in engine.machines.live), row
    assert engine.catalog.operations(state=OperationState.INTENT) == []


@pytest.mark.parametrize("name", ASKED)
def test_the_disk_fills_at_any_write(name: str) -> None:
    for writes in itertools.count():
        assert writes < MOST_WRITES
        with twin_engine() as twins:
            if not asyncio.run(filled_after(twins, name, writes)):
                return
