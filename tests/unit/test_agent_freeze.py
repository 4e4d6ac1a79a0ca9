"""Freezing whatever the guest has done to its groups: the agent in a hierarchy of its own on this machine."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from core.errors import GuestFailed
from core.guest.agent import wire
from core.guest.client import AgentClient
from tests.unit.agents import PATIENCE_S, ROOT, Line, connected, started

BUSY = 32  # more than any host of ours has processors: they cannot all stop at once
COUNTING = """
import sys, threading, time
def count(n):
    with open(sys.argv[1] + f".{n}", "r+b", buffering=0) as file:
        number = 0
        while True:
            number += 1
            file.seek(0); file.write(b"%d" % number); time.sleep(0.002)
for n in range(2):
    open(sys.argv[1] + f".{n}", "w").close()
    threading.Thread(target=count, args=(n,), daemon=True).start()
print("ready", flush=True)
time.sleep(600)
"""


class Counter:
    """A program of two threads, each counting in a file, started outside the hierarchy and then put somewhere in it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / name
        self._process = subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(self._path)], stdout=subprocess.PIPE
        )
        assert self._process.stdout
        self._process.stdout.readline()
        self._process.stdout.close()
        self.pid = self._process.pid

    def put(self, group: Path) -> None:
        """Move it into a group."""
        (group / "cgroup.procs").write_text(str(self.pid))

    def put_thread(self, group: Path) -> None:
        """Move one of its threads into a threaded group; the others stay."""
        tid = max(int(path.name) for path in Path(f"/proc/{self.pid}/task").iterdir())
        (group / "cgroup.threads").write_text(str(tid))

    def counts(self) -> tuple[str, str]:
        """How far its threads have come."""
        first, second = (Path(f"{self._path}.{n}").read_text() for n in range(2))
        return first, second

    def end(self) -> None:
        """End it, frozen or not."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Callable[[], Counter]]:
    started: list[Counter] = []

    def start() -> Counter:
        started.append(Counter(tmp_path, f"counter-{len(started)}"))
        return started[-1]

    yield start
    for one in started:
        one.end()


def group_of(work: Path, name: str) -> Path:
    path = work / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def in_the_root(work: Path, one: Counter) -> None:
    one.put(work)


def in_a_group_of_its_own(work: Path, one: Counter) -> None:
    one.put(group_of(work, "docker/one"))


def in_the_agents_group(work: Path, one: Counter) -> None:
    one.put(work / "agent")


def below_the_agents_group(work: Path, one: Counter) -> None:
    one.put(group_of(work, "agent/mine"))


def threads_in_two_groups(work: Path, one: Counter) -> None:
    domain, group = group_of(work, "domain"), group_of(work, "domain/threads")
    one.put(domain)
    (group / "cgroup.type").write_text("threaded")
    one.put_thread(group)


def in_the_strays(work: Path, one: Counter) -> None:
    one.put(group_of(work, "strays/deeper"))


PLACES = (
    in_the_root, in_a_group_of_its_own, in_the_agents_group, below_the_agents_group,
    threads_in_two_groups, in_the_strays,
)  # fmt: skip
LONG_S = 5.0


async def stand_still(counters: list[Counter]) -> bool:
    before = [one.counts() for one in counters]
    await asyncio.sleep(0.1)
    return [one.counts() for one in counters] == before


async def run_again(counters: list[Counter]) -> None:
    before = [one.counts() for one in counters]
    deadline = time.monotonic() + PATIENCE_S
    for one, (first, second) in zip(counters, before, strict=True):
        while first == one.counts()[0] or second == one.counts()[1]:
            assert time.monotonic() < deadline, "a thread does not run again"
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_no_place_keeps_a_process_from_standing_still(
    client: AgentClient, work: Path, counter: Callable[[], Counter], place: Callable[[Path, Counter], None]
) -> None:
    one = counter()
    place(work, one)
    for _ in range(3):
        await client.freeze(LONG_S)
        assert await stand_still([one])
        await client.thaw()
        await run_again([one])


async def test_whatever_is_moved_about_stands_still(
    client: AgentClient, work: Path, counter: Callable[[], Counter]
) -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    random = Random(seed)
    counters = [counter() for _ in range(4)]
    for _ in range(12):
        for one in counters:
            with suppress(OSError):  # a group of another kind stands in the way
                random.choice(PLACES)(work, one)
        await client.freeze(LONG_S)
        assert await stand_still(counters)
        await client.thaw()
        await run_again(counters)


async def moved_into(work: Path, pid: int) -> None:
    """Wait until a process has moved itself into the hierarchy."""
    while work.name not in Path(f"/proc/{pid}/cgroup").read_text():
        await asyncio.sleep(0.01)


MOVER_IN_SHELL = (
    "sh", "-c",
    "while :; do for g in . here there agent; do echo 0 > $1/$g/cgroup.procs;"
    " for f in $1/*/cgroup.freeze; do echo 0 > $f; done; done; done",
    "sh",
)  # fmt: skip
MOVER_OF_TWO_THREADS = (
    sys.executable, "-S", "-c",
    """
