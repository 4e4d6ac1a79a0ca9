"""Pipelines through the command line, at random: exact, or ended with the truth; none hangs, nothing is left."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from core.daemon.client import Client
from core.daemon.sockets import OWNER_S
from core.errors import DaemonUnavailable
from core.home import Home
from tests.conftest import full
from tests.guests import SOON_S, Guest, eventually

VERTUI = (sys.executable, "-m", "vertui")
COUNT = 300 if full() else 10
AT_ONCE = 3
KILLS_EVERY_S = 12.0  # a new daemon is there after one or two
HANGS_S = 240.0
PROCESSES = "ps --deselect -p 2 --ppid 2 -o args | sort"  # but the kernel's: they are named by their work
MIB = 1 << 20
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Pipeline:
    """`data | vertui exec -i main -- sh -c LINE | reader`, and what disturbs it."""

    seed: int
    line: str
    size: int
    expected: bytes
    reads: int | None = None
    sends: signal.Signals | None = None
    after_s: float = 0.0

    @property
    def data(self) -> bytes:
        """What goes in."""
        return content(self.seed, self.size)


def content(seed: int, size: int) -> bytes:
    """Bytes that tell where they belong, so that a piece lost, repeated or moved shows."""
    return random.Random(seed).randbytes(size)


def size_of(dice: random.Random) -> int:
    """Mostly small, one in fifty up to 64 MiB: a guest that is emulated takes some MiB a second."""
    if dice.random() < 0.02 * full():
        return dice.randrange(4 * MIB, 64 * MIB)
    return dice.choice([0, 1, dice.randrange(CHUNK), int(MIB * 2 ** dice.uniform(-4, 1.5))])


def pipeline(dice: random.Random) -> Pipeline:
    """One at random."""
    seed, size = dice.randrange(1 << 30), size_of(dice)
    data = content(seed, size)
    few = dice.randrange(size + 1)
    delay = dice.uniform(0.3, 2.5)
    stop = dice.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
    return dice.choice(
        [
            Pipeline(seed, "cat", size, data),
            Pipeline(seed, "cat; exit 5", size, data),
            Pipeline(seed, "sha256sum", size, f"{hashlib.sha256(data).hexdigest()}  -\n".encode()),
            Pipeline(seed, f"head -c {few}", size, data[:few]),
            Pipeline(seed, f"head -c {few}; exec <&-; sleep 0.3; echo end", size, data[:few] + b"end\n"),
            Pipeline(seed, "cat", size, data, reads=few),
            Pipeline(seed, "cat; sleep 100", size, data, sends=stop, after_s=delay),
            Pipeline(
                seed, "cat; exec cat /dev/zero", size, data + bytes(64 * MIB), sends=stop, after_s=delay
            ),
        ]
    )


def run(pipe: Pipeline) -> str:
    """What is wrong with how it went; nothing if it is as it should be."""
    process = subprocess.Popen(
        [*VERTUI, "exec", "-i", "main", "--", "sh", "-c", pipe.line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with lively(process) as outcome:
        feeding = threading.Thread(target=feed, args=(process, pipe))
        feeding.start()
        disturbing = threading.Timer(pipe.after_s, process.send_signal, [pipe.sends])
        if pipe.sends:
            disturbing.start()
        assert process.stdout and process.stderr
        out = process.stdout.read(pipe.reads if pipe.reads is not None else -1)
        process.stdout.close()
        said = process.stderr.read().decode()
        code = process.wait()
        disturbing.cancel()
        feeding.join()
    return outcome[0] if outcome else judge(pipe, out, said, code)


def feed(process: subprocess.Popen[bytes], pipe: Pipeline) -> None:
    """The writer's end: it minds no reader that leaves."""
    assert process.stdin
    with suppress(BrokenPipeError):
        process.stdin.write(pipe.data)
    with suppress(BrokenPipeError):
        process.stdin.close()


@contextmanager
def lively(process: subprocess.Popen[bytes]) -> Iterator[list[str]]:
    """A process that is still there after a long time hangs: it is killed, and the list says so."""
    outcome: list[str] = []

    def give_up() -> None:
        outcome.append("it hangs")
        process.kill()

    timer = threading.Timer(HANGS_S, give_up)
    timer.start()
    try:
        yield outcome
    finally:
        timer.cancel()
        process.stdout and process.stdout.close()
        process.stderr and process.stderr.close()


def judge(pipe: Pipeline, out: bytes, said: str, code: int) -> str:
    """Bytes, words and exit status must fit."""
    if pipe.sends:
        codes = {128 + pipe.sends, -pipe.sends}
        wrong = not pipe.expected.startswith(out)
    elif pipe.reads is not None:
        codes = {0, 128 + signal.SIGPIPE}
        wrong = out != pipe.expected[: pipe.reads]
    else:
        codes = {5} if "exit 5" in pipe.line else {0}
        wrong = out != pipe.expected
    lines = [line for line in said.split("\n") if line and "is starting" not in line]  # on a busy host
    if code in codes and not lines and not wrong:
        return ""
    return f"{len(out)} bytes came instead of {len(pipe.expected)}, it ended with {code} and said {said!r}"


def kill_daemons(client: Client, dice: random.Random, done: threading.Event) -> None:
    """Now and then, until done."""
    while not done.wait(dice.uniform(KILLS_EVERY_S / 4, KILLS_EVERY_S)):
        with suppress(DaemonUnavailable, ProcessLookupError):
            os.kill(client.status().pid, signal.SIGKILL)


def test_pipelines_at_random(main: Guest, home: Home) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice, client = random.Random(seed), Client(home)
    before = main.text(PROCESSES)
    done = threading.Event()
    killer = threading.Thread(target=kill_daemons, args=(client, random.Random(seed), done))
    killer.start()
    try:
        pipes = [pipeline(dice) for _ in range(COUNT)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            faults = [
                f"{pipe.line!r} of {pipe.size} bytes, {pipe.sends}, {pipe.reads}: {fault}"
                for pipe, fault in zip(pipes, pool.map(run, pipes), strict=True)
                if fault
            ]
    finally:
        done.set()
        killer.join()
    assert not faults
    # A client killed while there was no daemon is waited for, as one that will be back.
    ended = eventually(lambda: all(one.exit_code is not None for one in client.ps("main")), OWNER_S + SOON_S)
    assert ended, client.ps("main")
    assert eventually(lambda: main.text(PROCESSES) == before), f"left beside {before}: {main.text(PROCESSES)}"
    main.text("echo $((6 * 7))")
    [*_, last] = client.journal(
        "main"
    )  # it has what ended before it was asked, and is whole after all these deaths
    assert last.exec and (last.body, last.exec.exit) == ("42\n", 0)
    assert last.commit == client.tree().branches[0].head
    [found] = client.journal_verify("main")
    assert found.entries == last.seq and not found.problem
