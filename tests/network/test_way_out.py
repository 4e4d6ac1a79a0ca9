"""The way out, by the porter: there while a branch needs it, found again, replaced when it dies, gone afterwards."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from core import linux
from core.engine.context import Engine
from core.engine.outside import KEY, Pasta
from core.errors import DaemonUnavailable, Unsupported
from core.holder import porter
from core.model import BranchState
from core.network import HubNetwork, way_out
from core.network.addresses import EGRESS
from core.patience import patient
from core.reach import NOWHERE, of_mode
from tests.network.isolation import isolated
from tests.outside import furnish
from tests.twins.held import TwinHeld
from tests.unit.engines import engine_of, put

WITHIN_S = patient(10.0)


@contextmanager
def engine_with_a_porter(path: str = os.environ["PATH"]) -> Iterator[Engine]:
    """In an isolated test: a porter outside, and an engine in a hub with one live branch that may reach nothing."""
    os.close(furnish())
    os.environ["PATH"] = path
    pid, jobs = porter.start()
    linux.unshare(linux.CLONE_NEWNET)
    hub, held = HubNetwork(), TwinHeld()
    hub.prepare()
    held.keep(porter.KEY, jobs.fileno())
    with tempfile.TemporaryDirectory() as directory, engine_of(Path(directory)) as engine:
        engine.home.log.mkdir()
        engine.held, engine.network = held, hub
        put(engine, "main", BranchState.RUNNING)
        engine.machines.live["main"] = cast(Any, "its machine")
        yield engine
    os.kill(pid, signal.SIGKILL)
    jobs.close()
    held.close()


def processes() -> list[int]:
    """Those that carry what leaves this hub: the porter's, which is a child of this process. Tests beside this one have
    such processes, too.
    """
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if EGRESS in one.cmdline() and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one.pid)
    return found


async def becomes(there: bool, not_: frozenset[int] = frozenset()) -> None:
    end = time.monotonic() + WITHIN_S
    while way_out.is_there() is not there or not_.intersection(processes()):
        assert time.monotonic() < end, f"{'no ' * there}way out after {WITHIN_S} s"
        await asyncio.sleep(0.02)


async def ends(engine: Engine) -> None:
    """Its process, and what is known of it: both a little after the way itself."""
    end = time.monotonic() + WITHIN_S
    while processes() or engine.held.get(KEY) is not None:
        assert time.monotonic() < end, f"a process or its key after {WITHIN_S} s"
        await asyncio.sleep(0.02)


async def life(engine: Engine) -> None:
    outside = Pasta(engine)
    await asyncio.gather(outside.open(), outside.open())
    first = frozenset(processes())
    assert way_out.is_there() and first
    outside.leave()
    outside = Pasta(engine)  # another daemon's
    await outside.open()
    assert frozenset(processes()) == first
    watching = asyncio.create_task(outside.watch())
    try:
        engine.catalog.change_branch("main", egress=of_mode("open", ()))
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        await becomes(True, first)
        engine.catalog.change_branch("main", egress=NOWHERE)
        outside.settle()
        await becomes(False)
        await ends(engine)
        engine.catalog.change_branch("main", egress=of_mode("open", ()))
        outside.settle()
        await becomes(True)
        engine.machines.live.clear()
        outside.settle()
        await becomes(False)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@isolated
def test_it_is_there_while_it_is_needed() -> None:
    with engine_with_a_porter() as engine:
        assert not processes()
        asyncio.run(life(engine))


@isolated
def test_why_there_is_none_is_said_in_a_line() -> None:
    with engine_with_a_porter("/nowhere") as engine:
        with pytest.raises(Unsupported, match=r"pasta: .*No such file.*apt-get install passt"):
            asyncio.run(Pasta(engine).open())
        assert engine.held.get(KEY) is None
        engine.held.drop(porter.KEY)
        with pytest.raises(DaemonUnavailable, match="porter is gone"):
            asyncio.run(Pasta(engine).open())