import itertools, os, sys, threading
def again(names, values):
    files = [os.open(f"{sys.argv[1]}/{name}", os.O_WRONLY) for name in names]
    for file in itertools.cycle(files):
        for value in values: os.write(file, value)
ways = [f"{group}/cgroup.freeze" for group in ("here", "there")]
threading.Thread(target=again, args=(ways, (b"1", b"0"))).start()
again([f"{group}/cgroup.procs" for group in (".", "here", ".", "there", "agent")], (b"0",))
""",
)  # fmt: skip


@pytest.mark.parametrize("program", [MOVER_IN_SHELL, MOVER_OF_TWO_THREADS], ids=["shell", "two threads"])
async def test_what_moves_itself_all_the_time_stands_still(
    client: AgentClient, work: Path, program: tuple[str, ...]
) -> None:
    """A process that goes from group to group, and lets all of them run again, as fast as it can."""
    for name in ("here", "there"):
        group_of(work, name)
    with subprocess.Popen([*program, str(work)]) as mover:
        try:
            await moved_into(work, mover.pid)
            for _ in range(5):
                with suppress(GuestFailed):  # refused is right, running is not
                    await client.freeze(LONG_S)
                    before = Path(f"/proc/{mover.pid}/stat").read_text().split()[13:15]
                    await asyncio.sleep(0.2)
                    assert Path(f"/proc/{mover.pid}/stat").read_text().split()[13:15] == before
                await client.thaw()
        finally:
            mover.kill()


async def test_groups_that_come_and_go_hold_nothing_up(client: AgentClient, work: Path) -> None:
    group_of(work, "outer")
    group_of(work, "mine")
    loop = (
        "echo 0 > $1/mine/cgroup.procs;"
        " while :; do for g in $1/new $1/outer/new; do mkdir $g; rmdir $g; done; done"
    )
    with subprocess.Popen(["sh", "-c", loop, "sh", str(work)]) as maker:
        try:
            await moved_into(work, maker.pid)
            for _ in range(20):
                await client.freeze(LONG_S)
                groups = sorted(work.rglob("*/"))
                await asyncio.sleep(0.02)
                assert sorted(work.rglob("*/")) == groups
                await client.thaw()
        finally:
            maker.kill()


FROZEN_WITHIN_LIMITS = """
import os, resource, sys
from core.guest.agent.cgroup import WorkGroup
from core.guest.agent.freezer import FreezeFailed
work = WorkGroup(sys.argv[1])
group = work.create("command-1")
work.freeze(5)
work.freeze(5)
try:
    with work.joined(group):
        pass
except OSError as error:
    print(error)
work.thaw()
for number in range(40):
    os.mkdir(f"{sys.argv[1]}/work/{number}")
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
try:
    work.freeze(5)
except FreezeFailed as error:
    print(error, work.frozen)
