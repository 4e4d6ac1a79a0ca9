"""Sockets of somebody else: whoever connects notices before a byte is said, whatever kind of socket it is."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from core import linux
from core.async_sockets import open_line
from core.daemon import streams
from core.daemon.client import Client, EventStream
from core.daemon.endpoint import listens
from core.daemon.start import end_all, ensure_daemon, holder_runs
from core.engine.live import Console
from core.errors import Impostor
from core.guest.client import AgentClient
from core.holder.held import HolderLine
from core.home import Home
from core.machine.monitor import Monitor
from core.model import ExecRequest
from core.sockets import check_way

NOBODY = 65534
LISTEN = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
listener = socket.socket(socket.AF_UNIX, int(sys.argv[2]))
listener.bind(sys.argv[1])
listener.listen(8)
print("listening", flush=True)
while True:
    print(listener.accept()[0].recv(65536), flush=True)
"""
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")


Use = Callable[[Home], object]
DAEMON: dict[str, Use] = {
    "is it there": listens,
    "a verb": lambda home: Client(home, starts=False).tree(),
    "a verb that starts it": lambda home: Client(home).score("main", 1.0),
    "start": ensure_daemon,
    "events": EventStream,
    "export": lambda home: Client(home).export("main"),
    "import": lambda home: Client(home).import_commit([b"secret"]),
    "exec": lambda home: streams.run(home, ExecRequest("main", ("cat",), stdin=True)),
    "attach": lambda home: streams.attach(home, "main", 1),
    "console": lambda home: streams.console(home, "main"),
}
HOLDER: dict[str, Use] = {
    "is it there": holder_runs,
    "end": end_all,
    "start": ensure_daemon,
    "the daemon's": HolderLine,
}
MACHINE: dict[str, Use] = {
    "monitor": lambda home: asyncio.run(Monitor("m", print).connect(home.machines / "m.sock")),
    "agent": lambda home: asyncio.run(AgentClient.connect(home.machines / "m.sock", 5.0)),
    "console": lambda home: asyncio.run(Console().open(home.machines / "m.sock")),
    "lines": lambda home: asyncio.run(_line(home.machines / "m.sock")),
}


async def _line(path: Path) -> None:
    await open_line(path)


def _cases() -> Iterator[ParameterSet]:
    for path, uses in (("daemon.sock", DAEMON), ("holder.sock", HOLDER), ("m/m.sock", MACHINE)):
        for name, use in uses.items():
            yield pytest.param(path, use, id=f"{path}-{name}")


@pytest.mark.parametrize(("path", "use"), list(_cases()))
def test_a_socket_of_another_user_is_told_nothing(home: Home, path: str, use: Use) -> None:
    with impostor(home.runtime / path) as said, pytest.raises(Impostor) as refusal:
        use(home)
    assert "nobody (65534)" in str(refusal.value)
    assert set(said) <= {"listening", "b''"}, "it was told something"


class impostor:
    """Another user's process that listens at a path, as if the directory had been open to it once; what it was told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: list[str] = []

    def __enter__(self) -> list[str]:
        kind = socket.SOCK_SEQPACKET if "holder" in self._path.name else socket.SOCK_STREAM
        chain = [self._path.parent, self._path.parent.parent]
        for directory in chain[: 2 if self._path.parent.name == "m" else 1]:
            directory.chmod(0o777)
        argv = [sys.executable, "-c", LISTEN, str(self._path), str(int(kind))]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self._said.append(self._process.stdout.readline().strip())
        for directory in chain[: 2 if self._path.parent.name == "m" else 1]:
            directory.chmod(0o700)
        return self._said

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        told, _none = self._process.communicate()
        self._said += told.split("\n")[:-1]


@pytest.mark.parametrize("how", ["owned", "open", "linked", "file"])
def test_a_directory_that_is_not_ours_alone_is_not_used(home: Home, tmp_path: Path, how: str) -> None:
    shutil.rmtree(home.runtime)
    if how == "owned":
        home.runtime.mkdir()
        os.chown(home.runtime, NOBODY, NOBODY)
    elif how == "open":
        home.runtime.mkdir()
        home.runtime.chmod(0o777)
    elif how == "linked":
        (tmp_path / "elsewhere").mkdir()
        home.runtime.symlink_to(tmp_path / "elsewhere")
    else:
        home.runtime.write_text("")
    try:
        with pytest.raises(Impostor):
            listens(home)
        if how == "open":
            home.make()  # ours, so that it can be closed
            assert home.runtime.stat().st_mode & 0o777 == 0o700
        else:
            with pytest.raises(Impostor):
                ensure_daemon(home)
    finally:
        if not home.runtime.is_dir() or home.runtime.is_symlink():
            home.runtime.unlink()


def test_no_other_user_may_own_the_way_there(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    for name in ("theirs", "open", "link"):
        with pytest.raises(Impostor):
            check_way(tmp_path / name / "vertui")
    check_way(tmp_path / "ours" / "vertui")
    (tmp_path / "open").chmod(0o1777)  # as /tmp is
    check_way(tmp_path / "open" / "vertui")


def test_where_root_has_no_name_it_may_own_the_way_there() -> None:
    """As in the sandboxes that agents and desktop programs are put into."""
    if (pid := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            linux.unshare(linux.CLONE_NEWUSER)
            assert Path("/").stat().st_uid != 0
            check_way(Path("/tmp/vertui-none"))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_root_is_told_whose_home_it_is(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for directory in (home.root, home.runtime):
        os.chown(directory, NOBODY, NOBODY)
    with pytest.raises(Impostor, match=r"belongs to nobody \(65534\), not to you \(root \(0\)\)"):
        Client(home).tree()
