"""`sync` from the command line to an agent on this machine and back: what runs there as a guest's is a host's here."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from fastapi import FastAPI

from core.codec import encode
from core.daemon.sockets import add_streams
from core.engine.context import Engine
from core.errors import Conflict
from core.guest.client import AgentClient
from core.home import Home
from core.model import Tree
from tests.guests import eventually
from tests.unit.agents import connected, started

VERTUI = (sys.executable, "-m", "vertui")
WAIT_S = 120.0


@dataclass
class OneGuest:
    """As much of an engine as exec needs: every branch is the same guest, or is `refused`."""

    agents: AgentClient
    refused: str = ""

    def machine(self, name: str) -> Any:
        return SimpleNamespace(guests=0, lost=False, branch="1")

    def branch(self, name: str) -> Any:
        return SimpleNamespace(name=name)

    async def agent(self, name: str) -> AgentClient:
        if self.refused == name:
            raise Conflict(f"branch {name} is paused")
        return self.agents


class Daemon(threading.Thread):
    """What of the daemon `sync` speaks to, on a home's socket."""

    def __init__(self, home: Home, work: Path, line: Path) -> None:
        super().__init__()
        self._home, self._work, self._line = home, work, line
        self.ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with started(self._work, self._line) as line, connected(line) as agent:
            self.engine = OneGuest(agent)
            app = FastAPI()
            app.get("/v1/tree")(lambda: encode(Tree((), (), (), None)))
            add_streams(app, cast(Engine, self.engine))
            config = uvicorn.Config(
                app, uds=str(self._home.daemon_socket), log_level="error", ws="websockets-sansio"
            )
            self.server = uvicorn.Server(config)
            self.ready.set()
            await self.server.serve()


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


def test_branches_follow_edits_until_they_are_left(here: Path, tmp_path: Path, daemon: Daemon) -> None:
    words = ["sync", here, f"b1:{tmp_path}/b1", f"b2:{tmp_path}/b2", "--watch", "--json"]
    with subprocess.Popen(
        [*VERTUI, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout
        first = [json.loads(running.stdout.readline()) for _ in range(2)]
        assert {one["to"] for one in first} == {f"b1:{tmp_path}/b1", f"b2:{tmp_path}/b2"}
        daemon.engine.refused = "b1"
        (here / "new").mkdir()
        (here / "new" / "file").write_text("edited")
        (here / "sub" / "file").unlink()
        assert eventually(lambda: names(tmp_path / "b2") == {"sub", "link", "new", "new/file"})
        assert "sub/file" in names(tmp_path / "b1")
        daemon.engine.refused = ""
        assert eventually(lambda: names(tmp_path / "b1") == {"sub", "link", "new", "new/file"})
        running.send_signal(signal.SIGINT)
        assert running.wait(WAIT_S) == 130
        errors = [json.loads(line)["error"] for line in running.stdout]
        assert [error for error in errors if error] == ["branch b1 is paused"]


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
