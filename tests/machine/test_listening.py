"""By the daemon's port: stock curl and our own commands, streams that outlive a daemon, and a token that is revoked."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.daemon import streams
from core.daemon.client import Client
from core.daemon.endpoint import TOKEN, URL, Remote
from core.errors import DaemonUnavailable
from core.model import ExecRequest
from core.patience import patient
from tests.guests import SOON_S, Guest, eventually
from tests.ui.looks import until_seen
from vertui.streaming import Follower
from vertui.ui import VertuiApp

BULK = os.urandom(3 << 20)
LONGEST_S = patient(120.0)
# A long sleep would lose a signal that comes while it is forked, and keep the shell from its trap.
LEFT = "trap 'echo hung up > /root/left; exit' HUP; echo ready; while :; do sleep 0.2; done"


@dataclass(frozen=True)
class There:
    """The daemon as somebody with nothing but its URL and a token finds it."""

    at: Remote
    work: Path

    @property
    def variables(self) -> dict[str, str]:
        """What leads our commands there."""
        return {"VERTUI_HOME": str(self.work / "none"), URL: self.at.url, TOKEN: self.at.token}

    def vertui(self, *words: object, stdin: bytes = b"", code: int = 0) -> bytes:
        """What a command prints; of one that fails what it says."""
        argv = [sys.executable, "-m", "vertui", *map(str, words)]
        done = subprocess.run(
            argv,
            input=stdin,
            env=os.environ | self.variables,
            capture_output=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode} {done.stderr.decode()}"
        return done.stderr if code else done.stdout

    def curl(self, path: str, *words: str) -> str:
        """What curl prints, and behind it the status."""
        argv = [
            "curl",
            "-sS",
            "--max-time",
            str(SOON_S),
            "-w",
            "%{http_code}",
            *words,
            f"{self.at.url}{path}",
        ]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def there(main: Guest, tmp_path: Path) -> Iterator[There]:
    """As a user sets it up."""
    vertui = [sys.executable, "-m", "vertui"]
    made = subprocess.run([*vertui, "token", "new", "laptop"], capture_output=True, text=True, check=True)
    started = [*vertui, "daemon", "start", "--listen", "127.0.0.1:0", "--json"]
    url = json.loads(subprocess.run(started, capture_output=True, check=True).stdout)["listening"]
    assert url == main.client.status().listening
    yield There(Remote("127.0.0.1", int(url.rpartition(":")[2]), made.stdout.strip()), tmp_path)
    assert not (tmp_path / "none").exists()


def test_curl_and_our_own_commands_go_by_it(there: There, main: Guest) -> None:
    token = ["-H", f"Authorization: Bearer {there.at.token}"]
    told = there.curl("/v1/tree", *token)
    assert told.endswith("200") and json.loads(told[:-3])["trunk"] == "main"
    assert there.curl("/v1/tree").endswith("401") and there.curl("/v1/tree", "-H", token[1] + "x").endswith(
        "401"
    )
    assert there.curl("/v1/tree", *token, "-H", "Host: evil.example").endswith("403")
    asked = ["-d", '{"ref": "main", "n": 1, "name": "b1"}', "-H", "Content-Type: application/json"]
    assert there.curl("/v1/fork", *token, *asked).endswith("200")
    assert [branch.name for branch in main.client.tree().branches] == ["main", "b1"]

    (there.work / "bulk").write_bytes(BULK)
    there.vertui("cp", there.work / "bulk", "b1:/root/bulk")
    assert there.vertui("exec", "-i", "b1", "--", "cmp", "-", "/root/bulk", stdin=BULK) == b""
    there.vertui("cp", "b1:/root/bulk", there.work / "back")
    assert (there.work / "back").read_bytes() == BULK
    assert b"no route" not in there.vertui("exec", "b1", "--", "sh", "-c", "exit 7", code=7)
    assert b"without VERTUI_URL" in there.vertui("ssh", "b1", "--", "true", code=2)
    with streams.console(there.at, "b1") as console:
        messages = iter(console)
        console.write(b"\n")
        assert any(isinstance(message, streams.Output) for message in messages)


async def test_the_ui_goes_by_it(there: There) -> None:
    async with VertuiApp(there.at).run_test(size=(160, 45)) as pilot:
        await until_seen(pilot, "★ trunk", "running", "processes")


def test_it_stays_open_while_the_daemon_is_replaced(there: There, main: Guest) -> None:
    printed: list[bytes] = []

    def sink(stream: int, data: bytes) -> None:
        if not printed:
            os.kill(main.client.status().pid, signal.SIGKILL)
        printed.append(data)

    line = "for n in 1 2 3 4 5 6; do echo $n; sleep 0.3; done"
    follower = Follower(there.at, ExecRequest("main", ("sh", "-c", line)), sink, lambda _: None)
    assert follower.follow().code == 0 and b"".join(printed).split() == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert Client(there.at).status().listening == there.at.url
    main.client.stop_daemon()  # which somebody did who wanted it stopped
    with pytest.raises(DaemonUnavailable, match="no daemon answers at"):
        Client(there.at).tree()


def test_a_token_that_is_revoked_takes_its_streams_along(there: There, main: Guest) -> None:
    argv = [sys.executable, "-m", "vertui", "exec", "main", "--", "sh", "-c", LEFT]
    with subprocess.Popen(
        argv, env=os.environ | there.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr and process.stdout.readline() == b"ready\n"
        main.client.token_revoke("laptop")
        assert process.wait(SOON_S) == 13
        assert process.stderr.read().count(b"\n") == 1
    assert eventually(lambda: main.run("cat /root/left").stdout == b"hung up\n")
