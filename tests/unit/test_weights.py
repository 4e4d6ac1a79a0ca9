"""Weights of branches, on directories in the place of a host's control groups."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import pytest

from core.cgroups import Cgroups
from core.engine import weights as weights_of
from core.engine.weights import MachineWeights
from core.errors import Unsupported
from tests.twins.engine import Twins, twin_engine

OWN = "user.slice/own"


class Fake(Cgroups):
    """A directory is empty only once its files are gone; a group is, once nobody is in it."""

    top = Path()

    def tidy(self, keep: Collection[str] = ()) -> None:
        for group in self.below():
            for file in group.iterdir() if group.name not in keep else ():
                file.unlink()
        super().tidy(keep)

    def below(self) -> list[Path]:
        return [path for path in self.top.glob("vertui-1/*") if path.is_dir()]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host's group of ours, in which processes are, below one that can be divided."""
    for group, controllers in (("", "cpu io memory"), ("user.slice", "cpu io memory"), (OWN, "memory")):
        path = tmp_path / "groups" / group
        path.mkdir(exist_ok=True, parents=True)
        (path / "cgroup.controllers").write_text(f"{controllers}\n")
        for name in ("cgroup.procs", "cgroup.subtree_control"):
            (path / name).write_text("cpu io\n")
    (tmp_path / "mounts").write_text(f"tmpfs /tmp tmpfs rw 0 0\ncgroup2 {tmp_path}/groups cgroup2 rw 0 0\n")
    (tmp_path / "cgroup").write_text(f"4:cpu:/elsewhere\n0::/{OWN}\n")
    return tmp_path


def test_what_the_host_lacks_is_said_in_a_line(host: Path) -> None:
    assert Cgroups("vertui-1", host).lacks() == ""
    for path in host.rglob("cgroup.procs"):
        path.unlink()  # as good as not ours
    assert "systemd-run --user" in Cgroups("vertui-1", host).lacks()
    (host / "groups" / "cgroup.controllers").write_text("memory\n")
    assert "has it in v1" in Cgroups("vertui-1", host).lacks()
    (host / "mounts").write_text("")
    lacks = Cgroups("vertui-1", host).lacks()
    assert "does not have" in lacks and "\n" not in lacks
    with pytest.raises(OSError, match="cgroup v2"):
        Cgroups("vertui-1", host).weigh("m1", 7, 300)


async def weighing(twins: Twins, host: Path) -> None:
    groups = Fake("vertui-1", host)
    groups.top = host / "groups" / "user.slice"
    twins.engine.tasks.weights = weights = MachineWeights(twins.engine, groups)
    watching = asyncio.create_task(weights.watch())
    await twins.do("up")
    await twins.do("fork", "main", 2)
    assert groups.below() == []

    def told() -> dict[str, str]:
        """The weight of each branch's machine, and whether its process is there."""
        found = {}
        for row in twins.engine.catalog.branches():
            group = groups.top / "vertui-1" / (row.machine or "")
            live = twins.engine.machines.live.get(row.id)
            with suppress(OSError):
                if live and (group / "cgroup.procs").read_text() == f"{live.machine.pid}\n":
                    found[row.name] = (group / "io.weight").read_text().strip().removeprefix("default ")
                    assert (group / "cpu.weight").read_text().strip() == found[row.name]
        return found

    async def becomes(good: Callable[[], bool]) -> bool:
        """Soon: it is done beside what is asked for."""
        deadline = time.monotonic() + 30.0
        while not (is_so := good()) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return is_so

    await twins.do("weigh", "b1", 300)
    assert await becomes(lambda: told() == {"main": "100", "b1": "300", "b2": "100"})
    await twins.do("fork", "b1", 1, "child")
    assert await becomes(lambda: told() == {"main": "100", "b1": "300", "b2": "100", "child": "300"})
    await twins.do("prune", ("child",))
    assert await becomes(lambda: len(groups.below()) == 3)
    await twins.do("undo")
    assert await becomes(lambda: told().get("child") == "300")
    await twins.do("weigh", "b1", 100)
    await twins.do("weigh", "child", 100)
    assert await becomes(lambda: groups.below() == [])
    watching.cancel()


def test_machines_are_weighed_while_one_weighs_other_than_usual(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children inherit it, undo takes it back, and of machines that have ended nothing is left."""
    monkeypatch.setattr(weights_of, "AGAIN_S", 0.0)

    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await weighing(twins, host)
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))


def test_a_host_that_cannot_refuses_and_nothing_is_written_down(tmp_path: Path) -> None:
    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await twins.do("up")
            twins.engine.tasks.weights = MachineWeights(twins.engine, Cgroups("vertui-1", tmp_path))
            with pytest.raises(Unsupported, match="weights need cgroup v2"):
                await twins.do("weigh", "main", 300)
            assert twins.engine.branch("main").weight == 100
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))
