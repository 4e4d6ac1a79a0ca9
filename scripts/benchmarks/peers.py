"""`scripts/bench peers`: what people use today, on the same kernel, disk, machine options, host, in the same run."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import containers
from fork import CHURN_A_SECOND, CHURN_PAGES, timed_fork
from homes import base_image, copied, machines
from lab import WRITER, Lab, median
from plain_qemu import Bench, Qemu, run
from report import SAMPLES, Report, timed_ms

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.errors import VertuiError
from core.home import Home

N, QUICK_N = 8, 3
CYCLE = 3  # saves and restores a boot
ATTEMPTS = (
    4  # at booting N: under load a guest sometimes panics as it boots, and the engine, too, would try again
)
MIGRATE_MUST, BOOT_MUST = 10.0, 20.0  # times faster


@dataclass(frozen=True)
class Counts:
    """Machines side by side; samples of what takes one machine a second, of what takes n of them ten, and of ours."""

    n: int = N
    alone: int = 10
    together: int = 12  # of -incoming: they differ by a factor of two
    boots: int = 3
    ours: int = SAMPLES


def measure(quick: bool) -> Report:
    """Ours and every other way that runs here; one that does not is named with its error."""
    report = Report("peers: the same guest by other means")
    counts = Counts(QUICK_N, 2, 1, 1, 3) if quick else Counts()
    image = base_image()
    with copied("peers", source=machines("base")) as home:
        running, answering = _ours(home, counts)
        end_all(home)
        with tempfile.TemporaryDirectory(prefix="vertui-peers-") as work:
            theirs = asyncio.run(_qemu(report, Bench(home, image, Path(work)), counts))
    _add_ratios(report, counts.n, (running, answering), theirs)
    _add_copy(report, image.spec.memory_bytes, counts.alone)
    containers.add(report, counts.alone)
    return report


def _ours(home: Home, counts: Counts) -> tuple[list[float], list[float]]:
    """Live forks into N of a branch with the same program in it, as `scripts/bench fork` makes them: all running, all
    answering.
    """
    ensure_daemon(home)
    found = Lab(home, Client(home))
    found.client.up("base", "main")
    found.write_pages("main", CHURN_PAGES, CHURN_A_SECOND)
    running, answering = [], []
    for _ in range(counts.ours):
        run_ms, fork_ms, *_ = timed_fork(found, counts.n)
        running.append(run_ms)
        answering.append(fork_ms)
    return running, answering


Theirs = dict[str, list[float]]


async def _qemu(report: Report, bench: Bench, counts: Counts) -> Theirs:
    """One machine's cycle several times, then N side by side."""
    times: Theirs = {}
    try:
        for _ in range(max(counts.alone // CYCLE, 1)):
            await _cycle(bench, times)
        for _ in range(counts.together):
            await _restored(bench, times, counts.n)
        died = [await _booted_together(bench, times, counts.n) for _ in range(counts.boots)]
    finally:
        await bench.end()
    if any(died):
        report.notes.append(
            f"QEMU boot of {counts.n}: {sum(died)} times a guest died booting beside the others; done again"
        )
    _add_qemu(report, times, counts.n)
    return times


async def _cycle(bench: Bench, times: Theirs) -> None:
    """Boot, snapshots, all memory into a file, and machines out of it one after the other."""
    machine = await _booted(bench, times)
    for _ in range(CYCLE):
        await _snapshot(machine, times)
    await _saved(bench, machine, times)
    for _ in range(CYCLE):
        await _restored(bench, times, 1)


async def _booted_together(bench: Bench, times: Theirs, n: int) -> int:
    """N boots side by side; how often that had to be tried again."""
    for attempt in range(ATTEMPTS):
        began = time.perf_counter()
        try:
            await asyncio.gather(*(_booting(bench, f"boot{number}") for number in range(n)))
            times.setdefault(f"boot of {n}", []).append(_since(began))
            return attempt
        except VertuiError:
            continue
        finally:
            await bench.end()
    raise SystemExit(f"{n} machines do not boot side by side here")


def _add_qemu(report: Report, times: Theirs, n: int) -> None:
    told = {
        "boot of 1": "process started to the agent's answer",
        "savevm": "the command's own time; the guest stands still for all of it",
        "loadvm": "the command's own time",
        "migrate to a file": "`stop` to completed; the guest stands still for all of it",
        "-incoming of 1": "disk overlay made, process started, to `cont` returned",
        "-incoming of 1: answering": "the same to the agent's answer",
        f"-incoming of {n}": "disk overlays made, processes started, side by side, to the last `cont` returned",
        f"-incoming of {n}: answering": "the same to the last agent's answer",
        f"boot of {n}": "processes started side by side to the last agent's answer",
    }
    for name, timed in told.items():
        report.add_samples(f"QEMU {name}", times.get(name, []), timed=timed)


async def _booting(bench: Bench, name: str) -> Qemu:
    machine = await bench.start(bench.disk(name), boot=True)
    await machine.answered()
    return machine


async def _booted(bench: Bench, times: Theirs) -> Qemu:
    """A machine doing what our parent does."""
    began = time.perf_counter()
    machine = await _booting(bench, "parent")
    times.setdefault("boot of 1", []).append(_since(began))
    assert machine.agent
    program = ["python3", "-c", WRITER, str(CHURN_PAGES), str(CHURN_A_SECOND)]
    await (await machine.agent.exec(program)).detach()
    await asyncio.sleep(3)
    return machine


async def _snapshot(machine: Qemu, times: Theirs) -> None:
    for name in ("savevm", "loadvm"):
        began = time.perf_counter()
        await machine.human(f"{name} one")
        times.setdefault(name, []).append(_since(began))


async def _saved(bench: Bench, machine: Qemu, times: Theirs) -> None:
    """All memory into a file; the machine then ends, and its disk is what the restored ones start from."""
    began = time.perf_counter()
    await machine.save(bench.work / "saved")
    times.setdefault("migrate to a file", []).append(_since(began))
    await bench.end()


async def _restored(bench: Bench, times: Theirs, n: int) -> None:
    """N machines out of the file, each with a disk of its own over the saved one, which was written until then."""
    below = bench.work / "parent.qcow2"
    began = time.perf_counter()
    made = (asyncio.to_thread(bench.disk, f"child{number}", below, "qcow2") for number in range(n))
    disks = await asyncio.gather(*made)
    children = await asyncio.gather(*(bench.start(disk, boot=False) for disk in disks))
    try:
        await asyncio.gather(*(child.load(bench.work / "saved") for child in children))
        await asyncio.gather(*(child.monitor.execute("cont") for child in children))
        times.setdefault(f"-incoming of {n}", []).append(_since(began))
        await asyncio.gather(*(child.greet() for child in children))
        times.setdefault(f"-incoming of {n}: answering", []).append(_since(began))
    finally:
        await bench.end()


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _add_ratios(report: Report, n: int, ours: tuple[list[float], list[float]], theirs: Theirs) -> None:
    running, answering = map(median, ours)
    report.add_samples(
        f"ours: live fork N={n}, all running",
        ours[0],
        timed="request received to `cont` returned of the last",
    )
    report.add_samples(
        f"ours: live fork N={n}, all answering",
        ours[1],
        timed="request received to identity confirmed of the last",
    )
    saved = median(theirs["migrate to a file"])
    migrated, migrated_answering = (
        saved + median(theirs[f"-incoming of {n}{end}"]) for end in ("", ": answering")
    )
    booted = median(theirs[f"boot of {n}"])
    add = report.add
    add(
        f"N={n}: one migrate and {n} -incoming, over ours", migrated / running, "times", must=MIGRATE_MUST,
        at_least=True, promise=5, timed="to `cont` returned of the last, both",
    )  # fmt: skip
    add(
        f"N={n}: the same to answering, over ours",
        migrated_answering / answering,
        "times",
        timed="answering, both",
    )
    add(
        f"N={n}: boots, over ours", booted / running, "times", must=BOOT_MUST, at_least=True, promise=5,
        timed="boots to the agent's answer, ours to `cont` returned",
    )  # fmt: skip
    add(f"N={n}: boots, over ours answering", booted / answering, "times", timed="answering, both")


def _add_copy(report: Report, size: int, count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="vertui-peers-") as path:
        work = Path(path)
        (work / "ram").write_bytes(b"vertui.." * (size // 8))
        copies = [
            timed_ms(lambda: run("cp", "--reflink=never", str(work / "ram"), str(work / "copy")))
            for _ in range(count)
        ]
    report.add_samples(
        f"a copy of a full RAM image ({size >> 20} MiB)",
        copies,
        timed="`cp`, page cache warm, nothing synced",
    )
