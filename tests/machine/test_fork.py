"""Forks: running copies of a running machine, distinct in all that must be, the same in all else."""

import os
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.errors import Conflict, NoRoom, NotFound, UsageError
from core.machine.qemu import VCPU_NICER
from tests.conftest import full
from tests.guests import COUNTING, Guest, eventually

THOUSANDS = 100 if full() else 30  # lines that a command prints while it is forked


def test_eight_children_are_distinct_and_apart(main: Guest, client: Client) -> None:
    forked = client.fork("main", 8)
    assert [child.name for child in forked.children] == [f"b{number}" for number in range(1, 9)]
    assert all(child.ok for child in forked.children), forked.children
    probe = "hostname; cat /etc/machine-id; cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -An -tx1"
    told = [
        main.other(child.name).text(f"{probe}; cat /etc/ssh/ssh_host_ed25519_key.pub")
        for child in forked.children
    ]
    for values in zip(*(text.splitlines() for text in told), strict=True):
        assert len(set(values)) == 8, values
    assert [text.splitlines()[0] for text in told] == [child.name for child in forked.children]
    assert len({child.address for child in forked.children}) == 8
    for child in forked.children:
        main.other(child.name).text(f"echo mine > /root/only-{child.name}")
    for child in forked.children:
        assert main.other(child.name).text("ls /root") == f"only-{child.name}"


def test_children_inherit_processes_and_memory(main: Guest, client: Client) -> None:
    main.count()
    main.text("echo kept > /dev/shm/kept")
    at_fork = main.counted()
    client.fork("main", 2, "c")
    for name in ("c1", "c2"):
        child = main.other(name)
        assert child.text("cat /dev/shm/kept") == "kept"
        first = child.counted()
        assert first >= at_fork
        child.counts_beyond(first)
        assert COUNTING in " ".join(client.ps(name)[-1].argv)
    log = client.home.log / "machines.log"
    assert not log.exists() or "Failed" not in log.read_text(), "machines had nothing to complain of"
    main.counts_beyond(main.counted())
    vcpus_stand_behind_what_has_to_answer(client)


def test_every_line_once_in_parent_and_children(main: Guest, client: Client) -> None:
    """A command printing 1…100,000, or a part of it, forked into four midway with the client attached."""
    command = main.start(
        f"i=1; while [ $i -le {THOUSANDS} ]; do seq $(((i-1)*1000+1)) $((i*1000)); i=$((i+1)); sleep 0.05; done"
    )
    forked = client.fork("main", 4)
    assert all(child.ok for child in forked.children)
    expected = "".join(f"{number}\n" for number in range(1, THOUSANDS * 1000 + 1)).encode()
    for name in ("main", "b1", "b2", "b3", "b4"):
        assert main.other(name).attach(command).stdout == expected, name


def vcpus_stand_behind_what_has_to_answer(client: Client) -> None:
    """In parent and child: one thread of each QEMU, its vCPU, is batch and nice; its main loop is not."""
    for branch in client.tree().branches:
        tasks = [int(path.name) for path in Path(f"/proc/{branch.pid}/task").iterdir()]
        scheduled = {
            task: (os.sched_getscheduler(task), os.getpriority(os.PRIO_PROCESS, task)) for task in tasks
        }
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert list(scheduled.values()).count((os.SCHED_BATCH, min(own + VCPU_NICER, 19))) == 1
        assert scheduled[branch.pid or 0] == (os.SCHED_OTHER, own)


def test_fork_of_a_commit_has_that_commits_state(main: Guest, client: Client) -> None:
    main.text("echo first > /root/state")
    first = client.commit("main", "first").commit
    main.text("echo second > /root/state; echo new > /root/new")
    client.commit("main", "second")
    client.fork(first.id[:10], 1, "old1")
    assert main.other("old1").text("cat /root/state; ls /root") == "first\nstate"
    client.fork("main~1", 1, "back1")
    assert main.other("back1").text("cat /root/state") == "first"


def test_a_command_is_ended_in_time_and_scores_its_child(main: Guest, client: Client) -> None:
    client.fork("main", variants=("sleep 600", "echo '{name}: 9.5'"), timeout_s=5, score="printed")

    def told(name: str) -> tuple[float | None, str]:
        branch = next(branch for branch in client.tree().branches if branch.name == name)
        return branch.score, branch.note

    assert eventually(lambda: told("b1") == (None, "not scored: its time limit was over"))
    assert eventually(lambda: told("b2") == (9.5, ""))
    [late] = client.ps("b1")
    assert late.timed_out and late.exit_code == 124


REFUSED: tuple[tuple[str, int, str | None, type[Exception]], ...] = (
    ("main", 0, None, UsageError),
    ("main", 10_000, None, UsageError),
    ("main", 900, None, NoRoom),
    ("nobody", 1, None, NotFound),
    ("main", 1, "Main_", UsageError),
    ("main", 1, "abcdef", UsageError),
    ("abcdef123456", 1, None, NotFound),
    ("taken1", 2, "taken", Conflict),
)


def test_refused_before_anything_starts(main: Guest, client: Client) -> None:
    for ref, n, prefix, error in REFUSED:
        if prefix == "taken":
            client.rename("main", "taken1")
        before = client.tree()
        with pytest.raises(error) as refusal:
            client.fork(ref, n, prefix)
        assert "\n" not in str(refusal.value)
        after = client.tree()
        assert [branch.name for branch in after.branches] == [branch.name for branch in before.branches]
        assert after.commits == before.commits
