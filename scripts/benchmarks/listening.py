"""`scripts/bench listening`: what an update of a long history costs, and what nothing at all does."""

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from homes import copied
from lab import Lab, cpu_s, lab
from msgspec.structs import replace
from report import Report
from verbs import SCREEN, command

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.daemon.client import Client
from core.daemon.mirror import Mirror
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import BranchState

COMMITS, BRANCHES, UPDATES = 10_000, 200, 50
UPDATE_MUST_MS = 20.0
MACHINES, SETTLED_S, WATCHED_S = 3, 15.0, 60.0
IDLE_MUST_PERCENT = 1.0


def measure(quick: bool) -> Report:
    """Updates in a catalog of many commits; then the daemon and a UI that have nothing to do."""
    report = Report(f"listening to {COMMITS:,} commits and {BRANCHES} branches")
    with copied("listening") as home:
        _fill(home, *((500, 20) if quick else (COMMITS, BRANCHES)))
        ensure_daemon(home)
        _add_updates(report, Lab(home, Client(home)), 5 if quick else UPDATES)
    with lab("listening") as found:
        found.client.up("base", "main")
        found.fork("main", MACHINES - 1)
        with _looking(found.home) as ui:
            time.sleep(2.0 if quick else SETTLED_S)
            watched = 5.0 if quick else WATCHED_S
            pids = (ui, *found.servers())
            before = [cpu_s(pid) for pid in pids]
            time.sleep(watched)
            used = sum(cpu_s(pid) - was for pid, was in zip(pids, before, strict=True))
        report.add(
            f"UI, daemon, holder, view server beside {MACHINES} idle machines", used / watched * 100, "%",
            must=IDLE_MUST_PERCENT, timed=f"their user and system time over {watched:.0f} s, of one core",
        )  # fmt: skip
    return report


def _fill(home: Home, commits: int, branches: int) -> None:
    """Put commits into the catalog: lines of one length, and a stopped branch at the end of each."""
    catalog = Catalog(home.catalog)
    [image] = catalog.images()
    golden = catalog.commit(image.golden)
    with catalog.transaction():
        for line in range(branches):
            parent, name = golden.id, f"line{line}"
            for step in range(commits // branches):
                commit = f"{line * commits + step + 1:064x}"
                made = golden.created + step * branches + line
                catalog.put_commit(
                    replace(
                        golden,
                        id=commit,
                        parents=(parent,),
                        branch=name,
                        message=f"step {step}",
                        created=made,
                    )
                )
                parent = commit
            state, ended = BranchState.STOPPED, "measured"
            row = (f"{line:012x}", name, state, ended, image.id, parent, golden.id, None, made)
            catalog.put_branch(BranchRow(*row, catalog.free_number()))
    catalog.close()


def _add_updates(report: Report, found: Lab, count: int) -> None:
    """Tag commits one after the other, and follow each."""
    mirror, events = Mirror(found.client.tree), found.client.events()
    reached, tagged = threading.Semaphore(0), [commit.id for commit in mirror.tree.commits[-count:]]
    used = 0.0

    def listen() -> None:
        nonlocal used
        for event in events:
            before = time.thread_time()
            mirror.take(event)
            used += time.thread_time() - before
            if event.changed:
                reached.release()

    follower = threading.Thread(target=listen, daemon=True)
    follower.start()
    daemon = found.client.status().pid
    before = cpu_s(daemon)
    for number, commit in enumerate(tagged):
        found.client.tag(commit, f"seen{number}")
        if not reached.acquire(timeout=10):
            raise SystemExit("the daemon did not tell of a change")
    spent = cpu_s(daemon) - before
    events.close()
    report.add(
        "an update, told to one listener", (spent + used) / count * 1000, "ms", must=UPDATE_MUST_MS,
        timed="processor time of the daemon, the request for the change included, and of the listener's tree",
    )  # fmt: skip
    if mirror.tree != found.client.tree():
        raise SystemExit("the listener's tree is not the daemon's")


@contextmanager
def _looking(home: Home) -> Iterator[int]:
    """A UI on a terminal; its process."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *SCREEN, 0, 0))
        os.environ.update(VERTUI_HOME=str(home.root), TERM="xterm-256color", COLORTERM="truecolor")
        os.execvp(command(), ["vertui"])
    drawn = threading.Thread(target=_drain, args=(terminal,), daemon=True)
    drawn.start()
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        return  # its end of the terminal is closed
