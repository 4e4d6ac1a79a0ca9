"""The command line against real machines, as processes and in a real terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from core.daemon.client import Client
from core.home import Home
from tests.guests import Guest, eventually

VERTUI = (sys.executable, "-m", "vertui")
WAIT_S = 60.0


def vertui(*argv: str, stdin: str = "", timeout: float = WAIT_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*VERTUI, *argv], input=stdin, capture_output=True, text=True, timeout=timeout)


def succeeded(*argv: str, stdin: str = "") -> str:
    done = vertui(*argv, stdin=stdin)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


class Terminal:
    """A command in a pseudo terminal of its own, typed to and read from."""

    def __init__(self, *argv: str) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [*VERTUI, *argv])
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def expect(self, pattern: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not re.search(pattern, self.text):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                self.end()
                raise AssertionError(f"no {pattern!r} in {self.text!r}")
            if select.select([self._descriptor], [], [], 1)[0]:
                self.text += os.read(self._descriptor, 65536).decode(errors="replace")

    def end(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(status)


def prompted_by_the_console() -> None:
    """Enter at main's console, its prompt, and out of it by Ctrl-]."""
    console = Terminal("console", "main")
    console.expect(r"Ctrl-\] leaves")
    console.type("\r")
    console.expect(r"[#$] ")
    console.type("\x1d")
    assert console.end() == 0


