"""Hostile code in QEMU's place has what a machine needs, and nothing of anybody else's."""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.errors import MachineFailed
from core.holder.confine import Confinement
from core.holder.held import HolderLine
from core.home import Home
from core.machine.arguments import BASE_FD, READER_FD, WRITER_FD
from core.machine.base import opened
from core.machine.protocol import Layer
from core.machine.qemu import QemuHypervisor
from tests import intruder
from tests.guests import Guest, eventually

PYTHON = shutil.which("python3", path="/usr/bin:/bin")
NAME = "intruder"
Wanted = dict[str, list[str | int]]
pytestmark = pytest.mark.skipif(PYTHON is None, reason="no python3 where machines may read programs")


class Instead(HolderLine):
    """Starts a hostile program in a machine's place: as that would be, or with all that its user may do."""

    def __init__(self, home: Home, wanted: Wanted, *, free: bool) -> None:
        super().__init__(home)
        self._wanted, self._free = wanted, free

    def spawn(
        self,
        key: str,
        argv: Sequence[str],
        log: Path,
        descriptors: Sequence[int],
        nursery: str = "",
        confined: Confinement | None = None,
    ) -> int:
        source = Path(intruder.__file__).read_text()
        program = [str(PYTHON), "-c", source, json.dumps(self._wanted)]
        assert confined is not None
        return super().spawn(key, program, log, descriptors, confined=None if self._free else confined)


async def told(client: Client, wanted: Wanted, *, free: bool = False) -> dict[str, str]:
    """What such a program says, started on the newest image's memory with a layer of its own."""
    home, image = client.home, client.tree().images[-1]
    layer = home.layers / f"{NAME}.qcow2"
    shutil.copyfile(home.images / image.id / "empty.qcow2", layer)
    held, log = Instead(home, wanted, free=free), home.log / "machines.log"
    begins = log.stat().st_size if log.exists() else 0
    view = in_holder(client, home.views / image.golden / "memory")

    def said() -> list[bytes]:
        """Its line: other machines may say something meanwhile."""
        lines = log.read_bytes()[begins:].split(b"\n")[:-1] if log.exists() else []
        return [line for line in lines if line.startswith(b"{")]

    base, tap = opened(os.open(view, os.O_RDONLY)), os.open("/dev/null", os.O_RDWR)
    try:
        with pytest.raises(MachineFailed):
            own = Layer(NAME, layer.relative_to(home.root))
            await QemuHypervisor(home, held).start(NAME, image.spec, base, tap, own)
        assert eventually(lambda: bool(said()))
        assert eventually(lambda: f"machine:{NAME}" not in held.holdings().children)
    finally:
        held.close()
        os.close(base.descriptor)
        os.close(tap)
        layer.unlink()
    found: dict[str, str] = json.loads(said()[0])
    return found


def in_holder(client: Client, path: Path) -> Path:
    """A path as the holder's mount namespace has it."""
    return Path(f"/proc/{client.status().holder_pid}/root{path}")


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of a server on the host's loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def others(main: Guest, client: Client) -> Wanted:
    """What is somebody else's, and can be had by every program of this user."""
    home, tree = client.home, client.tree()
    [branch], daemon = tree.branches, client.status()
    machine, stream = branch.pid or 0, int(socket.SOCK_STREAM)
    layer = next(path for path in home.layers.iterdir() if path.stem != NAME)
    base = home.views / tree.images[-1].golden / "memory"
    qmp = next(home.machines.glob("*.qmp"))
    return {
        "a base image, to write": ["update", str(base)],
        "a base image, mapped for all": ["share", str(base)],
        "its own base image, mapped for all": ["share", f"/proc/self/fd/{BASE_FD}"],
        "another view": ["read", str(base.with_name("disk"))],
        "an image's disk": ["write", str(home.images / tree.images[-1].id / "root.raw")],
        "a sibling's layer, to write": ["write", str(layer)],
        "a sibling's layer, to read": ["read", str(layer)],
        "a new file in the home": ["make", str(home.root / "new")],
        "a new file among the layers": ["make", str(home.layers / "new.qcow2")],
        "a temporary file": ["make", f"/tmp/{os.urandom(8).hex()}"],
        "the catalog": ["read", str(home.catalog)],
        "the user's files": ["list_names", str(Path.home())],
        "the API": ["reach", str(home.daemon_socket), stream],
        "the holder": ["reach", str(home.holder_socket), int(socket.SOCK_SEQPACKET)],
        "a sibling's monitor": ["reach", str(qmp), stream],
        "the API's name": ["write", str(home.daemon_socket)],
        "a sibling's /proc": ["look_into", machine],
        "a sibling's memory": ["update", f"/proc/{machine}/mem"],
        "a sibling's memory, copied": ["copy_from", machine],
        "a sibling, by a signal": ["signal", machine],
        "the daemon, by a signal": ["signal", daemon.pid],
        "the daemon's /proc": ["look_into", daemon.pid],
        "the holder's network": ["enter", f"/proc/{daemon.holder_pid}/ns/net"],
        "the holder's mounts": ["list_names", f"/proc/{daemon.holder_pid}/root"],
        "a child": ["fork"],
        "memory that nobody counts": ["make_memory_file"],
        "more memory than its guest has": ["take_memory", 3 << 30],
    }


async def test_it_gets_at_nothing_of_anybody_else(
    main: Guest, client: Client, others: Wanted, elsewhere: int
) -> None:
    nowhere: Wanted = {
        "the host's loopback": ["call", "127.0.0.1", elsewhere],
        "a descriptor of a namespace": ["hold", "net:["],
        "a descriptor of the catalog": ["hold", "catalog.db"],
        "a descriptor of the daemon's lock": ["hold", str(client.home.lock)],
        "a descriptor of an image's disk": ["hold", "root.raw"],
    }
    if address := client.tree().branches[0].address:
        nowhere["a sibling's port"] = ["call", address, 22]
    reached = await told(client, others | nowhere)
    assert [name for name, what in reached.items() if what == "done"] == []
    assert main.text("echo well") == "well"


async def test_without_confinement_it_would_get_at_all_of_it(client: Client, others: Wanted) -> None:
    """Else the test above would show nothing. A socket's name cannot be opened by anybody."""
    del others["the API's name"]
    reached = await told(client, others, free=True)
    assert {name: what for name, what in reached.items() if what != "done"} == {}


@pytest.mark.usefixtures("main")
async def test_it_has_what_it_was_given(client: Client) -> None:
    wanted: Wanted = {
        "its layer, to write": ["change", WRITER_FD],
        "its layer, to read again": ["read", f"/proc/self/fd/{READER_FD}"],
        "its memory, as QEMU opens it": ["update", f"/proc/self/fd/{BASE_FD}"],
        "its layer, held": ["hold", f"{NAME}.qcow2"],
        "its own /proc": ["read", "/proc/self/maps"],
        "programs": ["list_names", "/usr/share"],
    }
    reached = await told(client, wanted)
    assert {name: what for name, what in reached.items() if what != "done"} == {}
