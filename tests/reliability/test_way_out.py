"""A start that was cut short, slow, or made under limits, sockets that somebody tidied away: the next verb works."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.holder.ask import Silent, ask_holder, state_of
from core.home import Home, find_home
from tests.conftest import full
from tests.guests import eventually
from tests.leaks import Traces, host_traces

VERTUI = str(Path(sys.executable).with_name("vertui"))
LIMITS = {
    "-n 64": "64 open files",
    "-v 3000000": "address space",
    "-f 100000": "bytes in a file",
    "-s 1024": "stack",
}
UNPRIVILEGED = ("setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource")
"""May not raise a hard limit, which root otherwise may."""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home in which nothing was ever done."""
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "home"))
    home = find_home()
    before = host_traces(home.root)
    yield home
    end_all(home)
    shutil.rmtree(home.runtime, ignore_errors=True)
    assert host_traces(home.root) - before == Traces()


def ls(*before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*before, VERTUI, "ls"], capture_output=True, text=True, timeout=300, check=False)


def with_site(monkeypatch: pytest.MonkeyPatch, directory: Path, program: str) -> None:
    """Let every Python that is to be a daemon run this first."""
    directory.mkdir()
    line = f"import sys\nif 'core.daemon.server' in sys.orig_argv:\n    {program}\n"
    (directory / "sitecustomize.py").write_text(line)
    monkeypatch.setenv("PYTHONPATH", str(directory))


def test_limits_are_raised_or_named_and_forgotten(bare: Home) -> None:
    for limit, named in LIMITS.items():
        refused = ls("sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *UNPRIVILEGED)
        assert refused.returncode == 11, limit
        [line] = refused.stderr.strip().split("\n")
        assert named in line and "are needed" in line, limit
        assert ask_holder(bare, "state") is None, "nothing is left of it"
    assert ls("sh", "-c", 'ulimit -S -n 64; exec "$@"', "sh").returncode == 0
    pid = (ask_holder(bare, "state") or {})["daemon"]
    [line] = [line for line in Path(f"/proc/{pid}/limits").read_text().split("\n") if "open files" in line]
    assert int(line.split()[3]) >= 512


def test_a_slow_start_is_waited_for(bare: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_site(monkeypatch, tmp_path / "site", f"import time; time.sleep({40 if full() else 7})")
    told: list[str] = []
    ensure_daemon(bare, told.append)
    assert any("is starting" in line for line in told)


def test_only_this_starts_lines_are_quoted(
    bare: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.make()
    (bare.log / "daemon.log").write_text("a trouble of yesterday\n")
    with_site(monkeypatch, tmp_path / "site", "import os; os._exit(1)")
    done = ls()
    assert done.returncode == 11
    assert "no reason was logged" in done.stderr and "yesterday" not in done.stderr
    monkeypatch.delenv("PYTHONPATH")
    assert ls().returncode == 0, "the holder that could not start it is gone, with what it was started with"


@pytest.mark.parametrize("what", ["everything", "daemon.sock", "holder.sock"] if full() else ["everything"])
def test_sockets_that_were_tidied_away_are_made_again(bare: Home, what: str) -> None:
    ensure_daemon(bare)
    before = Client(bare).status()
    shutil.rmtree(bare.runtime) if what == "everything" else (bare.runtime / what).unlink()
    assert ls().returncode == 0
    assert eventually(lambda: ask_holder(bare, "state") is not None)
    after = Client(bare).status()
    assert (after.pid, after.holder_pid) == (before.pid, before.holder_pid)


def test_a_socket_and_a_lock_of_the_dead_are_in_nobodys_way(bare: Home) -> None:
    ensure_daemon(bare)
    facts = Client(bare).status()
    os.kill(facts.holder_pid, signal.SIGKILL)
    assert eventually(lambda: state_of(facts.pid) in ("", "Z"))
    assert bare.daemon_socket.exists() and bare.holder_lock.read_text()
    assert ls().returncode == 0


@pytest.mark.skipif(not full(), reason="it waits for what takes half a minute at least")
def test_a_stopped_holder_is_named(bare: Home) -> None:
    ensure_daemon(bare)
    facts = Client(bare).status()
    os.kill(facts.holder_pid, signal.SIGSTOP)
    try:
        assert ls().returncode == 0, "the daemon does without"
        with pytest.raises(Silent, match=f"kill -CONT {facts.holder_pid}"):
            end_all(bare)
    finally:
        os.kill(facts.holder_pid, signal.SIGCONT)
    os.kill(facts.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Silent, match=f"kill -CONT {facts.pid}"):
            Client(bare).tree()
    finally:
        os.kill(facts.pid, signal.SIGCONT)
    assert Client(bare).status() == facts


@pytest.mark.skipif(not full(), reason="it waits until the daemon has been silent for half a minute")
def test_a_daemon_that_stands_still_is_replaced_under_whoever_asks(
    bare: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import signal, time; signal.signal(signal.SIGUSR2, lambda *_: time.sleep(3600))"
    with_site(monkeypatch, tmp_path / "site", program)
    ensure_daemon(bare)
    before = Client(bare).status()
    os.kill(before.pid, signal.SIGUSR2)
    after = Client(bare).status()
    assert after.pid != before.pid and after.holder_pid == before.holder_pid
    assert Client(bare).change_setting("pool.spares", "1").value == 1
    log = (bare.log / "daemon.log").read_text()
    assert f"(pid {before.pid}) stands still" in log and "sitecustomize.py" in log, "where it stood is told"
