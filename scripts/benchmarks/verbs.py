"""`scripts/bench verbs`: what else one waits for: exec, promote, prune, `vertui ls`, the UI's first frame."""

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from lab import Lab, lab
from report import SAMPLES, Report, timed_ms

from core.home import Home

FRAMES = 10
ALTERNATE_SCREEN = b"\x1b[?1049h"
PANEL, TRUNK = "╭".encode(), "★".encode()
SCREEN = 36, 120
FRAME_DEADLINE_S = 30.0
LS_MUST_MS, OFFER_MUST_MS, FRAME_MUST_MS = 250.0, 200.0, 500.0


def measure(quick: bool) -> Report:
    """Round trips on an idle host; the command line and the UI as processes of their own."""
    report = Report("verbs, and what is seen of them")
    count = 3 if quick else SAMPLES
    with lab("verbs") as found:
        found.client.up("base", "main")
        found.text("main", "true")
        execs = [timed_ms(lambda: found.text("main", "true")) for _ in range(count)]
        report.add_samples("exec of `true`", execs, timed="connection made to exit code read")
        _add_promote(report, found, count)
        _add_prune(report, found, count)
        listed = [timed_ms(lambda: _listed(found.home)) for _ in range(count)]
        report.add_samples("`vertui ls`", listed, must=LS_MUST_MS, timed="process started to ended")
        offered = [timed_ms(lambda: _offered(found.home)) for _ in range(count)]
        report.add_samples(
            "shell completion of a branch", offered, must=OFFER_MUST_MS, timed="process started to ended"
        )
        frames = [_first_frame(found.home) for _ in range(2 if quick else FRAMES)]
        report.add_samples(
            "UI's first frame", [first for first, _ in frames], must=FRAME_MUST_MS,
            timed="process started to the first panel on the screen, 120 × 36",
        )  # fmt: skip
        report.add_samples(
            "UI shows the tree", [tree for _, tree in frames], timed="process started to the trunk shown"
        )
    return report


def _add_promote(report: Report, found: Lab, count: int) -> None:
    forked = found.fork("main", 1)
    names = [forked.children[0].name, "main"]
    times = [timed_ms(partial(_promote, found, name)) for name in islice(cycle(names), count)]
    if names[(count - 1) % 2] != "main":
        _promote(found, "main")
    found.prune(forked)
    report.add_samples("promote", times, timed="plan asked for to plan carried out")


def _promote(found: Lab, name: str) -> None:
    found.client.execute(found.client.plan_promote(name))


def _add_prune(report: Report, found: Lab, count: int) -> None:
    times = []
    for _ in range(count):
        forked = found.fork("main", 1)
        times.append(timed_ms(partial(found.prune, forked)))
    report.add_samples(
        "prune of a running branch, for good", times, timed="plan asked for to plan carried out"
    )


def command() -> str:
    """The `vertui` of this environment."""
    beside = Path(sys.executable).with_name("vertui")
    return str(beside) if beside.exists() else shutil.which("vertui") or "vertui"


def _listed(home: Home) -> None:
    _run(home, "ls")


def _offered(home: Home) -> None:
    _run(home, "--complete", "bash", "vertui fork ma")


def _run(home: Home, *words: str) -> None:
    """Run the command, which is to name the trunk."""
    environment = os.environ | {"VERTUI_HOME": str(home.root)}
    done = subprocess.run([command(), *words], env=environment, capture_output=True, text=True)
    if done.returncode or "main" not in done.stdout:
        raise SystemExit(f"vertui {words[0]}: {done.stderr.strip() or done.stdout.strip()}")


def _first_frame(home: Home) -> tuple[float, float]:
    """The first panel and the first sight of the trunk, in ms, on a terminal."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *SCREEN, 0, 0))
        os.environ.update(VERTUI_HOME=str(home.root), TERM="xterm-256color", COLORTERM="truecolor")
        os.execvp(command(), ["vertui"])
    try:
        return _seen(terminal, began)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def _seen(terminal: int, began: float) -> tuple[float, float]:
    """When the alternate screen has a panel, and when the trunk is in it."""
    shown, deadline, times = b"", time.monotonic() + FRAME_DEADLINE_S, []
    for mark in (PANEL, TRUNK):
        while mark not in shown.partition(ALTERNATE_SCREEN)[2]:
            if not select.select([terminal], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise SystemExit(f"the UI does not show {mark.decode()}")
            shown += os.read(terminal, 65536)
        times.append((time.perf_counter() - began) * 1000)
    return times[0], times[1]
