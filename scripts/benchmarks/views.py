"""`scripts/bench views`: forks of a cold commit, and what machines wait when the server of their pages is killed."""

import os
import signal
import statistics
import threading
import time
from pathlib import Path

from commits import forget
from lab import MB, Lab, lab
from report import Report

from core.daemon.start import end_all, ensure_daemon
from core.holder.held import HolderLine
from core.model import PAGE_BYTES
from core.store.views.keeper import KEY
from tests.stored import memory_bytes, read_bytes, settled

COLD, KILLS, MACHINES = 30, 20, 8
HASHING = "while :; do find /usr -xdev -type f | xargs sha256sum > /dev/null 2>&1; done"
KILL_EVERY_S = 1.0


def measure(quick: bool) -> Report:
    """Cold forks, and the slowest answers after the server was killed."""
    report = Report("pages of stored commits")
    with lab("views") as found:
        for key in ("pool.machines", "pool.spares"):
            found.client.change_setting(key, "0")
        _add_cold(report, found, 3 if quick else COLD)
        _add_killed(report, found, 4 if quick else KILLS)
    return report


def _add_cold(report: Report, found: Lab, count: int) -> None:
    """Holder, daemon and all machines ended, and the page cache without the home's files, before each."""
    found.client.up("base", "main")
    found.text("main", "sh", "-c", "head -c 4096000 /dev/urandom > /dev/shm/thousand-pages")
    commit = found.client.commit("main").commit.id
    found.client.suspend_all(now=True)
    stored = memory_bytes(found.home, commit)
    rows = [_cold(found, commit) for _ in range(count)]
    runs, execs, read = zip(*rows, strict=True)
    what = "after a restart, page cache dropped, nothing made ready"
    report.add_samples("cold fork: running", runs, must=100, aim=50, promise=3,
                       timed=f"request received to `cont` returned; {what}")  # fmt: skip
    report.add_samples("cold fork: first exec", execs, must=600, promise=3,
                       timed="the answer of the fork to the output of `hostname`")  # fmt: skip
    report.add("cold fork: read", 100 * statistics.median(read) / stored, "%", must=15, promise=3,
               timed="rchar of /proc/PID/io of the view server and of the daemon, whatever they read, "
                     f"of {stored / MB:.1f} MB that the commit's memory takes")  # fmt: skip


def _cold(found: Lab, commit: str) -> tuple[float, float, int]:
    """`cont` and first exec in ms, and the bytes that were read."""
    end_all(found.home)
    ensure_daemon(found.home)
    forget(found.home.root)
    before = settled(found.home)
    forked = found.fork(commit, 1, "g")
    began = time.perf_counter()
    found.text("g", "hostname")
    took_ms = (time.perf_counter() - began) * 1000
    read = read_bytes(found.home) - before
    found.prune(forked)
    return forked.children[0].run_ms, took_ms, read


def _server(found: Lab) -> int:
    held = HolderLine(found.home)
    try:
        return held.holdings().children[KEY]
    finally:
        held.close()


def _add_killed(report: Report, found: Lab, kills: int) -> None:
    """A reader asks for a page that is not in the page cache all the time, beside machines that do."""
    forked = found.fork(found.golden, MACHINES, "busy", HASHING)
    waits: list[float] = []
    stopped = threading.Event()
    reader = threading.Thread(target=_ask, args=(found, stopped, waits))
    reader.start()
    slowest = []
    try:
        for _ in range(kills):
            waits.clear()
            os.kill(_server(found), signal.SIGKILL)
            time.sleep(KILL_EVERY_S)
            while not waits:
                time.sleep(0.01)
            slowest.append(max(waits))
    finally:
        stopped.set()
        reader.join()
    alive = found.hostnames([child.name for child in forked.children])
    report.add_samples(f"server killed under {MACHINES} faulting machines: slowest answer", slowest, promise=12,
                       timed="asked for a page that is not cached to its answer, less waits for a core")  # fmt: skip
    report.add("of which the slowest", max(slowest), "ms", must=1000, promise=12)
    report.add("machines that answer afterwards", len(alive), "", must=MACHINES, at_least=True, promise=12)
    found.prune(forked)


def _ask(found: Lab, stopped: threading.Event, waits: list[float]) -> None:
    """Reads of one page after the other, each dropped from the page cache before: how long each took, in ms.

    That this thread waits for a core beside the machines, once it has the answer, is not counted.
    """
    views = Path(f"/proc/{found.client.status().pid}/root{found.home.root}/views")
    descriptor = os.open(views / found.golden / "memory", os.O_RDONLY)
    try:
        pages = os.fstat(descriptor).st_size // PAGE_BYTES
        page = 0
        while not stopped.is_set():
            page = (page + 4099) % pages
            os.posix_fadvise(descriptor, page * PAGE_BYTES, PAGE_BYTES, os.POSIX_FADV_DONTNEED)
            began = time.perf_counter() - _queued_s()
            os.pread(descriptor, PAGE_BYTES, page * PAGE_BYTES)
            waits.append((time.perf_counter() - _queued_s() - began) * 1000)
            time.sleep(0.01)
    finally:
        os.close(descriptor)


def _queued_s() -> float:
    """How long this thread has waited for a core so far (proc(5), schedstat)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
