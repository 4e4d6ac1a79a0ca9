"""A verb taken back leaves what was there, and one that fails leaves it running."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from core.codec import encode
from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.errors import VertuiError
from core.home import Home
from tests.conftest import full
from tests.guests import Guest, eventually
from tests.machine.test_promote import shown

MEASURED = (
    "pid", "memory_bytes", "changed_bytes", "disk_bytes", "uptime_s", "cpu_percent", "last", "tap", "namespace",
)  # fmt: skip
STATES = ("running", "paused", "suspended")
ROUNDS = 4 if full() else 1


def tree(client: Client) -> dict[str, Any]:
    """What `ls --json` shows, without what is measured or differs from process to process."""
    assert eventually(lambda: all(commit.state == "sealed" for commit in client.tree().commits))
    found = client.tree()
    shown = encode(
        replace(
            found,
            sequence=0,
            moment=0,
            waiting=replace(found.waiting, machines=0, spares=0, memory_bytes=0, making=0),
        )
    )
    for branch in shown["branches"]:
        for name in MEASURED:
            del branch[name]
    for commit in shown["commits"]:
        del commit["stored_bytes"]
    return dict(shown)


def prune(client: Client, *names: str) -> None:
    client.execute(client.plan_prune(list(names)))


def early(client: Client) -> str:
    """The first commit of b1's."""
    return next(commit.id for commit in client.tree().commits if commit.message == "early")


VERBS: dict[str, Callable[[Client], object]] = {
    "prune": lambda client: prune(client, "b1"),
    "prune both": lambda client: prune(client, "b1", "b2"),
    "promote": lambda client: client.execute(client.plan_promote("b1")),
    "promote and prune": lambda client: client.execute(client.plan_promote("b2", prune_losers=True)),
    "restore": lambda client: client.restore("b1", early(client)),
    "fork": lambda client: client.fork("b1", 2, "c"),
    "fork of a commit": lambda client: client.fork(early(client), 1, "c"),
    "commit": lambda client: client.commit("b1", "made"),
    "score": lambda client: client.score("b1", 3.5, "a note"),
    "tag": lambda client: client.tag(early(client), "kept"),
    "rename": lambda client: client.rename("b1", "other"),
    "pause": lambda client: client.pause("b1"),
    "resume": lambda client: client.resume("b1"),
    "up": lambda client: client.up(None, "another"),
}


def bring_into(client: Client, guest: Guest, state: str) -> None:
    """Give b1 a state; what it has changed since its head is not committed while it runs or is paused."""
    if state == "suspended":
        client.suspend_all(now=False)
        for name in ("main", "b2"):
            client.resume(name)
        return
    guest.text("echo late > /root/state; echo late > /dev/shm/state")
    if state == "paused":
        client.pause("b1")


@pytest.mark.parametrize("state", STATES if full() else STATES[:2])
def test_verbs_taken_back(main: Guest, client: Client, state: str) -> None:
    client.fork("main", 2)
    b1 = main.other("b1")
    client.commit("b1", "early")
    client.score("b1", 1.0, "before")
    bring_into(client, b1, state)
    seed = random.randrange(2**32)
    print(f"seed {seed}, state {state}")
    names = list(VERBS) * ROUNDS
    random.Random(seed).shuffle(names)
    before, undoable = tree(client), True
    for name in names:
        newest = client.log(1)[0].id
        try:
            VERBS[name](client)
            undoable = any(found.undoable and found.id > newest for found in client.log(3))
        except VertuiError as error:
            print(f"{name} was refused: {error}")
            undoable = False
        if undoable:
            client.undo()
        elif name == "resume" and shown(client, "b1").state == "running":
            before = tree(client)
        assert tree(client) == before, f"{name} taken back"
    if state == "paused":
        client.resume("b1")
    if state in ("running", "paused") and shown(client, "b1").state == "running":
        assert b1.text("cat /root/state /dev/shm/state") == "late\nlate"


def test_a_restore_that_fails_leaves_the_machine_running(main: Guest, client: Client, fault: Path) -> None:
    """Whatever of it fails: the same process, which goes on where it was."""
    early_commit = client.commit("main", "early").commit
    main.count()
    before = shown(client, "main")
    for step in ("restore.distinct", "restore.committed"):
        fault.write_text(f"{step}=fail")
        with pytest.raises(VertuiError, match=step):
            client.restore("main", early_commit.id)
        fault.unlink()
        after = shown(client, "main")
        assert (after.pid, after.state, after.reason) == (before.pid, "running", "")
        main.counts_beyond(main.counted())
    client.restore("main", early_commit.id)
    assert main.run("test -e /dev/shm/n").code == 1
    main.text("ip route get 10.0.2.2")


def test_an_undo_of_prune_that_fails_can_be_made_again(main: Guest, client: Client, fault: Path) -> None:
    """Nothing of what prune saved goes because its machine did not start."""
    client.fork("main", 2)
    b1 = main.other("b1")
    b1.text("echo late > /root/state; echo late > /dev/shm/state")
    client.pause("b2")
    before = tree(client)
    prune(client, "b1", "b2")
    fault.write_text("wake.distinct=fail")
    with pytest.raises(VertuiError, match="wake"):
        client.undo()
    fault.unlink()
    assert {shown(client, name).state for name in ("b1", "b2")} == {"lost"}
    client.undo()
    assert tree(client) == before
    assert b1.text("cat /root/state /dev/shm/state") == "late\nlate"


def test_what_was_paused_unfrozen_stays_known(main: Guest, client: Client, home: Home) -> None:
    """A daemon cannot ask a stopped guest: a commit of it is not quiesced, also after another daemon found it."""
    main.start("exec kill -STOP $(pgrep -f lib/vertui/agent)")

    def unfrozen() -> bool:
        client.pause("main")
        if shown(client, "main").reason:
            return True
        client.resume("main")
        return False

    assert eventually(unfrozen)
    Client(home).stop_daemon()
    ensure_daemon(home)
    assert shown(client, "main").state == "paused"
    assert not client.commit("main").commit.quiesced


def test_a_prune_takes_only_what_its_branches_need(main: Guest, client: Client) -> None:
    """What a restore has saved is needed by nobody, and stays all the same."""
    early_commit = client.commit("main", "early").commit
    main.text("echo late > /root/state")
    client.restore("main", early_commit.id)
    before = {commit.id for commit in client.tree().commits}
    client.fork("main", 2)
    prune(client, "b1")
    client.execute(client.plan_prune(["b2"], now=True))
    assert before <= {commit.id for commit in client.tree().commits}


def test_redo_is_of_what_was_undone_last(main: Guest, client: Client) -> None:
    client.score("main", 1.0)
    client.undo()
    client.score("main", 2.0)
    client.undo()
    client.redo()
    assert shown(client, "main").score == 2.0
    with pytest.raises(VertuiError, match="nothing to redo"):
        client.redo()
