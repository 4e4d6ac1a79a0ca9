"""Nothing but the agent runs between the freeze and the new identity, whatever the guest has done to itself."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from core.daemon.client import Client
from core.errors import Conflict, VertuiError
from tests.conftest import full
from tests.guests import Guest, eventually

PROGRAMS = Path(__file__).parent / "guest"
CHILDREN = (10, 5, 5) if full() else (2, 2, 2)
"""Children of the running branch, of its stored commit, and of the branch paused: twenty in all, or a sample."""

CGROUPS = "/run/groups"  # where the test mounts the hierarchy for itself
FORGET = "umount /proc/sys/kernel/random/boot_id; rm /etc/machine-id; sed -i s/a/b/ /etc/hostname"
SHOWN = "cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id"
HIDE = "umount -l /sys/fs/cgroup; mkdir -p /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup"
PLACES = {
    "docker": "mkdir -p $G/docker/one; echo $$ > $G/docker/one/cgroup.procs; exec $DRAW",
    "podman": (
        "mkdir -p $G/machine/pod/one; echo $$ > $G/machine/pod/one/cgroup.procs;"
        " exec unshare --cgroup --mount --pid --ipc --fork $DRAW"
    ),
    "root": "echo $$ > $G/cgroup.procs; exec $DRAW",
    "agent": "echo $$ > $G/agent/cgroup.procs; exec $DRAW",
    "below-agent": "mkdir -p $G/agent/mine; echo $$ > $G/agent/mine/cgroup.procs; exec $DRAW",
    "threads": (
        "mkdir -p $G/threads; echo threaded > $G/threads/cgroup.type; echo $$ > $G/cgroup.procs;"
        " exec $DRAW $G/threads"
    ),
}
"""Where a program draws random values: each a line of shell that becomes it. A container's layout is among them."""


MOVES = 10 if full() else 3
CALLING = """
import socket, sys, time
while True:
    try:
        with socket.create_connection((sys.argv[1], 22), 2):
            print("called", flush=True)
            time.sleep(0.05)
    except OSError:
        pass
"""
"""Calls ssh again and again, and hangs up."""


class Drawn(NamedTuple):
    """A line of a log."""

    generation: str
    name: str
    value: str


def put(guest: Guest, program: str) -> str:
    """Write a program of ours into a guest; its path."""
    path, text = f"/root/{program}", (PROGRAMS / program).read_text()
    guest.text(f"cat > {path} <<'END-OF-PROGRAM'\n{text}END-OF-PROGRAM")
    return path


def draw_everywhere(guest: Guest) -> None:
    """Start a program in each place, and hide the hierarchy of cgroups."""
    path = put(guest, "draw.py")
    guest.text(f"mkdir -p {CGROUPS}; mount -t cgroup2 none {CGROUPS}; mkdir -p /dev/shm/drawn")
    for place, line in PLACES.items():
        guest.start(f"G={CGROUPS}; DRAW='python3 -S {path} /dev/shm/drawn/{place}'; {line}")
    guest.text(f"{await_lines('.')}; {HIDE}; {FORGET}")


def await_lines(pattern: str) -> str:
    """Shell that waits until a line of each log matches."""
    logs = " ".join(f"/dev/shm/drawn/{place}" for place in PLACES)
    return f'for log in {logs}; do until grep -qs -e "{pattern}" $log; do sleep 0.05; done; done'


def drawn(guest: Guest, name: str) -> dict[str, list[Drawn]]:
    """A branch's logs by place, once each has a line drawn under the branch's own generation and name."""
    branch = guest.other(name)
    branch.text(await_lines(f"^$(cat /run/vertui/generation) {name} "))
    return logs_of(branch)


def logs_of(branch: Guest) -> dict[str, list[Drawn]]:
    """By place, or whatever the logs are called; a last line may be half written."""
    logs: dict[str, list[Drawn]] = {}
    for line in branch.text("cd /dev/shm/drawn && grep -H '' *", lossless=True).splitlines():
        place, _, words = line.partition(":")
        if words.count(" ") == 2:
            logs.setdefault(place, []).append(Drawn(*words.split(" ")))
    return logs


def check_apart(guest: Guest, children: list[str]) -> None:
    """Children of one state: what they drew before is the same, what they drew after is nobody else's."""
    logs = {name: drawn(guest, name) for name in [*children, "main"]}
    mothers = {line.generation for log in logs["main"].values() for line in log}
    for place in PLACES:
        before = [[line for line in logs[name][place] if line.generation in mothers] for name in children]
        assert all(lines == before[0] for lines in before), f"{place} ran on before it was distinct"
        assert before[0] == logs["main"][place][: len(before[0])]
    after = {
        name: [line for log in logs[name].values() for line in log if line.generation not in mothers]
        for name in children
    }
    for name, lines in after.items():
        assert {line.name for line in lines} == {name}
    values = [line.value for log in logs["main"].values() for line in log]
    values += [line.value for lines in after.values() for line in lines]
    assert len(set(values)) == len(values), "a value stands in two branches"
    shown = [guest.other(name).text(SHOWN).splitlines() for name in children]
    assert [names[0] for names in shown] == children
    assert len({word for words in shown for word in words}) == 3 * len(children)


