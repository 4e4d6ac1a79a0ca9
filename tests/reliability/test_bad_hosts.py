"""Hosts that cannot do it, disks that are full, files that are damaged: one clear line, and nothing left behind."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all
from core.home import Home
from tests.guests import Guest

STARTING = re.compile(r"vertui: the daemon .*: \d+ s so far")
VERTUI = str(Path(sys.executable).with_name("vertui"))


def isolated(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a mount namespace of its own, where `vertui` is a command."""
    path = f"{Path(VERTUI).parent}:{os.environ['PATH']}"
    argv = ["unshare", "-m", "sh", "-c", script]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"PATH": path}
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The single line a refused verb prints; what it says of a busy host's slow start does not count."""
    assert done.returncode != 0
    lines = [line for line in done.stderr.strip().splitlines() if not STARTING.fullmatch(line)]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("vertui: ")
    assert "Traceback" not in done.stderr
    return lines[0]


def test_no_tun(idle_home: Home) -> None:
    done = isolated("mount -t tmpfs none /dev/net && vertui up")
    assert "/dev/net/tun" in one_line(done)
    ended = isolated("vertui ls --json")
    assert '"branches": []' in ended.stdout.replace("\n", "").replace("[ ]", "[]")


def test_no_qemu(idle_home: Home) -> None:
    """A QEMU that is not there: the branch is not, either."""
    done = isolated("mount --bind /bin/false /usr/bin/qemu-system-x86_64 && vertui up")
    assert "main" in one_line(done)
    client = Client(idle_home)
    assert client.tree().branches == ()
    assert client.tree().trunk is None
    assert list(idle_home.layers.iterdir()) == []


@pytest.mark.parametrize("pattern", ["commits/*.commit", "store/packs/????????.pack", "store/index/*"])
def test_corrupted_store(idle_home: Home, pattern: str) -> None:
    """A flipped bit in the golden commit's record, in its pages, or in the index: refused by name, or harmless."""
    for path in idle_home.root.glob(pattern):
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 0x10
        path.unlink()
        path.write_bytes(damaged)
    done = isolated("vertui up && vertui exec main -- echo right")
    [golden] = [path.stem[:12] for path in idle_home.commits.iterdir()]
    if done.returncode == 0:  # what no machine wanted is only found by who looks for it
        assert done.stdout.splitlines()[-1] == "right"
        checked = isolated("vertui store check --read-data=100")
        named = golden in checked.stdout or "that no commit needs" in checked.stdout
        assert "index" in pattern or (named and checked.returncode)
        return
    line, client = one_line(done), Client(idle_home)
    deadline = time.monotonic() + 20
    while any(branch.state == "running" for branch in client.tree().branches) and time.monotonic() < deadline:
        time.sleep(0.1)
    for (
        branch
    ) in client.tree().branches:  # it had started when it met the page, and ended before it could use it
        assert branch.state == "lost" and golden in branch.reason, branch
        return
    assert golden in line or "index" in line, line


def test_missing_root_disk(idle_home: Home) -> None:
    next(idle_home.images.glob("*/root.raw")).unlink()
    assert "root.raw" in one_line(isolated("vertui up"))
    assert Client(idle_home).tree().branches == ()


def test_full_disk(idle_home: Home) -> None:
    """On a full filesystem commit and fork are refused whole; with room again they go on."""
    root, small = idle_home.root, idle_home.root.parent / "small"
    script = f"""
    mkdir {small} && mount -t tmpfs -o size=1500m none {small} && cp -a --sparse=always {root}/. {small}/ || exit 9
    export VERTUI_HOME={small}
    vertui up > /dev/null || exit 8
    vertui exec main -- sh -c 'head -c 8000000 /dev/urandom > /dev/shm/x'
    head -c 3G /dev/zero > {small}/filler 2> /dev/null
    vertui commit main; echo "commit $?"
    vertui fork main -n 2; echo "fork $?"
    rm {small}/filler
    vertui ls
    vertui commit main > /dev/null; echo "commit $?"
    vertui fork main -n 2 > /dev/null; echo "fork $?"
    vertui exec b2 -- echo alive
    vertui daemon stop --all > /dev/null
    ls -a {small}/commits | grep -c tmp
    """
    done = isolated(script)
    said = done.stdout.splitlines()
    assert [line for line in said if line.startswith(("commit", "fork"))] == [
        "commit 6",
        "fork 6",
        "commit 0",
        "fork 0",
    ]
    assert "alive" in said
    assert said[-1] == "0"
    assert [line.startswith("vertui: no room for") for line in done.stderr.splitlines()] == [True, True], (
        done.stderr
    )
    assert not [line for line in said if line.split()[:1] == ["b1"] and "failed" in line]


def test_a_daemon_that_cannot_start(idle_home: Home) -> None:
    for path in idle_home.root.glob("catalog.db*"):
        path.unlink()
    idle_home.catalog.write_bytes(b"this is no database" * 100)
    line = one_line(isolated("vertui ls"))
    assert "catalog" in line
    assert not end_all(idle_home), "what did not come up is left behind"


def test_home_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    monkeypatch.setenv("VERTUI_HOME", str(foreign))
    assert "belongs to nobody (65534)" in one_line(isolated("vertui ls"))


def test_guest_that_shuts_down_or_reboots(main: Guest, client: Client) -> None:
    """A machine that ends by itself is said to have, and comes back from its head."""
    import time

    client.commit("main", "before")
    main.start("sleep 0.3; echo b > /proc/sysrq-trigger")
    deadline = time.monotonic() + 20
    while client.tree().branches[0].state == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    ended = client.tree().branches[0]
    assert ended.state in ("stopped", "lost")
    assert ended.reason
    client.resume("main")
    assert main.text("echo back") == "back"
