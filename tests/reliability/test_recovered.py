"""A session whose daemon and machine are killed at random: recovered and gone on with, it comes to the same."""

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field

import pytest

from core.daemon import streams
from core.daemon.client import Client
from core.daemon.input import Input
from core.daemon.start import ensure_daemon
from core.errors import VertuiError
from core.home import Home
from core.journal.recovered import Recovered, StepEnd
from core.model import Branch, BranchState, ExecRequest
from tests.conftest import full
from tests.guests import Guest, collect, eventually

STEPS, ROUNDS = (30, 20) if full() else (7, 1)
EVERY_S = 0.6  # between commits that are made by themselves, many of them in the middle of a step
LONGEST_S = 3.0 if full() else 1.2  # from the beginning of a session to the kill
SYNCED_S = 1.0  # before that: a file is written and synced, of which no journal tells
ENDED_S = 60.0  # within which a session notices that all is gone
WORK = (
    "mkdir -p /root/w; echo $N $WHO >> log; sleep 0.1; echo done $N >> log",
    "cat >> /root/w/input; wc -c < /root/w/input",
    "id -un >> /var/tmp/who; sleep 0.05",
    'python3 -c \'import hashlib; s = open("/root/log").read(); open("/root/w/sums", "a")'
    ".write(hashlib.sha256(s.encode()).hexdigest() + chr(10))'",
    "date +%s%N",
    "cp -r /root/w /root/copy$N; exit 7",
)
CLOCK = 4  # of these, the one whose output is another each time
SUM = (
    "cd /; { find root var/tmp -type f -print0 | sort -z | xargs -0 sha256sum;"
    " find root var/tmp -printf '%p %m %u\\n' | sort; } | sha256sum"
)


@dataclass
class Session:
    """Steps in a branch; `heard` are those of whose ends it was told, `noted` what it said into the journal, `synced`
    what a file has that was written before them.
    """

    client: Client
    branch: str
    synced: str = ""
    heard: list[int] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def run(self, first: int) -> None:
        """The steps from this one on; VertuiError when something is killed."""
        for number in range(first, STEPS):
            kind = number % len(WORK)
            request = ExecRequest(
                self.branch, ("sh", "-c", WORK[kind], "step", str(number)),
                {"N": str(number), "WHO": "an agent"}, "/root" if kind != 2 else "/",
                "nobody" if kind == 2 else None, stdin=kind == 1, lossless=True,
            )  # fmt: skip
            stdin = Input()
            stdin.write(b"line %d\n" % number)
            stdin.eof()
            with streams.run(self.client.home, request, stdin if kind == 1 else None) as stream:
                collect(stream)
            self.heard.append(number)
            if number % 5 == 0:
                self.client.journal_append(self.branch, f"step {number} is done")
                self.noted.append(f"step {number} is done")

    def sync(self, text: str) -> None:
        """Write the file, by a command that no journal has and so no replay runs."""
        line = f"echo {text} > /opt/synced; sync"
        request = ExecRequest(self.branch, ("sh", "-c", line), inner=True)
        with streams.run(self.client.home, request) as stream:
            assert collect(stream).code == 0
        self.synced = text

    def is_got_back(self) -> bool:
        """Is the file in what the dead machine's disk held? Where that is the head's, nothing was written after it."""
        ref = f"{self.branch}@crash" if self.shown.crash else self.branch
        return self.synced.encode() in b"".join(self.client.files(ref, "/opt/synced"))

    @property
    def shown(self) -> Branch:
        """Its branch."""
        return next(one for one in self.client.tree().branches if one.name == self.branch)

    def told(self) -> list[int]:
        """The steps that the branch's machine has, by its journal."""
        found = [e.exec for e in self.client.journal(self.branch) if e.exec and not e.tried]
        return [int(ran.argv[-1]) for ran in found if "step" in ran.argv]


def killed(home: Home, session: Session, after_s: float) -> None:
    """Run it from its beginning, and kill daemon and machine some time after."""

    def run() -> None:
        try:
            session.run(0)
        except VertuiError:
            return

    machine, daemon = session.shown.pid, session.client.status().pid
    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    time.sleep(after_s)
    os.kill(daemon, signal.SIGKILL)
    if machine:
        os.kill(machine, signal.SIGKILL)
    worker.join(ENDED_S)
    assert not worker.is_alive(), "it was not told that all is gone"
    ensure_daemon(home)


def check(done: Recovered, session: Session) -> None:
    """Nothing acknowledged is lost, every step is there once, and what diverged is named."""
    assert done.stopped is None, done.stopped
    steps = session.told()
    assert steps == list(range(len(steps))) and len(steps) >= len(session.heard)
    said = {entry.body for entry in session.client.journal(session.branch)}
    assert said >= {*session.noted}
    for step in done.steps:
        of_clock = int(step.argv[-1]) % len(WORK) == CLOCK
        assert (step.end is StepEnd.DIVERGED) == of_clock, step
        assert not of_clock or "the clock" in step.why


@pytest.mark.usefixtures("nothing_waits")
def test_a_session_killed_at_random_instants_comes_to_the_same(main: Guest, home: Home) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice, client = random.Random(seed), main.client
    base = client.tree().branches[0].head
    client.fork(base, 1, "plain")
    Session(client, "plain").run(0)
    wanted = main.other("plain").text(SUM)
    for number in range(ROUNDS):
        session = Session(client, f"r{number}")
        client.fork(base, 1, session.branch)
        if not full() or dice.random() < 0.7:
            client.policy(session.branch, every=EVERY_S)
        session.sync(f"synced-{seed}-{number}")
        time.sleep(SYNCED_S)
        killed(home, session, dice.uniform(0.1, LONGEST_S))
        assert eventually(lambda session=session: session.shown.state is BranchState.LOST)  # type: ignore[misc]
        assert session.is_got_back()
        dry = client.recover(session.branch, replay=True, dry_run=True)
        assert session.shown.state is BranchState.LOST, "nothing was changed"
        done = client.recover(session.branch, replay=True)
        assert [step.seq for step in dry.steps] == [step.seq for step in done.steps]
        check(done, session)
        session.run(len(session.told()))
        assert main.other(session.branch).text(SUM) == wanted, f"seed {seed}, round {number}"
        client.execute(client.plan_prune([session.branch]))
