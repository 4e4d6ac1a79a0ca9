"""Whoever follows something in a branch is told what became of the branch when its line ends, not that it did."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from core.engine.context import Engine
from core.engine.fate import followed
from core.engine.live import Live
from core.errors import Conflict, GuestFailed, NotFound, VertuiError
from core.machine.protocol import Machine
from core.model import BranchState
from core.network.protocol import Network
from tests.unit.engines import engine_of, put


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A branch `b1` with a machine that has no line to its guest."""
    with engine_of(tmp_path) as engine:
        put(engine, "b1", BranchState.RUNNING)
        engine.machines.live["b1"] = lineless()
        yield engine


def lineless() -> Live:
    return Live("b1", cast(Machine, None), cast(Network, None))


def end(engine: Engine, state: BranchState, reason: str = "") -> None:
    del engine.machines.live["b1"]
    engine.catalog.change_branch("b1", state=state, reason=reason)


def prune(engine: Engine) -> None:
    engine.catalog.change_branch("b1", deleted=time.time())


def prune_for_good(engine: Engine) -> None:
    engine.catalog.delete_branch("b1")


def suspend(engine: Engine) -> None:
    end(engine, BranchState.SUSPENDED)


def shut_down(engine: Engine) -> None:
    end(engine, BranchState.STOPPED, "the guest shut down")


def lose(engine: Engine) -> None:
    end(engine, BranchState.LOST, "its machine was killed by signal 9")


def resume(engine: Engine) -> None:
    engine.machines.live["b1"] = lineless()


def restore(engine: Engine) -> None:
    engine.machines.live["b1"].guests += 1


ENDS: dict[Callable[[Engine], None], tuple[type[VertuiError], str]] = {
    prune: (NotFound, "b1 was pruned: `vertui trash restore b1` brings it back"),
    prune_for_good: (NotFound, "b1 was pruned for good"),
    suspend: (Conflict, "branch b1 is suspended: `vertui resume b1` starts it from its head"),
    shut_down: (
        Conflict,
        "branch b1 is stopped (the guest shut down): `vertui resume b1` starts it from its head",
    ),
    lose: (
        Conflict,
        "branch b1 is lost (its machine was killed by signal 9): `vertui resume b1` starts it from its head",
    ),
    resume: (Conflict, "b1 was restored: what ran in it before is gone"),
    restore: (Conflict, "b1 was restored: what ran in it before is gone"),
}


@pytest.mark.parametrize("happen", ENDS, ids=lambda happen: happen.__name__)
async def test_what_became_of_it_is_told(engine: Engine, happen: Callable[[Engine], None]) -> None:
    kind, text = ENDS[happen]
    with pytest.raises(VertuiError) as told:
        async with followed(engine, "b1"):
            happen(engine)
            raise GuestFailed("the line to the guest was closed")
    assert (type(told.value), str(told.value)) == (kind, text)


async def test_a_machine_whose_end_is_heard_of_later_is_waited_for(engine: Engine) -> None:
    with pytest.raises(Conflict, match="shut down"):
        async with followed(engine, "b1"):
            asyncio.get_running_loop().call_later(0.05, shut_down, engine)
            raise GuestFailed("the line to the guest was closed")


async def test_a_branch_that_runs_on_is_not_blamed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.fate.KNOWN_S", 0.0)
    for failure in (GuestFailed("the guest has no command 7"), Conflict("another")):
        with pytest.raises(VertuiError) as told:
            async with followed(engine, "b1"):
                raise failure
        assert told.value is failure


async def test_a_branch_without_a_machine_is_refused(engine: Engine) -> None:
    suspend(engine)
    with pytest.raises(Conflict, match="is suspended"):
        async with followed(engine, "b1"):
            raise AssertionError("it was not")
