"""`Held`: what the holder's process and its twin both do."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.daemon.start import end_all
from core.errors import MachineFailed
from core.holder.held import HolderLine
from core.holder.protocol import Held
from core.home import Home
from tests.conftest import ROOT
from tests.guests import eventually
from tests.twins.held import KILLED, TwinHeld

ASLEEP = ["sleep", "1000"]


@pytest.fixture(params=["holder", "twin"])
def held(request: pytest.FixtureRequest, home: Home) -> Iterator[Held]:
    if request.param == "twin":
        twin = TwinHeld()
        yield twin
        twin.close()
        return
    environment = os.environ | {"VERTUI_HOME": str(home.root), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "core.holder.server", str(home.root)], check=True, env=environment)
    line = HolderLine(home)
    line.rest()
    yield line
    line.close()
    end_all(home)


def test_a_child_runs_until_it_is_ended(held: Held, home: Home) -> None:
    log = home.log / "child.log"
    pid = held.spawn("child", ASLEEP, log, [])
    assert held.holdings().children["child"] == pid
    with pytest.raises(MachineFailed, match="runs already"):
        held.spawn("child", ASLEEP, log, [])
    exits: dict[str, int] = {}

    def told() -> bool:
        exits.update(held.holdings().exits)
        return "child" in exits

    held.kill("child")
    assert eventually(told) and exits["child"] == KILLED
    held.kill("child")
    assert "child" not in held.holdings().children and "child" not in held.holdings().exits
    assert held.spawn("child", ASLEEP, log, []) != pid


def test_what_always_runs_has_a_successor(held: Held, home: Home) -> None:
    pid = held.serve("served", ASLEEP, home.log / "served.log", (), "")
    assert held.serve("served", ASLEEP, home.log / "served.log", (), "") == pid
    held.kill("served")
    assert eventually(lambda: held.holdings().children.get("served", pid) != pid)


def test_descriptors_are_kept(held: Held) -> None:
    first, second = os.memfd_create("first"), os.memfd_create("second")
    try:
        assert held.get("kept") is None
        for descriptor in (first, second):
            held.keep("kept", descriptor)
            found = held.get("kept")
            assert found is not None and found != descriptor
            assert os.path.samestat(os.fstat(found), os.fstat(descriptor))
            os.close(found)
        assert "kept" in held.holdings().kept
        held.drop("kept")
        held.drop("kept")
        assert held.get("kept") is None and "kept" not in held.holdings().kept
    finally:
        os.close(first)
        os.close(second)


async def test_who_watches_is_told(held: Held, home: Home) -> None:
    told: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    held.watch(lambda key, status: told.put_nowait((key, status)))
    for name in ("one", "two"):
        held.spawn(name, ASLEEP, home.log / "child.log", [])
    held.kill("two")
    async with asyncio.timeout(60):
        assert await told.get() == ("two", KILLED)
    assert held.holdings().exits == {} and "one" in held.holdings().children
    held.kill("one")
    async with asyncio.timeout(60):
        assert await told.get() == ("one", KILLED)
