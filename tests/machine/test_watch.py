"""Files as they change, told by the guest's kernel."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.daemon.client import Client
from tests.guests import Guest, eventually
from tests.machine.test_cli import VERTUI

LAST = "/root/p/last"


@contextmanager
def watching(*argv: str) -> Iterator["subprocess.Popen[str]"]:
    """The verb, once it watches; ended by Ctrl-C, with nothing left in the guest."""
    with subprocess.Popen(
        [*VERTUI, "watch", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == f"vertui: watching {argv[0]}: Ctrl-C ends it\n"
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert process.stderr.read() == ""
        finally:
            process.kill()


def until_last(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """What was told up to the change of LAST."""
    found: list[dict[str, Any]] = []
    assert process.stdout is not None
    for line in process.stdout:
        found.append(json.loads(line))
        if found[-1]["path"] == LAST:
            return found
    raise AssertionError(f"it ended before {LAST} changed: {found}")


def test_changes_are_told_as_they_happen(main: Guest, client: Client) -> None:
    main.text("mkdir -p /root/p/deep && cd /root/p && touch kept gone moved && touch /root/outside")
    with watching("main", "/root/p", "--json") as process:
        main.text(
            "cd /root/p && echo x > new && echo x >> kept && rm gone && mv moved deep/there && chmod 700 deep &&"
            " mkdir deep/er && echo y > deep/er/file && touch /root/outside /tmp/elsewhere &&"
            " printf 1 > $(printf 'odd\\377') && cat kept > /dev/null && touch temporary && rm temporary && sleep 1 &&"
            " touch last"
        )
        told = until_last(process)
    found: dict[str, list[str]] = {}
    for change in told:
        found.setdefault(change["path"].removeprefix("/root/p/"), []).append(change["change"])
    assert {path: changes[0] for path, changes in found.items() if changes[-1] != "removed"} == {
        "new": "added",
        "kept": "modified",
        "deep": "modified",
        "deep/there": "added",
        "deep/er": "added",
        "deep/er/file": "added",
        "odd\\xff": "added",
        "last": "added",
    }
    assert {path for path, changes in found.items() if changes[-1] == "removed"} == {
        "gone",
        "moved",
        "temporary",
    }
    assert {change["path_hex"] for change in told if "odd" in change["path"]} == {b"/root/p/odd\xff".hex()}
    assert eventually(lambda: not any("python3 -I" in one.command for one in client.processes("main")))
    assert {command.argv[0] for command in client.ps("main")} == {"sh"}, "watch leaves nothing in `ps`"
    assert not any("python3" in row.summary for row in client.log(50)), "nor in the log"


def test_changes_in_memory_are_told_too(main: Guest) -> None:
    """On a tmpfs and on the disk at once."""
    main.text("mkdir -p /root/p /tmp/deep")
    with watching("main", "/root/p", "/tmp", "/dev/shm", "--json") as process:
        main.text(
            "echo x > /tmp/deep/new; rm -r /tmp/deep; mkdir -p /dev/shm/new; echo x > /run/elsewhere;"
            " echo x > /dev/shm/new/file; sleep 1; touch /root/p/last"
        )
        told = {change["path"] for change in until_last(process)}
    assert {"/tmp/deep", "/dev/shm/new/file", LAST} <= told
    assert all(path.startswith(("/tmp/", "/dev/shm/", "/root/p/")) for path in told)


def test_more_than_can_be_told_is_said(main: Guest) -> None:
    """The kernel's queue holds 16,384 events; the verb goes on, and says what it missed."""
    make = "import os; [os.close(os.open(f'/root/p/{n}', os.O_CREAT)) for n in range(20000)]"
    main.text("mkdir /root/p")
    with subprocess.Popen(
        [*VERTUI, "watch", "main", "/root/p", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert "watching" in process.stdout.readline()
            stop = "import os, signal; os.kill(int(open('/tmp/watcher').read()), signal.{})"
            main.text("pgrep -f '[f]anotify_init' | head -1 > /tmp/watcher")
            main.text(f'python3 -c "{stop.format("SIGSTOP")}" && python3 -c "{make}"')
            main.text(f'python3 -c "{stop.format("SIGCONT")}"; sleep 1; touch {LAST}')
            lines = []
            for line in process.stdout:
                lines.append(line)
                if LAST in line:
                    break
            assert any("more changed than could be told" in line for line in lines)
            assert len(lines) > 10_000
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def test_paths_are_resolved_as_cp_does_and_one_that_tells_nothing_is_refused(main: Guest) -> None:
    """Relative, through a symlink, not there yet; where the kernel tells of nothing it would be silent for ever."""
    main.text("mkdir -p /root/p && ln -s p /root/link")
    argv = [*VERTUI, "watch", "main", "link", "p/late", "/root/link", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            missing = "vertui: main: /root/p/late is not there yet: you are told when it is\n"
            assert process.stderr.readline() == missing
            assert "watching main" in process.stderr.readline()
            main.text("mkdir /root/p/late && touch /root/elsewhere /root/p/last")
            assert [change["path"] for change in until_last(process)] == ["/root/p/late", LAST]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
    for path in ("/proc/self/x", "/proc"):
        done = subprocess.run([*VERTUI, "watch", "main", path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert "changes there cannot be told" in done.stderr and "Traceback" not in done.stderr