@pytest.mark.usefixtures("nothing_waits")
def test_children_are_distinct_whatever_the_guest_did_to_its_groups(main: Guest, client: Client) -> None:
    """Forks of the running branch, of its stored commit, of the branch paused; and the branch restored."""
    draw_everywhere(main)
    live, cold, paused = CHILDREN

    def forked(ref: str, n: int, prefix: str) -> list[str]:
        children = client.fork(ref, n, prefix).children
        assert all(child.ok for child in children), children
        return [child.name for child in children]

    def removed(names: list[str]) -> None:
        client.execute(client.plan_prune(names, now=True))

    names = forked("main", live, "live")
    check_apart(main, names)
    removed(names)
    commit = client.commit("main").commit
    names = forked(commit.id, cold, "cold")
    check_apart(main, names)
    removed(names)
    client.pause("main")
    names = forked("main", paused, "paused")
    client.resume("main")
    check_apart(main, names)
    earlier = logs_of(main)
    client.restore("main", commit.id)
    for place, log in drawn(main, "main").items():
        new = [line for line in log if line not in earlier[place]]
        assert len({line.generation for line in new}) == 1
        assert not {line.value for line in new} & {line.value for line in earlier[place]}


@pytest.mark.usefixtures("nothing_waits")
def test_a_process_that_moves_all_the_time_is_distinct_or_refused(main: Guest, client: Client) -> None:
    """One of two threads, in no group for long; what cannot be stopped in time is not forked."""
    path = put(main, "mover.py")
    main.text(f"mkdir -p {CGROUPS} /dev/shm/drawn; mount -t cgroup2 none {CGROUPS}")
    main.start(f"exec python3 -S {path} /dev/shm/drawn/mover {CGROUPS}")
    main.text("until grep -qs . /dev/shm/drawn/mover; do sleep 0.05; done")
    for number in range(MOVES):
        with suppress(Conflict):
            [child] = client.fork("main", 1, f"moved{number}").children
            assert child.ok, child.reason
            branch = main.other(child.name)
            own = branch.text("cat /run/vertui/generation")
            branch.text(f"until grep -q '^{own} {child.name} ' /dev/shm/drawn/mover; do sleep 0.05; done")
            before, after = apart(logs_of(branch)["mover"], own)
            mothers = logs_of(main)["mover"]
            assert before == mothers[: len(before)], "it ran on before it was distinct"
            assert {line.name for line in after} == {child.name}
            assert not {line.value for line in after} & {line.value for line in mothers}
            client.execute(client.plan_prune([child.name], now=True))
    assert answers(main)


def apart(log: list[Drawn], generation: str) -> tuple[list[Drawn], list[Drawn]]:
    """What was drawn before a generation, and under it."""
    own = [line for line in log if line.generation == generation]
    return [line for line in log if line.generation != generation], own


def test_who_calls_a_frozen_guest_is_served_once_it_runs(main: Guest, client: Client) -> None:
    """Calls that arrive while it is frozen, and when it has begun to run but is not thawed."""
    address = str(next(branch.address for branch in client.tree().branches if branch.name == "main"))
    enter = ["nsenter", f"--net=/proc/{client.status().pid}/ns/net"]
    with subprocess.Popen([*enter, "python3", "-c", CALLING, address], stdout=subprocess.PIPE) as calling:
        try:
            assert calling.stdout
            calling.stdout.readline()
            for _ in range(3):
                client.commit("main")
                client.pause("main")
                time.sleep(1)
                client.resume("main")
                assert main.text("echo there") == "there"
            assert calling.stdout.readline() == b"called\n"
        finally:
            calling.kill()


def test_a_name_served_by_the_guest_is_covered(main: Guest, client: Client) -> None:
    """Nobody answers who reads it before the child is distinct, as its server is frozen."""
    serve(main)
    main.text("mount --bind /mnt/served/file /etc/hostname")
    [child] = client.fork("main", 1).children
    assert child.ok, child.reason
    assert main.other(child.name).text("cat /etc/hostname") == child.name


def serve(guest: Guest) -> None:
    """Mount a filesystem that a process of the guest serves, its one file cached for writing."""
    path = put(guest, "served.py")
    guest.text("modprobe fuse; mkdir -p /mnt/served")
    guest.start(f"exec python3 -S {path} /mnt/served")
    guest.text("until grep -q served /proc/mounts; do sleep 0.05; done")


