"""`sync` from the command line to an agent on this machine and back: what runs there as a guest's is a host's here."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from core.codec import encode
from core.daemon import streams
from core.daemon.sockets import add_streams
from core.engine.acting import Acting
from core.engine.context import Engine
from core.engine.machines import Machines
from core.errors import Conflict
from core.guest.client import AgentClient
from core.home import Home
from core.model import BranchState, ExecRequest, Tree
from tests.guests import eventually
from tests.unit.agents import connected, started
from vertui.sync.batch import MOST_BYTES

VERTUI = (sys.executable, "-m", "vertui")
WAIT_S = 120.0


@dataclass
class OneGuest:
    """As much of an engine as exec needs: every branch is the same guest, or is `refused`."""

    agents: AgentClient
    refused: str = ""
    machines: Machines = field(default_factory=Machines)
    acting: Acting = field(default_factory=Acting)

    @property
    def catalog(self) -> Any:
        return self

    def machine(self, name: str) -> Any:
        return SimpleNamespace(
            guests=0, lost=False, branch="1", followed=nullcontext, agent=lambda: self.agent(name)
        )

    def branch(self, name: str) -> Any:
        return SimpleNamespace(id=name, name=name, head="", state=BranchState.RUNNING, deleted=None)

    async def agent(self, name: str) -> AgentClient:
        if self.refused == name:
            raise Conflict(f"branch {name} is paused")
        return self.agents


class Daemon(threading.Thread):
    """What of the daemon `sync` speaks to, on a home's socket."""

    def __init__(self, home: Home, work: Path, line: Path) -> None:
        super().__init__()
        self.home, self._work, self._line = home, work, line
        self.ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with started(self._work, self._line) as line, connected(line) as agent:
            self.engine = OneGuest(agent)
            app = FastAPI()
            app.get("/v1/tree")(lambda: encode(Tree((), (), (), None)))
            app.get("/v1/branches/{branch}/commands")(self._commands)
            add_streams(app, cast(Engine, self.engine))
            config = uvicorn.Config(
                app, uds=str(self.home.daemon_socket), log_level="error", ws="websockets-sansio"
            )
            self.server = uvicorn.Server(config)
            self.ready.set()
            await self.server.serve()

    def _commands(self, branch: str) -> Response:
        """What is asked for why a branch does not answer."""
        refused = self.engine.refused == branch
        told = {"kind": "Conflict", "message": f"branch {branch} is paused"} if refused else []
        return JSONResponse(told, 409 if refused else 200)


@pytest.fixture
def daemon(home: Home, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    monkeypatch.setenv("VERTUI_HOME", str(home.root))
    made = Daemon(home, work, tmp_path / "line")
    made.start()
    assert made.ready.wait(WAIT_S)
    assert eventually(home.daemon_socket.exists)
    yield made
    made.server.should_exit = True
    made.join(WAIT_S)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    path = tmp_path / "here"
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "file").write_text("content")
    (path / "link").symlink_to("sub/file")
    return path


def sync(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VERTUI, "sync", *map(str, words)], capture_output=True, text=True, timeout=WAIT_S, check=False
    )


