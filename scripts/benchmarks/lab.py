"""A home to measure in, and a guest program that changes pages at a known rate: all through the public client."""

import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from homes import copied, machines

from core.daemon import streams
from core.daemon.client import Client
from core.daemon.connection import DaemonConnection
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import Branch, ExecRequest, Forked
from core.store.reader import PageReader
from core.store.values import MEMORY

os.environ["VERTUI_MIRRORS"] = "none"  # what this host is configured for is no part of what is measured
SETTLE_S = 1.0  # what the engine does in the background after a verb: pools, spares, reaping
SPARE_DEADLINE_S = 10.0
MB = 1e6

WRITER = """
import mmap, os, sys, time
pages, rate, own = int(sys.argv[1]), float(sys.argv[2]), os.uname().nodename
room, at, written, began = mmap.mmap(-1, pages * 4096), 0, 0, time.monotonic()
told = os.open("/run/written", os.O_RDWR | os.O_CREAT)
while os.uname().nodename == own:
    due = min(int((time.monotonic() - began) * rate) - written, pages)
    mark = (written + 1).to_bytes(8, "little")
    for _ in range(due):
        room[at:at + 8] = mark
        at = (at + 4096) % (pages * 4096)
    written += due
    os.pwrite(told, b"%20d %20.6f %20d" % (written, time.monotonic() - began, os.getpid()), 0)
    time.sleep(0.05)
"""  # a child's hostname is another: in children the program ends

FILLER = """
import os, sys, time
own, size, kept = os.uname().nodename, int(sys.argv[1]), []
for number in range(size >> 20):
    kept.append(bytes([number % 251 + 1]) * (1 << 20))
open("/run/filled", "w").close()
while os.uname().nodename == own:
    time.sleep(1)
"""


@dataclass(frozen=True)
class Lab:
    """One home with its daemon."""

    home: Home
    client: Client

    # -- in guests -------------------------------------------------------------------------------------------

    def text(self, branch: str, *argv: str) -> str:
        """What a command prints in a branch's guest; it must succeed."""
        printed = bytearray()
        with streams.run(self.home, ExecRequest(branch, argv)) as stream:
            for message in stream:
                if isinstance(message, streams.Output):
                    printed += message.data
                elif isinstance(message, streams.Exit) and message.code:
                    raise SystemExit(f"{argv[0]} in {branch} ended with {message.code}: {printed.decode()}")
        return printed.decode().strip()

    def start(self, branch: str, *argv: str) -> int:
        """Start a command and leave it running; its id."""
        with streams.run(self.home, ExecRequest(branch, argv, outlives=True)) as stream:
            return next(message.id for message in stream if isinstance(message, streams.Started))

    def hostnames(self, branches: Sequence[str]) -> list[str]:
        """What `hostname` prints in each, asked side by side."""
        with ThreadPoolExecutor(len(branches)) as threads:
            return list(threads.map(lambda name: self.text(name, "hostname"), branches))

    def write_pages(self, branch: str, pages: int, a_second: float) -> None:
        """Let a program in the guest change these pages for ever, one after the other, so many a second."""
        self.start(branch, "python3", "-c", WRITER, str(pages), str(a_second))
        self.rate(branch, 1.0)

    def rate(self, branch: str, seconds: float = 2.0) -> float:
        """Pages a second the program really changes, by its own clock."""
        self.text(branch, "sh", "-c", "until [ -s /run/written ]; do sleep 0.1; done")
        told = f"cat /run/written; sleep {seconds}; echo; cat /run/written"
        before, after = (line.split() for line in self.text(branch, "sh", "-c", told).splitlines())
        return (int(after[0]) - int(before[0])) / max(float(after[1]) - float(before[1]), 1e-3)

    def stop_writing(self, branch: str) -> None:
        """End the program."""
        self.text(branch, "sh", "-c", "set -- $(cat /run/written); kill $3; rm /run/written")

    def fill(self, branch: str, size_bytes: int) -> None:
        """Let a program in the guest touch so much memory and keep it."""
        self.text(branch, "rm", "-f", "/run/filled")
        self.start(branch, "python3", "-c", FILLER, str(size_bytes))
        self.text(branch, "sh", "-c", "until [ -e /run/filled ]; do sleep 0.2; done")

    # -- branches --------------------------------------------------------------------------------------------

    @property
    def golden(self) -> str:
        """The golden commit of the image `base`."""
        return next(image.golden for image in self.client.tree().images if image.name == "base")

    def branch(self, name: str) -> Branch:
        """A branch as `ls` shows it."""
        return next(one for one in self.client.tree().branches if one.name == name)

    def fork(self, ref: str, n: int, prefix: str = "f", command: str | None = None) -> Forked:
        """Fork, and be sure that every child came up."""
        forked: Forked = self.client.fork(ref, n, prefix, command)
        failed = [f"{child.name}: {child.reason}" for child in forked.children if not child.ok]
        if failed:
            raise SystemExit(f"of {n} children {len(failed)} failed: {failed[0]}")
        return forked

    def prune(self, forked: Forked) -> None:
        """End a fork's children for good."""
        self.client.execute(self.client.plan_prune([child.name for child in forked.children], True))

    def changed_between(self, commit: str, later: str) -> int:
        """Pages of memory in which two commits differ."""
        reader = PageReader(self.home.root)
        try:
            return int((reader.table(commit, MEMORY) != reader.table(later, MEMORY)).sum())
        finally:
            reader.close()

    # -- processes -------------------------------------------------------------------------------------------

    def servers(self) -> list[int]:
        """Daemon, holder and everything else of the home that is no machine."""
        holder = self.client.status().holder_pid
        return [holder, *(child.pid for child in _children(holder) if not _is_machine(child))]

    def waiting(self) -> list[int]:
        """Machines of no branch: warm processes and spares."""
        branches = {branch.pid for branch in self.client.tree().branches}
        children = _children(self.client.status().holder_pid)
        return [child.pid for child in children if _is_machine(child) and child.pid not in branches]

    def await_spares(self) -> bool:
        """Let the background work after a verb be done; are there machines waiting?"""
        deadline = time.monotonic() + SPARE_DEADLINE_S
        seen = -1
        while time.monotonic() < deadline:
            now = len(self.waiting())
            if now == seen:
                break
            seen = now
            time.sleep(SETTLE_S)
        return seen > 0

    def told(self, path: str, name: str) -> list[Any]:
        """Every value of a field, at any depth of an answer of the API: for fields this client need not know."""
        connection = DaemonConnection(self.home)
        try:
            connection.request("GET", path)
            return list(_values(json.loads(connection.getresponse().read()), name))
        finally:
            connection.close()


@contextmanager
def lab(name: str, *images: str) -> Iterator[Lab]:
    """A lab with these images (`base` without any), ended and removed afterwards."""
    with copied(name, source=machines(*(images or ("base",)))) as home:
        ensure_daemon(home)
        yield Lab(home, Client(home))


def pss_mb(pid: int) -> float:
    """What a process takes, its share of shared pages counted."""
    return psutil.Process(pid).memory_full_info().pss / MB


def rss_mb(pid: int) -> float:
    """What a process has touched."""
    return psutil.Process(pid).memory_info().rss / MB


def cpu_s(pid: int) -> float:
    """Processor time a process has used."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def median(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children()


def _is_machine(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("qemu-system")
    except psutil.Error:
        return False


def _values(answer: Any, name: str) -> Iterator[Any]:
    if isinstance(answer, dict):
        if name in answer:
            yield answer[name]
        answer = list(answer.values())
    if isinstance(answer, list):
        for part in answer:
            yield from _values(part, name)
