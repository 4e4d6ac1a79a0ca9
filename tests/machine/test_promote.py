"""Promote, prune, undo: the trunk moves, losers go by plan, and everything comes back."""

from pathlib import Path

import pytest

from core.daemon.client import Client
from core.errors import Conflict
from core.model import Branch
from core.verbs.store.gc import Gc
from tests.guests import Guest, eventually


def shown(client: Client, name: str) -> Branch:
    """A branch as `ls` shows it."""
    return next(branch for branch in client.tree().branches if branch.name == name)


def names(client: Client) -> list[str]:
    """The branches there are."""
    return [branch.name for branch in client.tree().branches]


def test_promote_keeps_processes_and_the_old_trunk_and_undo_takes_it_back(
    main: Guest, client: Client
) -> None:
    client.fork("main", 3)
    b3 = main.other("b3")
    b3.count()
    pid = shown(client, "b3").pid
    before = b3.counted()
    client.execute(client.plan_promote("b3"))
    assert client.tree().trunk == "b3"
    assert shown(client, "b3").pid == pid
    b3.counts_beyond(before)
    assert shown(client, "main").state == "running"
    client.undo()
    assert client.tree().trunk == "main"
    client.redo()
    assert client.tree().trunk == "b3"


def test_plan_says_what_the_old_trunk_did_meanwhile(main: Guest, client: Client) -> None:
    client.fork("main", 2)
    main.text("echo work > /root/only-on-trunk")
    made = client.commit("main", "work on the trunk").commit
    plan = client.plan_promote("b1", prune_losers=True)
    assert plan.files == ("/root/only-on-trunk",)
    assert any(made.id[:12] in line for line in plan.lines)
    assert plan.branches == ("b1", "b2")
    client.execute(plan)
    assert names(client) == ["main", "b1"]
    with pytest.raises(Conflict):
        client.execute(plan)


def test_prune_and_undo_bring_a_branch_back_running(main: Guest, client: Client) -> None:
    client.fork("main", 2)
    b1 = main.other("b1")
    b1.count()
    b1.text("echo mine > /root/mine")
    before = b1.counted()
    address = shown(client, "b1").address
    plan = client.plan_prune(["b1"])
    assert plan.branches == ("b1",)
    assert plan.undoable
    client.execute(plan)
    assert names(client) == ["main", "b2"]
    assert [entry.name for entry in client.trash() if entry.kind == "branch"] == ["b1"]
    client.undo()
    assert shown(client, "b1").address == address
    assert b1.text("cat /root/mine") == "mine"
    after = b1.counted()
    assert after >= before
    b1.counts_beyond(after)


def test_undo_of_a_fork_and_refusals(main: Guest, client: Client) -> None:
    client.fork("main", 2)
    client.undo()
    assert names(client) == ["main"]
    client.up(None, "b1")
    with pytest.raises(Conflict, match="taken"):
        client.trash_restore("b1")
    client.execute(client.plan_trash_empty())
    with pytest.raises(Conflict):
        client.redo()
    assert client.trash() == []


@pytest.mark.usefixtures("nothing_waits")
def kept_of(client: Client, commit: str) -> list[Path]:
    """What there is of a commit after another look for what nothing needs."""
    client.do(Gc())
    return list(client.home.commits.glob(f"{commit}*"))


def test_prune_now_frees_what_it_says(main: Guest, client: Client) -> None:
    client.fork("main", 1)
    main.other("b1").text("head -c 5000000 /dev/urandom > /root/big; sync")
    made = client.commit("b1", "big").commit
    layers = set(client.home.layers.iterdir())
    plan = client.plan_prune(["b1"], now=True)
    assert made.id in plan.commits
    assert plan.frees_bytes >= 5_000_000
    assert not plan.undoable
    client.execute(plan)
    assert names(client) == ["main"]
    assert eventually(lambda: kept_of(client, made.id) == []), (
        "unless a machine was just being made ready on it"
    )
    assert len(set(client.home.layers.iterdir()) - layers) == 0
    assert len(set(client.home.layers.iterdir())) < len(layers)
    assert client.trash() == []


def test_the_trunk_and_heads_are_not_pruned(main: Guest, client: Client) -> None:
    client.fork("main", 1)
    with pytest.raises(Conflict, match="trunk"):
        client.plan_prune(["main"])
    with pytest.raises(Conflict, match="head"):
        client.plan_prune([shown(client, "b1").head[:12]])


def test_marks_are_undone(main: Guest, client: Client) -> None:
    client.score("main", 7.5, "good")
    head = client.commit("main").commit
    client.tag(head.id[:10], "keeper")
    client.rename("main", "stem")
    assert shown(client, "stem").score == 7.5
    assert client.plan_prune(["stem"], now=False).branches == ("stem",)
    for _ in range(2):
        client.undo()
    assert client.tree().commits[-1].tags == ()
    assert names(client) == ["main"]
