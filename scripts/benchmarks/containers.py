"""gVisor and CRIU: processes saved and restored without a machine around them, holding as much memory as our writer."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from plain_qemu import run
from report import Report, timed_ms

HELD_BYTES = 10 << 20  # what fork's parent changes
PROGRAM = f"import os, time\nroom = bytearray(os.urandom({HELD_BYTES}))\nwhile True: time.sleep(0.1)"
START_S = 1.0  # for Python to have filled its memory
HELD = f"one Python process with {HELD_BYTES >> 20} MiB"
LAST_WORDS = 200


def add(report: Report, count: int) -> None:
    """Both, or why not."""
    for name, measure in (("gVisor", _gvisor), ("CRIU", _criu)):
        try:
            measure(report, count)
        except (SystemExit, OSError) as error:
            report.notes.append(f"{name}: does not run here: {error}")


def _need(command: str, package: str) -> str:
    found = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if not found:
        raise SystemExit(f"{command} is not installed: apt-get install {package}")
    return found


def _gvisor(report: Report, count: int) -> None:
    runsc = _need("runsc", "runsc")
    saves, restores = [], []
    with _work() as work:
        _write_bundle(work)
        call = [
            runsc,
            "--root",
            str(work / "state"),
            "--network=none",
            "--ignore-cgroups",
            "--platform=ptrace",
        ]
        for number in range(count):
            save, restore = _saved_and_restored(call, work, number)
            saves.append(save)
            restores.append(restore)
    version = run(runsc, "--version").split()[2]
    report.add_samples(
        f"gVisor {version} checkpoint", saves, timed=f"`runsc checkpoint`: {HELD}; it ends with it"
    )
    report.add_samples(
        f"gVisor {version} restore", restores, timed="`runsc restore` to `true` executed in it"
    )


def _saved_and_restored(call: list[str], work: Path, number: int) -> tuple[float, float]:
    image, first, second = str(work / f"image{number}"), f"a{number}", f"b{number}"
    with _container(call, first):
        _silent(*call, "run", "-detach", "-bundle", str(work), first)
        time.sleep(START_S)
        save = timed_ms(lambda: _silent(*call, "checkpoint", "-image-path", image, first))
    with _container(call, second):
        began = time.perf_counter()
        _silent(*call, "restore", "-detach", "-bundle", str(work), "-image-path", image, second)
        _silent(*call, "exec", second, "/bin/true")
        return save, (time.perf_counter() - began) * 1000


def _write_bundle(work: Path) -> None:
    run("runsc", "spec", "-bundle", str(work), "--", "/usr/bin/python3", "-c", PROGRAM)
    path = work / "config.json"
    told = json.loads(path.read_text())
    told["root"] = {"path": "/", "readonly": True}
    told["process"]["terminal"] = False
    told["mounts"] = [mount for mount in told["mounts"] if mount["destination"] == "/proc"]
    path.write_text(json.dumps(told))


@contextlib.contextmanager
def _container(call: list[str], name: str) -> Iterator[None]:
    """Whatever of a container is there afterwards goes."""
    try:
        yield
    finally:
        subprocess.run([*call, "delete", "-force", name], capture_output=True, check=False)


def _criu(report: Report, count: int) -> None:
    criu = _need("criu", "criu")
    saves, restores = [], []
    for _ in range(count):
        with _work() as work, _process() as pid:
            time.sleep(START_S)
            saves.append(timed_ms(lambda: _silent(criu, "dump", "-t", str(pid), "-D", str(work))))
            began = time.perf_counter()
            _silent(criu, "restore", "-D", str(work), "--restore-detached")
            restores.append((time.perf_counter() - began) * 1000)
    report.add_samples("CRIU dump", saves, timed=f"`criu dump`: {HELD}; it ends with it")
    report.add_samples("CRIU restore", restores, timed="`criu restore --restore-detached`")


@contextlib.contextmanager
def _process() -> Iterator[int]:
    """The program in a session of its own, and its end, also once restored under the same pid."""
    null = subprocess.DEVNULL
    process = subprocess.Popen(
        ["python3", "-c", PROGRAM], stdin=null, stdout=null, stderr=null, start_new_session=True
    )
    try:
        yield process.pid
    finally:
        for end in (process.kill, lambda: os.kill(process.pid, signal.SIGKILL)):
            with contextlib.suppress(OSError):
                end()
        process.wait()


def _silent(*command: str) -> None:
    """Run a tool, its output in a file: a daemon it leaves behind may keep a pipe open."""
    with tempfile.TemporaryFile("w+") as told:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        if done.returncode:
            told.seek(0)
            raise SystemExit(f"{Path(command[0]).name}: {' '.join(told.read().split())[-LAST_WORDS:]}")


@contextlib.contextmanager
def _work() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vertui-peers-") as work:
        yield Path(work)