def test_exec_passes_on_output_input_and_exit_status(main: Guest) -> None:
    done = vertui("exec", "main", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert succeeded("exec", "-i", "main", "--", "wc", "-c", stdin="x" * 300_000).strip() == "300000"
    assert succeeded(
        "exec", "main", "-e", "A=1 2", "-w", "/tmp", "-u", "nobody", "--", "sh", "-c", "echo $A; pwd; id -un"
    ) == ("1 2\n/tmp\nnobody\n")
    late = vertui("exec", "main", "--timeout", "0.5", "--", "sleep", "60")
    assert (late.returncode, late.stderr) == (124, "vertui: main: timed out\n")
    assert len(succeeded("exec", "main", "--", "seq", "1", "300000").splitlines()) == 300_000
    a_reader_that_leaves_ends_the_command_quietly()


def a_reader_that_leaves_ends_the_command_quietly() -> None:
    line = f"{sys.executable} -m vertui exec main -- seq 1 1000000 | head -1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=WAIT_S)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_exec_in_several_branches_prefixes_lines_and_tells_who_failed(main: Guest, client: Client) -> None:
    client.fork("main", 2)
    done = vertui(
        "exec", "main", "b1", "b2", "--", "sh", "-c", "hostname; printf rest; [ $(hostname) != b2 ]"
    )
    expected = {"b1   | b1", "b1   | rest", "b2   | b2", "b2   | rest", "main | rest"}
    assert expected < set(done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (1, "vertui: b2: exit status 1\n")


def test_exec_goes_on_when_the_daemon_is_replaced(main: Guest, home: Home) -> None:
    """Nothing is lost and nothing comes twice."""
    with subprocess.Popen(
        [
            *VERTUI,
            "exec",
            "main",
            "--",
            "sh",
            "-c",
            "for i in $(seq 1 30); do echo $i; sleep 0.1; done; exit 3",
        ],
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == b"1\n"
        first = json.loads(succeeded("daemon", "status", "--json"))["pid"]
        succeeded("daemon", "stop")
        assert running.stdout.read() == b"".join(b"%d\n" % number for number in range(2, 31))
        assert running.wait(WAIT_S) == 3
    assert json.loads(succeeded("daemon", "status", "--json"))["pid"] != first


def test_a_command_outlives_its_client(main: Guest) -> None:
    """Left by --detach and gone on with from an offset; interrupted once, left by the second Ctrl-C."""
    number = succeeded(
        "exec", "main", "--detach", "--", "sh", "-c", "echo one; sleep 1; echo two; exit 4"
    ).strip()
    assert eventually(lambda: json.loads(succeeded("ps", "main", "--json"))[0]["stdout_bytes"] >= 4)
    attached = vertui("exec", "main", "--attach", number, "--from", "4")
    assert (attached.stdout, attached.returncode) == ("two\n", 4)
    assert f"{number} " in succeeded("ps", "main")
    script = "trap 'echo no' INT; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen(
        [*VERTUI, "exec", "main", "--", "sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout and running.stderr
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == b"no\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(WAIT_S) == 130
        left = re.search(r"vertui exec main --attach (\d+) --from 9,0`", running.stderr.read().decode())
    assert left
    states = {one["id"]: one["exit_code"] for one in json.loads(succeeded("ps", "main", "--json"))}
    assert states[int(left[1])] is None


def test_a_shell_is_a_terminal_and_a_console_can_be_left(main: Guest) -> None:
    shell = Terminal("shell", "main")
    shell.expect(r"[#$] $")
    shell.type("stty size; tty; sleep 60\r")
    shell.expect(r"\d+ \d+\s+/dev/pts/")
    main.text("until pgrep -x sleep; do sleep 0.1; done; sleep 0.5")  # bash loses a signal while it forks
    shell.type("\x03")
    shell.type("echo after-$?; exit 5\r")
    shell.expect("after-130")
    assert shell.end() == 5
    prompted_by_the_console()


def test_a_console_that_nobody_types_into_shows_its_past_and_a_refusal_alone(main: Guest) -> None:
    prompted_by_the_console()
    assert re.search(r"[#$] ", succeeded("console", "main"))
    for _ in range(10):  # its input ends before, or after, the daemon has answered
        done = vertui("console", "nobody")
        assert done.returncode == 4
        assert done.stderr.startswith("vertui: no branch 'nobody'") and done.stderr.count("\n") == 1


def test_cp_brings_trees_there_and_back(main: Guest, client: Client, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "data").write_bytes(os.urandom(3_000_000))
    (tree / "run").write_text("#!/bin/sh\necho ran\n")
    (tree / "run").chmod(0o755)
    (tree / "link").symlink_to("sub/data")
    assert succeeded("cp", str(tree), "main:/srv").startswith("copied 3 files")
    assert main.text("/srv/tree/run; readlink /srv/tree/link; stat -c %u /srv/tree/run") == "ran\nsub/data\n0"
    succeeded("cp", "main:/srv/tree", str(tmp_path / "back"))
    assert (tmp_path / "back/sub/data").read_bytes() == (tree / "sub/data").read_bytes()
    client.fork("main", 1)
    succeeded("cp", "main:/srv/tree/run", "b1:/root/elsewhere")
    assert main.other("b1").text("/root/elsewhere") == "ran"
    succeeded("cp", "main:/srv/tree/.", "b1:/srv/flat")
    assert main.other("b1").text("ls /srv/flat") == "link\nrun\nsub"
    assert vertui("cp", "main:/nope", str(tmp_path)).stderr == "vertui: there is no main:/nope\n"
    assert "no directory" in vertui("cp", str(tree / "run"), "main:/not/here").stderr


def test_what_cp_cannot_bring_is_said(main: Guest, tmp_path: Path) -> None:
    main.text("mkdir /small; mount -t tmpfs -o size=64k none /small")
    (tmp_path / "big").write_bytes(os.urandom(1_000_000))
    done = vertui("cp", str(tmp_path / "big"), "main:/small/big")
    assert done.returncode == 10
    assert "Wrote only" in done.stderr  # tar's own words
    assert main.text("ls -A /small") == ""
    main.text("mkdir /root/t; ln -s /etc/passwd /root/t/evil; echo x > /root/t/good")
    done = vertui("cp", "main:/root/t", str(tmp_path))
    assert done.returncode == 3
    assert "left out evil" in done.stderr
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["good"]


def test_nothing_is_removed_without_a_yes(main: Guest, client: Client) -> None:
    client.fork("main", 1)
    refused = vertui("prune", "b1")
    assert (refused.returncode, refused.stderr.count("\n")) == (5, 1)
    assert "b1" in refused.stdout
    succeeded("prune", "b1", "--dry-run")
    question = Terminal("prune", "b1")
    question.expect(r"\[y/N\]")
    question.type("\r")
    question.expect("nothing changed")
    assert question.end() == 1
    assert "b1" in {branch.name for branch in client.tree().branches}
    succeeded("prune", "b1", "--yes")
    assert "b1" not in {branch.name for branch in client.tree().branches}
    succeeded("undo")
    assert "b1" in {branch.name for branch in client.tree().branches}


def test_ls_tree_and_diff_say_what_is(main: Guest, client: Client) -> None:
    client.fork("main", 1)
    main.other("b1").text("echo new > /root/new; chmod 700 /srv")
    listed = json.loads(succeeded("ls", "--json"))
    assert set(listed) == {"branches", "commits", "images", "moment", "ports", "sequence", "trunk", "waiting"}
    assert (
        [branch["name"] for branch in listed["branches"] if branch["trunk"]] == [listed["trunk"]] == ["main"]
    )
    assert re.search(r"^\* +main +● running +10\.", succeeded("ls"), re.MULTILINE)
    assert re.search(r"^├─● b1  running", succeeded("tree"), re.MULTILINE)
    assert succeeded("diff", "b1").splitlines()[1:] == [
        "A  /root/new  4B",
        "M  /srv/      mode 0755 → 0700",
        "1 added, 1 modified",
    ]
    assert "+new" in succeeded("diff", "b1", "--patch").splitlines()