def names(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


@pytest.mark.usefixtures("daemon")
def test_it_comes_and_goes_and_asks_where_it_may_not(here: Path, tmp_path: Path) -> None:
    there = tmp_path / "there" / "-x [odd] $name"
    done = sync(here, f"b1:{there}")
    assert (done.stdout, done.stderr) == (f"synced 1 files, 7B, to b1:{there}\n", "")
    assert names(there) == {"sub", "sub/file", "link"}
    (there / "theirs").touch()
    assert json.loads(sync(here, f"b1:{there}", "--delete", "--json").stdout)["removed"] == 1
    assert sync(f"b1:{there}", tmp_path / "back").returncode == 0
    assert names(tmp_path / "back") == names(here)
    for words, code, reason in (
        ((here, "b1:/proc/version/x"), 10, "b1:/proc/version/x cannot be made: mkdir: "),
        ((f"b1:{tmp_path}/nope", tmp_path / "b"), 4, f"there is no directory b1:{tmp_path}/nope"),
        ((here, "b1:/proc"), 10, "rsync in b1: "),
    ):
        done = sync(*words)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
        assert reason in done.stderr


@pytest.mark.usefixtures("daemon")
def test_rules_are_looked_up_on_both_sides(here: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    (here / ".gitignore").write_text("*.o\nout/\n")
    (here / "a.o").touch()
    assert sync(here, f"b1:{there}", "--ignore-from", ".gitignore").returncode == 0
    assert names(there) == {".gitignore", "sub", "sub/file", "link"}
    (there / "out").mkdir()
    for name in ("out/built", "b.o", "extra"):
        (there / name).touch()
    assert sync(here, f"b1:{there}", "--ignore-from", ".gitignore", "--delete").returncode == 0
    assert names(there) == {".gitignore", "sub", "sub/file", "link", "out", "out/built", "b.o"}
    (tmp_path / "rules").write_text("sub\n")
    assert sync(f"b1:{there}", tmp_path / "back", "--ignore-from", tmp_path / "rules").returncode == 0
    assert names(tmp_path / "back") == {".gitignore", "link", "out", "out/built", "b.o"}


@contextmanager
def followed(*words: object) -> Iterator[Callable[[], dict[str, object]]]:
    """`sync --watch`, and what it says next; ended by Ctrl-C."""
    with subprocess.Popen(
        [*VERTUI, "sync", *map(str, words), "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout
        said = running.stdout
        try:
            yield lambda: json.loads(said.readline())
        finally:
            running.send_signal(signal.SIGINT)
            assert running.wait(WAIT_S) == 130


def receivers(place: Path) -> list[int]:
    """The programs that put edits in place there."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (words := process.info["cmdline"]) and words[0] == "python3" and words[-1] == str(place)
    ]


def test_branches_follow_edits_until_they_are_left(here: Path, tmp_path: Path, daemon: Daemon) -> None:
    """Whatever is small starts no program there; what is large, and what is in the way, comes as well."""
    b1, b2 = tmp_path / "b1", tmp_path / "b2"
    with followed(here, f"b1:{b1}", f"b2:{b2}") as told:
        assert {told()["to"] for _ in range(2)} == {f"b1:{b1}", f"b2:{b2}"}
        assert eventually(lambda: bool(receivers(b1) and receivers(b2)))
        began = last_command(daemon)
        (here / "new").mkdir()
        (here / "new" / "file").write_text("edited")
        (here / "sub" / "file").unlink()
        for place in (b1, b2):
            assert eventually(lambda: names(place) == {"sub", "link", "new", "new/file"})  # noqa: B023
        assert last_command(daemon) == began + 1  # which is the one that asks
        (b1 / "way").mkdir()
        (b1 / "way" / "theirs").touch()
        (here / "way").write_text("a file")
        (here / "large").write_bytes(os.urandom(MOST_BYTES + 1))
        for place in (b1, b2):
            assert eventually(lambda: (place / "way").is_file() and (place / "large").is_file())  # noqa: B023
    assert eventually(lambda: not receivers(b1) and not receivers(b2))


def test_a_branch_that_does_not_answer_is_told_of_and_follows_once_it_does(
    here: Path, tmp_path: Path, daemon: Daemon
) -> None:
    """Also one whose program was killed."""
    b1 = tmp_path / "b1"
    with followed(here, f"b1:{b1}") as told:
        assert told()["files"] == 1
        assert eventually(lambda: bool(receivers(b1)))
        [process] = receivers(b1)
        (here / "one").write_text("1")
        assert told()["files"] == 1
        daemon.engine.refused = "b1"
        os.kill(process, signal.SIGSTOP)
        (here / "two").write_text("2")
        assert told()["error"] == "branch b1 is paused"
        assert not (b1 / "two").exists()
        daemon.engine.refused = ""
        os.kill(process, signal.SIGCONT)
        assert (told()["files"], (b1 / "two").read_text()) == (1, "2")
        os.kill(process, signal.SIGKILL)
        for number in range(3):
            (here / "three").write_text(f"{number}")
            assert (told()["error"], (b1 / "three").read_text()) == ("", f"{number}")
        assert receivers(b1) not in ([], [process])


def last_command(daemon: Daemon) -> int:
    """The number of the last that was started there, which is started for that."""
    with streams.run(daemon.home, ExecRequest("b1", ("true",), inner=True)) as stream:
        return next(message.id for message in stream if isinstance(message, streams.Started))


@pytest.mark.usefixtures("daemon")
def test_interrupted_it_leaves_nothing_half_done(here: Path, tmp_path: Path) -> None:
    (here / "big").write_bytes(os.urandom(150_000_000))
    there = tmp_path / "there"
    for what in (".vertui-sync-", ".big"):  # where nothing is it comes in one stream, then by rsync
        with subprocess.Popen([*VERTUI, "sync", here, f"b1:{there}"], stderr=subprocess.PIPE) as running:
            assert eventually(
                lambda: there.exists() and any(path.name.startswith(what) for path in there.iterdir())  # noqa: B023
            )
            running.send_signal(signal.SIGINT)
            assert running.wait(WAIT_S) == 130
        assert eventually(lambda: not [name for name in names(there) if "big" in name or ".vertui" in name])
        (there / "theirs").touch()
