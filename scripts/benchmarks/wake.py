"""`scripts/bench wake`: what a suspended branch costs, and how soon it serves whoever needs it."""

import http.client
import time
from collections.abc import Callable

from homes import copied
from lab import Lab, cpu_s, lab, median, pss_mb
from ports import SERVER, SERVES, get
from report import Report, timed_ms

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.daemon import streams
from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import BranchState, ExecRequest

SAMPLES, MANY, STARTS = 20, 200, 3
RUNS_MS, MOST_MB, MOST_PERCENT = 300.0, 1.0, 0.2
WATCHED_S = 20.0
IDLE_S = 1  # that the many are to be idle for: nobody watches them, as they do not run


def measure(quick: bool) -> Report:
    """How soon who needs one is served, and what many of them take."""
    report, samples = Report("suspended branches"), 3 if quick else SAMPLES
    with lab("wake") as found:
        found.client.up("base", "main")
        found.start("main", "python3", "-c", SERVER)
        found.text("main", "sh", "-c", SERVES)
        port = found.client.publish("main", ("8000",)).ports[0].host_port
        asleep, failed = list[float](), list[Exception]()
        execs = [_woken(found, asleep, lambda: _begun(found)) for _ in range(samples)]
        visits = [_woken(found, asleep, lambda: _visited(port, failed)) for _ in range(samples)]
    report.add_samples("suspended", asleep, timed="asked to its commit sealed and its process ended")
    report.add_samples(
        "exec wakes it: running", [woken for woken, _ in execs], must=RUNS_MS, promise=3,
        timed="exec asked for to the branch's processes running on, distinct",
    )  # fmt: skip
    report.add_samples(
        "exec wakes it: its command runs",
        [served for _, served in execs],
        timed="exec asked for to the command started",
    )
    report.add_samples(
        "a request wakes it", [served for _, served in visits], timed="connect to the answer's last byte"
    )
    report.add(f"of {samples} requests reset or unanswered", len(failed), "", must=0, promise=3)
    _add_many(report, 1 if quick else STARTS, 2.0 if quick else WATCHED_S)
    return report


def _woken(found: Lab, asleep: list[float], need: Callable[[], object]) -> tuple[float, float]:
    """Suspend it and need it: ms until it runs, and until who needed it is served."""
    asleep.append(timed_ms(lambda: found.client.suspend("main")))
    asked = time.time()
    served_ms = timed_ms(need)
    [wake, *_] = (one for one in found.client.log() if one.verb == "wake")
    return ((wake.finished or 0.0) - asked) * 1000, served_ms


def _begun(found: Lab) -> None:
    """A command that runs; it is left to end by itself."""
    with streams.run(found.home, ExecRequest("main", ("true",), outlives=True)) as stream:
        next(message for message in stream if isinstance(message, streams.Started))


def _visited(port: int, failed: list[Exception]) -> None:
    try:
        if get(port) != b"main":
            raise OSError("somebody else answered")
    except (OSError, http.client.HTTPException) as error:
        failed.append(error)


def _add_many(report: Report, starts: int, watched_s: float) -> None:
    """A daemon with so many suspended branches, beside one with none."""
    none, many = ([_daemon(count, watched_s) for _ in range(starts)] for count in (0, MANY))
    memory, percent = (
        median([one[place] for one in many]) - median([one[place] for one in none]) for place in (0, 1)
    )
    timed = f"beside a daemon without any, nobody having listed them; median of {starts} starts each"
    report.add(f"memory of the daemon for {MANY} of them", memory, "MB", must=MOST_MB, promise=3, timed=timed)
    report.add(
        f"processor for {MANY} of them", percent, "% of a core", must=MOST_PERCENT, promise=3, timed=timed
    )


def _daemon(count: int, watched_s: float) -> tuple[float, float]:
    """What a daemon with so many suspended branches takes: MB, and percent of a core."""
    with copied("asleep") as home:
        _fill(home, count)
        ensure_daemon(home)
        pid = Client(home).status().pid
        time.sleep(1.0)
        before = cpu_s(pid)
        time.sleep(watched_s)
        return pss_mb(pid), 100 * (cpu_s(pid) - before) / watched_s


def _fill(home: Home, count: int) -> None:
    """Branches as they are once they were suspended, on the golden commit. Nothing is made ready for forks."""
    catalog = Catalog(home.catalog)
    try:
        image = catalog.images()[0]
        with catalog.transaction():
            for number in range(1, count + 1):
                catalog.put_branch(
                    BranchRow(
                        f"{number:016x}", f"s{number}", BranchState.SUSPENDED, "", image.id, image.golden, image.golden,
                        None, time.time(), number, idle_s=IDLE_S,
                    )
                )  # fmt: skip
            for key in ("pool.spares", "pool.machines"):
                catalog.set_setting(key, "0")
    finally:
        catalog.close()
