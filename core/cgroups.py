"""Control groups of this host, so far as they weigh processes against each other (Linux, admin-guide/cgroup-v2).

BASE          the nearest group around ours that is ours to divide, and has a processor controller
  HOME        one for a home
    NAME      one for each process that is weighed: cpu.weight, and io.weight where the host has it
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

USUAL_WEIGHT, LEAST_WEIGHT, MOST_WEIGHT = 100, 1, 10_000  # the kernel's own
HOW = "start the daemon by `systemd-run --user --scope vertui daemon start`"
BOOT = "boot it with systemd.unified_cgroup_hierarchy=1"
KIND = "cgroup2"


class Cgroups:
    """Those of one home, which is told apart by a `name`. `proc` is where this process is told of itself."""

    def __init__(self, name: str, proc: Path = Path("/proc/self")) -> None:
        self._name, self._proc = name, proc

    def lacks(self) -> str:
        """What this host lacks, and what helps, in a line; empty where processes can be weighed."""
        mounted = self._mounted()
        if mounted is None:
            return f"weights need cgroup v2, which this host does not have: {BOOT}"
        if "cpu" not in _words(mounted / "cgroup.controllers"):
            return f"weights need the processor controller of cgroup v2, and this host has it in v1: {BOOT}"
        return (
            "" if self._base() else f"weights need a cgroup that is yours to divide, and you have none: {HOW}"
        )

    def weigh(self, name: str, pid: int, weight: int) -> None:
        """Have a process weigh so much against the others. OSError, also when it has ended."""
        base = self._base()
        if base is None:
            raise OSError(self.lacks())
        group = base / self._name / name
        group.mkdir(parents=True, exist_ok=True)
        _divide(group.parent)
        (group / "cpu.weight").write_text(f"{weight}\n")
        with suppress(OSError):  # it may have no such controller
            (group / "io.weight").write_text(f"default {weight}\n")
        (group / "cgroup.procs").write_text(f"{pid}\n")

    def tidy(self, keep: Collection[str] = ()) -> None:
        """Remove the groups that nobody is in any more, but for those to keep."""
        base = self._base()
        if base is None:
            return
        home = base / self._name
        with suppress(OSError):  # there is none, or somebody is in it
            for group in home.iterdir():
                if group.is_dir() and group.name not in keep:
                    with suppress(OSError):
                        group.rmdir()
            home.rmdir()

    def _mounted(self) -> Path | None:
        lines = map(str.split, _text(self._proc / "mounts").split("\n"))
        return next((Path(fields[1]) for fields in lines if len(fields) > 2 and fields[2] == KIND), None)

    def _base(self) -> Path | None:
        mounted = self._mounted()
        own = next(
            (line[3:] for line in _text(self._proc / "cgroup").split("\n") if line.startswith("0::")), None
        )
        if mounted is None or own is None:
            return None
        parts = [part for part in own.split("/") if part not in ("", "..")]
        around = [mounted.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
        return next((group for group in around if _is_ours(group)), None)


def _is_ours(group: Path) -> bool:
    """May groups be made in it, and processes be weighed there?"""
    if not os.access(group, os.W_OK | os.X_OK) or not os.access(group / "cgroup.procs", os.W_OK):
        return False
    return "cpu" in _words(group / "cgroup.controllers") and _divide(group)


def _divide(group: Path) -> bool:
    """Let groups in this one have weights. A group that processes are in is not to be divided."""
    control = group / "cgroup.subtree_control"
    for controller in ("cpu", "io"):
        if controller not in _words(control):
            with suppress(OSError):
                control.write_text(f"+{controller}\n")
    return "cpu" in _words(control)


def _words(path: Path) -> list[str]:
    return _text(path).replace("+", " ").split()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
