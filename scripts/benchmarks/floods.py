"""`scripts/bench floods`: what a guest that sends and connects without end costs another branch."""

import fcntl
import os
import statistics
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from lab import Lab, lab
from report import SAMPLES, Report, timed_ms

from core import linux
from core.network.addresses import GATEWAY, GATEWAY_MAC
from tests.network.frames import FORGED, VNET_HEADER, from_port, udp_frame

PIDFD_GETFD, TUNGETVNETHDRSZ = 438, 0x8004_54D7  # a call's number; linux/if_tun.h
FRAMES_A_SECOND, CONNECTIONS = 100_000, 50_000
STEP_S = 0.005  # frames are sent so often, as many as are due
MOST = 2.0  # times what exec takes beside a guest that does nothing
SETTLED_S = 1.0


def measure(quick: bool) -> Report:
    """Code in the place of one branch's QEMU sends by its tap; commands run in another branch meanwhile."""
    report = Report("exec in a branch beside one that floods")
    honest = udp_frame(b"flood", to=GATEWAY, router=GATEWAY_MAC)
    flood = [honest, *FORGED.values()]
    opened = [
        from_port(udp_frame(b"", to="192.0.2.1", router=GATEWAY_MAC), 1000 + n) for n in range(CONNECTIONS)
    ]
    with lab("floods") as found:
        found.client.up("base", "main")
        sibling = found.fork("main", 1).children[0].name
        count = 5 if quick else SAMPLES
        before = _execs(report, found, sibling, "nothing", count)
        for what, frames in (
            ("100,000 frames/s, most of them forged", flood),
            ("50,000 connections", opened),
        ):
            with _sent(_tap(found.branch("main").pid or 0), frames) as told:
                during = _execs(report, found, sibling, what, count)
            report.add(f"sent meanwhile: {what}", told[0], "frames/s", timed="the sender's own count")
            over = statistics.median(during) / statistics.median(before)
            report.add(f"exec beside {what}, of one beside nothing", over, "x", must=MOST)
    return report


def _execs(report: Report, found: Lab, branch: str, beside: str, count: int) -> list[float]:
    time.sleep(SETTLED_S)
    samples = [timed_ms(lambda: found.text(branch, "true")) for _ in range(count)]
    report.add_samples(f"exec of `true` beside {beside}", samples, timed="connection made to exit code read")
    return samples


def _tap(pid: int) -> int:
    """A copy of the descriptor of a machine's tap."""
    number = next(
        each.name for each in Path(f"/proc/{pid}/fd").iterdir() if str(each.readlink()) == "/dev/net/tun"
    )
    process = os.pidfd_open(pid)
    try:
        return linux.checked(
            linux.libc.syscall(PIDFD_GETFD, process, int(number), 0), "copying a tap's descriptor"
        )
    finally:
        os.close(process)


@contextmanager
def _sent(tap: int, frames: Sequence[bytes]) -> Iterator[list[float]]:
    """Send these again and again, FRAMES_A_SECOND or as many as the processor allows, from a process of their own; in
    the end, how many a second it was.
    """
    told: list[float] = []
    reading, writing = os.pipe()
    ended, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        os.set_blocking(ended, False)
        os.write(writing, f"{_send(tap, frames, ended)}".encode())
        os._exit(0)
    os.close(writing)
    os.close(ended)
    try:
        yield told
    finally:
        os.close(end)
        with os.fdopen(reading) as said:
            told.append(float(said.read()))
        os.waitpid(pid, 0)
        os.close(tap)


def _send(tap: int, frames: Sequence[bytes], ended: int) -> float:
    (header,) = struct.unpack("=i", fcntl.ioctl(tap, TUNGETVNETHDRSZ, bytes(4)))  # as QEMU set it
    source = cycle([bytes(header) + frame[len(VNET_HEADER) :] for frame in frames])
    began, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * FRAMES_A_SECOND) - sent
        for _ in range(min(due, FRAMES_A_SECOND // 20)):
            os.write(tap, next(source))
            sent += 1
        try:
            if os.read(ended, 1) == b"":
                return sent / (time.monotonic() - began)
        except BlockingIOError:
            time.sleep(STEP_S)
