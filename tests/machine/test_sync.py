"""`sync` with real branches: there and back, followed as it is edited, and what goes wrong in one line."""

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.home import Home
from tests.conftest import full
from tests.guests import Guest, eventually
from tests.machine.test_cli import VERTUI, WAIT_S, succeeded, vertui

RECEIVES = "pgrep -fc '[p]uts what it is sent' || true"  # in a branch that follows
SHOWN = "cd {} && find . -mindepth 1 -printf '%P %y %m %T@ %l\\n' | sort"


def fill(top: Path, files: int) -> None:
    """A tree of small files, and what is easily lost of one."""
    for number in range(files):
        directory = top / f"d{number // 50}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number}").write_bytes(os.urandom(500))
    (top / "run").write_text("#!/bin/sh\necho ran\n")
    (top / "run").chmod(0o751)
    (top / "link").symlink_to("d0/f0")
    (top / "empty").mkdir(mode=0o700)
    os.utime(top / "d0", (1_000_000_000, 1_000_000_000))


def listed(top: Path) -> str:
    """What the guest's find prints of the same tree."""
    return subprocess.run(
        ["sh", "-c", SHOWN.format(top)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    ).stdout.rstrip("\n")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory beside the home, which lies in `tmp_path`, too."""
    made = tmp_path / "work"
    made.mkdir()
    return made


def test_there_and_back_again(main: Guest, work: Path, tmp_path: Path) -> None:
    """Links, modes and times are kept; what differs is brought, what is too much removed when it is asked for."""
    fill(work, 2000 if full() else 200)
    told = json.loads(succeeded("sync", str(work), "main:/srv/work", "--json"))
    assert told["files"] == (2001 if full() else 201)
    assert main.text(SHOWN.format("/srv/work")) == listed(work)
    assert main.text("stat -c %U:%G /srv/work/run; /srv/work/run") == "root:root\nran"
    (work / "d1" / "f60").write_bytes(b"edited")
    main.text("touch /srv/work/theirs")
    assert succeeded("sync", str(work), "main:/srv/work") == "synced 1 files, 6B, to main:/srv/work\n"
    assert main.text("cat /srv/work/d1/f60; ls /srv/work/theirs") == "edited/srv/work/theirs"
    assert "1 removed" in succeeded("sync", str(work), "main:/srv/work", "--delete")
    succeeded("sync", "main:/srv/work", str(tmp_path / "back"))
    assert listed(tmp_path / "back") == listed(work)
    assert main.text("ps -e | grep -c rsync || true") == "0"
    assert json.loads(succeeded("ps", "main", "--json")) and not [
        one for one in json.loads(succeeded("ps", "main", "--json")) if "rsync" in one["argv"]
    ]
    assert "--server" not in succeeded("log")


def test_rules_hold_on_both_sides(main: Guest, work: Path) -> None:
    fill(work, 20)
    (work / ".gitignore").write_text("/d0/*\n!/d0/f1\n*.o\n")
    succeeded("sync", str(work), "main:/srv/w", "--ignore-from", ".gitignore")
    assert main.text("ls /srv/w/d0") == "f1"
    main.text("cd /srv/w && touch built.o d0/theirs extra")
    succeeded("sync", str(work), "main:/srv/w", "--ignore-from", ".gitignore", "--delete")
    assert main.text("cd /srv/w && ls built.o d0 && ! ls extra 2>/dev/null") == "built.o\n\nd0:\nf1\ntheirs"
    main.text("cd /srv/w && echo '!built.o' >> .gitignore")
    succeeded("sync", "main:/srv/w", str(work), "--ignore-from", ".gitignore")
    assert (work / "built.o").exists()
    assert not (work / "d0" / "theirs").exists()


@contextmanager
def following(*words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`sync --watch --json`, ended by Ctrl-C."""
    with subprocess.Popen([*VERTUI, "sync", *words, "--watch", "--json"], stdout=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGINT)
                assert running.wait(WAIT_S) == 130


def told(running: "subprocess.Popen[bytes]", runs: int) -> list[dict[str, object]]:
    """The next lines."""
    assert running.stdout
    return [json.loads(running.stdout.readline()) for _ in range(runs)]


def test_branches_follow_edits(main: Guest, client: Client, work: Path) -> None:
    """Also one that was paused meanwhile, and is told of once. What a child inherits of that has ended."""
    names = ["b1", "b2", "b3", "b4"] if full() else ["b1", "b2"]
    client.fork("main", len(names))
    fill(work, 50)
    with following(str(work), *(f"{name}:/srv" for name in names)) as running:
        assert {one["files"] for one in told(running, len(names))} == {51}
        (work / "run").write_text("edited")
        (work / "d0" / "f1").unlink()
        for name in names:
            branch = main.other(name)
            assert eventually(lambda: branch.run("cat /srv/run; ls /srv/d0/f1").stdout == b"edited")  # noqa: B023
        while not {one["to"] for one in told(running, 1)} & {f"{names[0]}:/srv"}:
            pass
        client.pause("b1")
        (work / "run").write_text("again")
        assert eventually(lambda: any("paused" in str(one["error"]) for one in told(running, 1)))
        client.resume("b1")
        assert eventually(lambda: main.other("b1").text("cat /srv/run") == "again")
        (work / "new").mkdir()
        (work / "new" / "file").write_text("x")
        assert eventually(lambda: main.other("b1").run("cat /srv/new/file").stdout == b"x")
        client.fork("b1", 1, "child")
        assert (main.other("b1").text(RECEIVES), main.other("child").text(RECEIVES)) == ("1", "0")


def test_what_goes_wrong_is_one_line(main: Guest, client: Client, work: Path) -> None:
    (work / "big").write_bytes(os.urandom(3_000_000))
    main.text("mkdir /small; mount -t tmpfs -o size=1m none /small")
    for words, code, reason in (
        ((str(work), "main:/small"), 10, "No space left on device"),
        ((str(work), "nobody:/x"), 4, "no branch 'nobody'"),
        (("main:/nope", str(work.parent / "x")), 4, "there is no directory main:/nope"),
        ((str(work), "main:/etc/passwd/x"), 10, "cannot be made"),
    ):
        done = vertui("sync", *words)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
        assert reason in done.stderr
    assert main.text("ls -A /small") == ""
    main.text("mv /usr/bin/rsync /usr/bin/away")
    done = vertui("sync", str(work), "main:/srv")
    assert done.returncode == 7
    assert done.stderr == (
        "vertui: there is no rsync in main: its image is from before `sync`; build one anew (`vertui image build`),"
        " or install it there\n"
    )
    client.pause("main")
    done = vertui("sync", str(work), "main:/srv")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert "paused" in done.stderr


def test_it_goes_on_when_the_daemon_is_killed_and_ends_when_it_is_interrupted(
    main: Guest, home: Home, work: Path
) -> None:
    (work / "big").write_bytes(os.urandom(40_000_000))
    begun = 'until [ -n "$(ls -A /srv/w)" ]; do sleep 0.05; done'
    with subprocess.Popen([*VERTUI, "sync", str(work), "main:/srv/w"], stdout=subprocess.PIPE) as running:
        main.text(f"mkdir -p /srv/w; {begun}")
        os.kill(json.loads(succeeded("daemon", "status", "--json"))["pid"], signal.SIGKILL)
        assert running.wait(10 * WAIT_S) == 0
    sent = hashlib.sha256((work / "big").read_bytes()).hexdigest()
    assert main.text("sha256sum < /srv/w/big").split()[0] == sent
    main.text("rm /srv/w/big")
    with subprocess.Popen([*VERTUI, "sync", str(work), "main:/srv/w"], stderr=subprocess.PIPE) as running:
        main.text(begun)
        running.send_signal(signal.SIGINT)
        assert running.wait(WAIT_S) == 130
    assert eventually(lambda: main.text("ls -A /srv/w; ps -e | grep -c rsync || true") == "0")


def test_up_brings_a_directory_along(home: Home, work: Path, tmp_path: Path) -> None:
    fill(work, 5)
    succeeded("up", "--from", str(work), "--name", "w1", stdin="")
    w1 = Guest(Client(home), "w1")
    assert w1.text("/root/work/run") == "ran"
    succeeded("up", "--from", f"{work}:/srv/app", "--name", "w2")
    assert w1.other("w2").text("/srv/app/run") == "ran"
    done = vertui("up", "--from", str(tmp_path / "no"), "--name", "w3")
    assert (done.returncode, done.stderr) == (4, f"vertui: there is no directory {tmp_path / 'no'}\n")
    assert {branch.name for branch in Client(home).tree().branches} == {"w1", "w2"}
