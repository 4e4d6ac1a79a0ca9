"""Branches that wait for room: each is tried by itself, and again when it could not go on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from core.engine.context import Engine
from core.engine.live import Live
from core.errors import MachineFailed
from core.machine.protocol import Machine
from core.model import BranchState
from core.network.protocol import Network
from core.room import Reserve
from tests.unit.engines import engine_of, put

DEADLINE_S = 20.0


@dataclass
class Stalled:
    """A machine that fails to go on so many times, or never answers at all; no line to its guest can be had."""

    failures: int = 0
    silent: bool = False
    continued: bool = False
    agent_socket = Path("/dev/null/agent")

    async def cont(self) -> None:
        """Go on, or not."""
        if self.silent:
            await asyncio.Event().wait()
        if self.failures:
            self.failures -= 1
            raise MachineFailed("not now")
        self.continued = True


class Linked:
    """A network that knows whether its link is up."""

    up = False

    def set_link(self, up: bool) -> None:
        """Let frames pass, or none."""
        self.up = up


class Nothing(Reserve):
    """A reserve on a filesystem where zeros take up no room."""

    def _make(self, size: int) -> None:
        self._path.touch()


def stalled(engine: Engine, machine: Stalled, name: str = "main") -> Live:
    """A branch that stands still."""
    put(engine, name, BranchState.RUNNING)
    live = engine.machines.live[name] = Live(name, cast(Machine, machine), cast(Network, Linked()))
    engine.tasks.stalls.found(live)
    assert engine.catalog.branch(name).state is BranchState.PAUSED
    return live


async def until(engine: Engine, true: Callable[[], bool]) -> None:
    """Wait for it, then look no more."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            await asyncio.sleep(0.05)
    await engine.tasks.stalls.stop()


@pytest.mark.parametrize("reserve", [Reserve, Nothing])
def test_one_whose_try_failed_is_tried_again(tmp_path: Path, reserve: type[Reserve]) -> None:
    async def go_on(engine: Engine) -> None:
        machine = Stalled(failures=1)
        live = stalled(engine, machine)
        await until(engine, lambda: cast(Linked, live.network).up)
        assert machine.continued and not live.stall.is_set()
        assert engine.catalog.branch("main").state is BranchState.RUNNING

    with engine_of(tmp_path, reserve) as engine:
        asyncio.run(go_on(engine))


def test_one_that_does_not_answer_keeps_no_other_waiting(tmp_path: Path) -> None:
    async def go_on(engine: Engine) -> None:
        stalled(engine, Stalled(silent=True), "silent")
        machine = Stalled()
        stalled(engine, machine, "other")
        await until(engine, lambda: machine.continued)

    with engine_of(tmp_path) as engine:
        asyncio.run(go_on(engine))


def test_one_that_was_paused_besides_stays_paused(tmp_path: Path) -> None:
    async def go_on(engine: Engine) -> None:
        machine = Stalled()
        live = stalled(engine, machine)
        await live.found_paused(quiesced=True)
        await until(engine, lambda: not live.stall.is_set())
        assert live.paused and not machine.continued
        row = engine.catalog.branch("main")
        assert (row.state, row.reason) == (BranchState.PAUSED, "")

    with engine_of(tmp_path) as engine:
        asyncio.run(go_on(engine))
