"""The daemon killed at every named step: nothing half done stays, and what was acknowledged does."""

import os
import time
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all
from core.errors import VertuiError
from core.home import Home
from core.reach import NOWHERE
from core.verbs.egress import Egress
from core.verbs.link import Link
from tests.conftest import full
from tests.guests import Guest, eventually

STEPS = {
    "capture.read": "commit",
    "seal.stored": "commit",
    "fork.captured": "fork",
    "fork.loaded": "fork",
    "fork.committed": "fork",
    "fork.running": "fork of a commit",
    "wake.distinct": "fork",
    "prune.committed": "prune",
    "prune.ended": "prune",
    "egress.let": "egress",
    "link.let": "link",
}
SAMPLE = ("seal.stored", "fork.loaded", "fork.running", "wake.distinct", "prune.committed")


def act(client: Client, verb: str) -> None:
    """The verb under test; a child that failed counts as a refusal."""
    if verb == "commit":
        client.commit("main", "under test")
    elif verb.startswith("fork"):
        commit = client.tree().images[0].golden
        for child in client.fork("main" if verb == "fork" else commit, 2, "c").children:
            if not child.ok:
                raise VertuiError(child.reason)
    elif verb == "egress":
        client.do(Egress("main", "open"))
    elif verb == "link":
        client.do(Link(("main", "b1")))
    else:
        client.execute(client.plan_prune(["b1"]))


@pytest.mark.parametrize("how", ["kill", "fail"])
@pytest.mark.parametrize("step", list(STEPS) if full() else SAMPLE)
def test_step(main: Guest, client: Client, fault: Path, step: str, how: str) -> None:
    client.fork("main", 1)
    kept = client.commit("main", "acknowledged").commit
    running = {branch.pid for branch in client.tree().branches}
    if STEPS[step] == "fork of a commit":
        settle_spares(client)
    fault.write_text(f"{step}={how}")
    with pytest.raises(VertuiError) as refusal:
        act(client, STEPS[step])
    assert "\n" not in str(refusal.value)
    fault.unlink()
    check(client, kept.id, running)
    if how == "kill":
        assert {branch.state for branch in client.tree().branches} == {"running"}
    assert main.text("echo alive") == "alive"
    assert {(branch.egress, branch.links) for branch in client.tree().branches} == {(NOWHERE, ())}
    if STEPS[step] != "prune" or any(branch.name == "b1" for branch in client.tree().branches):
        for name in ("c1", "c2"):
            if any(branch.name == name for branch in client.tree().branches):
                client.execute(client.plan_prune([name], now=True))
        act(client, STEPS[step])
    check(client, kept.id, set())
    client.suspend_all(now=True)
    end_all(client.home)


def check(client: Client, kept: str, running: set[int | None]) -> None:
    """What was there is there; every machine has a branch, every branch that runs a machine, every layer an owner."""
    tree = client.tree()
    assert kept in {commit.id for commit in tree.commits}
    pids = {branch.pid for branch in tree.branches if branch.pid}
    processes = settled(client, pids)
    assert all(branch.state in ("running", "failed") for branch in tree.branches), tree.branches
    assert all(branch.reason for branch in tree.branches if branch.state == "failed")
    while any(commit.state == "hot" for commit in client.tree().commits):
        time.sleep(0.05)
    stored = {path.name.removesuffix(".commit") for path in client.home.commits.iterdir()}
    assert {commit.id for commit in tree.commits} <= stored
    assert not [name for name in stored if name.startswith(".")]
    assert all(operation.state != "intent" for operation in client.log(1000))
    if running:
        assert len(processes & running) >= len(running) - 1


def settle_spares(client: Client) -> None:
    """Wait until the golden commit has spares enough to be forked from them."""
    assert eventually(lambda: client.tree().waiting.spares >= 4)  # two of it, and two of the trunk's head


def settled(client: Client, pids: set[int]) -> set[int]:
    """Every machine there is: those of branches, and once nothing is made or ended as many more as wait."""
    deadline = time.monotonic() + 60
    while True:
        waiting = client.tree().waiting
        processes = {int(p.name) for p in Path("/proc").glob("[0-9]*") if is_machine(p, client.home)}
        if pids <= processes and len(processes - pids) == waiting.machines + waiting.spares:
            return processes
        assert time.monotonic() < deadline, (pids, processes, waiting)
        time.sleep(0.1)


def is_machine(process: Path, home: Home) -> bool:
    """Is this a QEMU of that home?"""
    try:
        mine = b"VERTUI_HOME=" + os.fsencode(home.root) + b"\0" in (process / "environ").read_bytes()
        return mine and b"qemu-system" in (process / "cmdline").read_bytes()
    except OSError:
        return False
