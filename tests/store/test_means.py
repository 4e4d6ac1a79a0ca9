"""Want of descriptors, memory or rights is said as that: nothing is called damaged, and no reader is let down."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import Damaged, NoRoom, VertuiError
from core.files import read_error
from core.home import find_home
from core.store.views.server import patiently
from tests.store.states import Bench, content

PACKS = 60
PROGRAM = """
import os, resource, sys
from pathlib import Path
from core.errors import VertuiError
from core.store.packs import PackStore
from core.store.reader import PageReader
home, limit, early = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "early"
def lower():
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    if early: lower()
    store = PackStore(home)
    if not early: lower()
    print([problem.what for problem in store.check(100)])
except VertuiError as error:
    print(type(error).__name__, error)
"""


MACHINE = """
import asyncio, os, resource, socket, sys, threading
from core.holder.held import HolderLine
from core.errors import VertuiError
from core.guest.client import AgentClient
from core.home import find_home
from core.machine.memory import find_memory
from core.network.tap import tap_of
from core.files import memory_file
home = find_home(sys.argv[1])
home.make()
holder = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
holder.bind(str(home.holder_socket))
holder.listen()
held = HolderLine(home)
daemon, _ = holder.accept()
def answer():
    daemon.recv(65536)
    socket.send_fds(daemon, [b"{}"], [0])
threading.Thread(target=answer, daemon=True).start()
loop = asyncio.new_event_loop()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
asks = {
    "memory": lambda: find_memory(os.getpid(), 1, 4096),
    "memory file": lambda: memory_file("none"),
    "tap": lambda: tap_of(os.getpid(), 0),
    "agent": lambda: loop.run_until_complete(AgentClient.connect(home.machines / "none", 5.0)),
    "namespace": lambda: held.get("net:1"),
}
for what, ask in asks.items():
    try:
        ask()
    except VertuiError as error:
        print(what, type(error).__name__, sep=": ")
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose commits lie in many packs."""
    bench = Bench(tmp_path_factory.mktemp("many") / "home")
    for number in range(PACKS):
        bench.commit({number: content(5000 + number)}, {})
    bench.store.rebuild()
    bench.store.close()
    yield bench.home


def checked(home: Path, limit: int, when: str = "late") -> str:
    """What a process prints that may open so many files, with nothing on its standard error."""
    argv = [sys.executable, "-c", PROGRAM, str(home), str(limit), when]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stderr == ""
    return done.stdout.strip()


def test_fewer_descriptors_than_packs(many: Path) -> None:
    assert checked(many, PACKS // 2) == "[]"
    assert checked(many, PACKS // 2, "early") == "[]"


@pytest.mark.parametrize("spare", [0, 1, 2])
@pytest.mark.parametrize("when", ["early", "late"])
def test_no_descriptors_at_all(many: Path, spare: int, when: str) -> None:
    """As many as the interpreter has, and some: one clear line, or the truth."""
    said = checked(many, 3 + spare, when)
    assert said == "[]" or (said.startswith("NoRoom") and "ulimit" in said and "\n" not in said), said


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.EIO]
)
def test_what_the_system_says(number: int) -> None:
    """Only a disk that cannot give back what it was given means damage."""
    error = read_error(OSError(number, os.strerror(number)), "the index")
    kinds = {errno.EIO: Damaged, errno.EACCES: VertuiError, errno.EPERM: VertuiError}
    assert type(error) is kinds.get(number, NoRoom)


def test_a_machine_that_cannot_be_looked_at_has_not_ended(tmp_path: Path) -> None:
    """Who adopts it would end it for that."""
    home = tmp_path / "home"
    argv = [sys.executable, "-c", MACHINE, str(home)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    finally:
        shutil.rmtree(find_home(str(home)).runtime, ignore_errors=True)
    asked = ("memory", "memory file", "tap", "agent", "namespace")
    assert done.stdout.splitlines() == [f"{what}: NoRoom" for what in asked]


def test_a_reader_waits_for_means() -> None:
    answers: list[NoRoom | bytes] = [NoRoom("none left"), NoRoom("none left"), b"page"]

    def ask() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, NoRoom):
            raise answer
        return answer

    assert patiently(ask) == b"page"