def test_a_filesystem_served_by_the_guest_holds_up_nobody(main: Guest, client: Client) -> None:
    """Its file is written to all the time; then it has unwritten data, and a server that does not answer.

    Who writes may have to wait for a server that is frozen already: then the commit is not quiesced, and says so.
    """
    serve(main)
    main.count()
    writer = main.start("exec 3<> /mnt/served/file; while :; do echo more >&3; sleep 0.001; done")
    for _ in range(3):
        taken = client.commit("main").commit
        main.counts_beyond(main.counted())
    client.restore("main", taken.id)
    main.counts_beyond(main.counted())
    main.text(f"kill -9 {next(command.pid for command in client.ps('main') if command.id == writer)}")
    main.start("exec 3<> /mnt/served/file; echo more >&3; : > /dev/shm/written; exec sleep 600")
    main.text("until [ -e /dev/shm/written ]; do sleep 0.05; done; pkill -STOP -f [s]erved.py")
    child = client.fork("main", 1).children[0]
    assert child.ok, child.reason
    main.other(child.name).counts_beyond(0)
    main.counts_beyond(main.counted())


USERS_TYPE: tuple[str, ...] = (
    "pkill python3; pkill -f python; killall python3; true",
    "pkill vertui; pkill -f vertui-agent; pkill -HUP .; true",
    "mount -o remount,ro /sys/fs/cgroup; true",
    "for p in $(cat /sys/fs/cgroup/*/cgroup.procs); do echo $p > /sys/fs/cgroup/work/cgroup.procs; done; true",
    "umount -l /sys/fs/cgroup; umount -l /proc; umount -a; true",
)


def test_the_agent_outlasts_what_users_type(main: Guest, client: Client) -> None:
    """All in one guest, each a little worse; commands in it live on, and it can be frozen."""
    main.count()
    for line in USERS_TYPE:
        main.run(f"setsid sh -c {quoted(line)} < /dev/null > /dev/null 2>&1")
        main.counts_beyond(main.counted())
        assert client.commit("main").commit.quiesced


def quoted(line: str) -> str:
    return "'" + line.replace("'", "'\\''") + "'"


def the_agent_is_spared_and_its_children_are_ordinary(main: Guest) -> None:
    agent = agent_of(main)
    assert main.text(f"cat /proc/{agent}/oom_score_adj") == "-1000"
    ours = main.text("cat /proc/self/oom_score_adj; cut -d' ' -f19,41 /proc/self/stat; ulimit -a")
    lines = ours.splitlines()
    assert lines[:2] == ["0", "0 0"]


def test_an_agent_that_is_killed_comes_back(main: Guest, client: Client) -> None:
    """By SIGKILL to all there is, from which only init is safe."""
    the_agent_is_spared_and_its_children_are_ordinary(main)
    before = agent_of(main)
    main.start("kill -9 -1")
    assert eventually(lambda: agent_of(main) not in ("", before))
    main.count()
    child = client.fork("main", 1).children[0]
    assert child.ok, child.reason
    main.other(child.name).counts_beyond(0)


@pytest.mark.skipif(not full(), reason="the agent is given half a minute before it is started anew")
def test_a_request_that_never_ends_costs_the_agent_not_the_guest(main: Guest, client: Client) -> None:
    serve(main)
    main.count()
    main.text("pkill -STOP -f [s]erved.py")
    with pytest.raises(VertuiError):
        main.run("true", cwd="/mnt/served/deep")
    assert answers(main)
    main.counts_beyond(main.counted())
    assert client.commit("main").commit.quiesced


def agent_of(guest: Guest) -> str:
    """The agent's number; nothing while it does not answer."""
    try:
        return guest.text("pgrep -x vertui-agent")
    except (VertuiError, AssertionError):
        return ""


def answers(guest: Guest) -> bool:
    def once() -> bool:
        try:
            return guest.run("true").code == 0
        except (VertuiError, AssertionError):
            return False

    return eventually(once)


def test_a_process_that_cannot_be_stopped_is_named(main: Guest, client: Client) -> None:
    """A process that waits in the kernel for a server that does not answer."""
    serve(main)
    main.text("pkill -STOP -f [s]erved.py")
    main.start("exec stat /mnt/served/other")
    main.text("until grep -q wait_answer /proc/$(pgrep -x stat)/wchan; do sleep 0.05; done")
    with pytest.raises(Conflict, match=r"process \d+ \(stat\) did not stop within"):
        client.fork("main", 1)
    taken = client.commit("main").commit
    assert not taken.quiesced
    client.restore("main", taken.id)
    assert main.text("echo there") == "there"


def test_a_guest_full_of_processes_is_frozen(main: Guest, client: Client) -> None:
    """Many that wait, and new ones all the time."""
    many = (
        "n=0; while [ $n -lt 150 ]; do sleep 1000 & n=$((n+1)); done; while :; do sleep 0.05 & wait $!; done"
    )
    main.count()
    main.start(f"exec setpriv --reuid=65534 sh -c {quoted(many)}")
    main.text("until [ $(pgrep -cu 65534) -gt 150 ]; do sleep 0.1; done")
    child = client.fork("main", 1).children[0]
    assert child.ok, child.reason
    main.other(child.name).counts_beyond(0)