"""


def test_who_cannot_look_at_all_groups_freezes_none(work: Path, counter: Callable[[], Counter]) -> None:
    """And what is frozen takes nobody in."""
    one = counter()
    one.put(group_of(work, "mine"))
    script = [sys.executable, "-c", FROZEN_WITHIN_LIMITS, str(work)]
    told = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0] == "the guest is frozen"
    assert "Too many open files" in told[1]
    assert told[1].endswith("False")
    asyncio.run(run_again([one]))


async def test_nothing_follows_the_answer_to_a_freeze(line: Line) -> None:
    """Not even output that was under way when nobody took it."""
    reader, writer = await asyncio.open_unix_connection(line.path)
    writer.write(wire.frame(wire.HELLO, 0, bytes(wire.NONCE_BYTES)))
    for channel in range(1, 9):
        writer.write(wire.json_frame(wire.REQUEST, channel, {"op": "exec", "argv": "yes"}))
    await asyncio.sleep(1)
    writer.write(wire.json_frame(wire.REQUEST, 99, {"op": "freeze", "timeout_s": LONG_S}))
    await asyncio.sleep(0.3)
    frames, seen = wire.Frames(strict=True), list[wire.Frame]()
    with suppress(TimeoutError):
        while True:
            seen += frames.feed(await asyncio.wait_for(reader.read(1 << 16), 2))
    writer.close()
    assert (seen[-1].type, seen[-1].channel) == (wire.REPLY, 99)


async def test_what_the_guest_had_frozen_stays_so(
    client: AgentClient, work: Path, counter: Callable[[], Counter]
) -> None:
    theirs, inner, free = counter(), counter(), counter()
    for one, name in ((theirs, "docker"), (inner, "outer/inner"), (free, "outer/free")):
        one.put(group_of(work, name))
    for name in ("docker", "outer/inner"):
        (work / name / "cgroup.freeze").write_text("1")
    await client.freeze(LONG_S)
    assert await stand_still([theirs, inner, free])
    await client.thaw()
    await run_again([free])
    assert await stand_still([theirs, inner])
    for name in ("docker", "outer/inner"):
        (work / name / "cgroup.freeze").write_text("0")
    await run_again([theirs, inner])


async def test_an_agent_started_anew_thaws_what_was_frozen(
    work: Path, tmp_path: Path, counter: Callable[[], Counter]
) -> None:
    one, theirs = counter(), counter()
    one.put(group_of(work, "mine"))
    theirs.put(group_of(work, "theirs"))
    (work / "theirs" / "cgroup.freeze").write_text("1")
    async with started(work, tmp_path / "first.sock") as first, connected(first) as client:
        await client.freeze(LONG_S)
        left = work / "work" / f"command-1.{first.agent_pid}"
        left.mkdir(parents=True)
        group_of(work, "work/theirs")
    async with started(work, tmp_path / "second.sock") as second, connected(second) as client:
        assert await client.ping() is True
        assert await stand_still([one])
        await client.thaw()
        await run_again([one])
        assert await stand_still([theirs])
        assert [path.name for path in (work / "work").glob("*/")] == ["theirs"]


async def test_who_does_not_stop_is_named(client: AgentClient, work: Path) -> None:
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(BUSY)]
    names = {f"process {process.pid} (sh) did not stop within 0 ms" for process in busy}
    said = ""
    try:
        for process in busy:
            (group_of(work, "mine") / "cgroup.procs").write_text(str(process.pid))
        for _ in range(50):  # now and then all stop at once, or have by the time one is looked for
            try:
                await client.freeze(0)
                await client.thaw()
            except GuestFailed as error:
                said = str(error)
            assert await client.ping() is False
            if any(name in said for name in names):
                return
        raise AssertionError(f"nobody was named: {said}")
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1]
)
async def test_a_signal_to_each_and_all_does_not_end_the_agent(
    client: AgentClient, line: Line, number: signal.Signals
) -> None:
    os.kill(line.agent_pid, number)
    assert await client.ping() is False
