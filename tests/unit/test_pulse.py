"""A daemon that stands still is noticed and replaced, one that is only slow, stopped or starting is not; and whoever
waits for it is told."""

import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.connection import DaemonConnection, Patience
from core.errors import DaemonUnavailable
from core.holder.ask import Silent, state_of
from core.holder.pulse import DUMP, MOST_SILENT, MOST_SILENT_STARTING, SERVING, Pulse, Watched
from core.holder.spawn import spawn
from core.holder.warden import Warden
from core.home import Home
from core.verbs.store.gc import Gc
from tests.guests import eventually

STANDS = f"""
import faulthandler, os, sys, threading
faulthandler.register({int(DUMP)}, all_threads=True)
os.write(int(sys.argv[-1]), b"recovering\\n{SERVING}\\n")
lock = threading.Lock()
lock.acquire()
def waits_for_ever(): lock.acquire()
waits_for_ever()
"""


class Daemons:
    """A warden whose daemons run a program of ours."""

    def __init__(self, home: Home, program: str) -> None:
        self.program = program
        self.selector = selectors.DefaultSelector()
        self.warden = Warden(home, self._spawn, self.selector)
        self.log = home.log / "daemon.log"

    def _spawn(self, key: str, argv: list[str], log: str, descriptors: Sequence[int]) -> int:
        with Path(log).open("ab") as output, Path(os.devnull).open() as nothing:
            files = [nothing.fileno(), output.fileno(), output.fileno(), *descriptors]
            return spawn([sys.executable, "-c", self.program, *argv[-1:]], files)

    @property
    def daemon(self) -> Watched:
        assert self.warden.daemon
        return self.warden.daemon

    def heard(self, told: str) -> bool:
        """Has the daemon told this?"""
        for _ in self.selector.select(0):
            self.warden.hear()
        return self.daemon.told == told

    def ended(self) -> int:
        """Wait for the daemon's end, as the holder would hear of it."""
        _, status = os.waitpid(self.daemon.pid, 0)
        self.warden.ended()
        return os.waitstatus_to_exitcode(status)


def test_a_daemon_that_stands_still_is_replaced(home: Home) -> None:
    daemons = Daemons(home, STANDS)
    daemons.warden.ask()
    first = daemons.daemon.pid
    assert eventually(lambda: daemons.heard(SERVING) and state_of(first) == "S")
    for _ in range(int(MOST_SILENT)):
        daemons.warden.look()  # the first look hears what it told
    assert "waits_for_ever" not in daemons.log.read_text()
    daemons.warden.look()
    assert eventually(lambda: "waits_for_ever" in daemons.log.read_text()), "where it stands is in the log"
    assert eventually(lambda: state_of(first) == "S")
    daemons.warden.look()
    assert daemons.ended() == -signal.SIGKILL
    second = daemons.daemon.pid
    assert second != first and not daemons.warden.resting
    os.kill(second, signal.SIGKILL)
    daemons.warden.resting = True
    daemons.ended()


def test_a_log_that_takes_nothing_ends_nobody(home: Home) -> None:
    daemons = Daemons(home, STANDS)
    daemons.warden.ask()
    assert eventually(lambda: daemons.heard(SERVING) and state_of(daemons.daemon.pid) == "S")
    home.log.rename(home.root / "away")
    for _ in range(int(MOST_SILENT) + 2):
        daemons.warden.look()
    assert daemons.ended() == -signal.SIGKILL and daemons.warden.resting, "no other could be started"


def test_a_daemon_that_beats_was_stopped_or_starts_is_left_alone(home: Home) -> None:
    daemons = Daemons(home, STANDS.replace(f"{SERVING}\\n", ""))
    daemons.warden.ask()
    pid = daemons.daemon.pid
    assert eventually(lambda: daemons.heard("recovering") and state_of(pid) == "S")
    for _ in range(int(MOST_SILENT_STARTING)):
        daemons.warden.look()
    assert daemons.daemon.silent == MOST_SILENT_STARTING - 1
    daemons.daemon.beats += 1
    daemons.warden.look()
    assert daemons.daemon.silent == 0.0
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: state_of(pid) == "T")
    for _ in range(10 * int(MOST_SILENT_STARTING)):
        daemons.warden.look()
    assert state_of(pid) == "T"
    os.kill(pid, signal.SIGKILL)
    daemons.warden.resting = True
    daemons.ended()


def test_a_daemon_that_never_serves_is_left_to_rest_however_slowly_it_dies(home: Home) -> None:
    daemons = Daemons(home, "raise SystemExit('a reason')")
    daemons.log.write_text("an old trouble\n")
    daemons.warden.ask()
    for _ in range(3):
        daemons.warden._started -= 60.0  # on a host so busy that it took a minute
        begins = daemons.warden.state()["log_from"]
        daemons.ended()
    assert daemons.warden.resting and daemons.warden.state()["gave_up"]
    assert daemons.log.read_bytes()[begins:] == b"a reason\n"


def test_a_daemon_that_was_told_to_end_may_take_its_time(home: Home) -> None:
    daemons = Daemons(home, STANDS)
    daemons.warden.ask()
    pid = daemons.daemon.pid
    assert eventually(lambda: daemons.heard(SERVING) and state_of(pid) == "S")
    daemons.warden.resting = True
    for _ in range(3 * int(MOST_SILENT)):
        daemons.warden.look()
    assert state_of(pid) == "S"
    os.kill(pid, signal.SIGKILL)
    daemons.ended()
    assert not daemons.warden.state()["gave_up"], "it was stopped"


def test_a_pulse_that_nobody_listens_to_costs_nothing() -> None:
    Pulse(None).tell("recovering")
    reader, writer = os.pipe()
    pulse = Pulse(writer)
    for _ in range(100_000):  # more than a pipe holds: the holder is stopped
        pulse.tell("recovering")
    os.close(reader)
    pulse.tell("and now it is gone")
    os.close(writer)


@pytest.fixture
def deaf(home: Home) -> Iterator[socket.socket]:
    """A daemon that takes connections and says nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(home.daemon_socket))
        listener.listen(64)
        yield listener


@pytest.mark.parametrize("size", [0, 64 << 20])
def test_whoever_waits_for_a_daemon_that_is_silent_is_told(
    home: Home, deaf: socket.socket, size: int
) -> None:
    connection = DaemonConnection(home, Patience(quiet_s=0.1, silent_s=0.3))
    with pytest.raises(
        Silent, match=rf"the daemon \(pid {os.getpid()}\) does not answer since \d+ s: `kill -KILL"
    ):
        connection.request("POST", "/v1/import", b"x" * size)  # it takes no more of a long one, either
        connection.getresponse()
    connection.close()


@contextmanager
def alive(listener: socket.socket, answers: int) -> Iterator[None]:
    """Says that it lives, and answers what else it is asked after so many times."""
    over = threading.Event()

    def serve() -> None:
        told, kept = 0, []
        listener.settimeout(0.05)
        while not over.is_set():
            with suppress(TimeoutError):
                connection = listener.accept()[0]
                if b"/v1/alive" in connection.recv(65536):
                    told += 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    connection.close()
                else:
                    kept.append(connection)
            while kept and (told >= answers or over.is_set()):
                connection = kept.pop()
                with suppress(OSError):  # nobody waits any more
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
                connection.close()
        for connection in kept:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_one_that_lives_is_waited_for(home: Home, deaf: socket.socket) -> None:
    with alive(deaf, 5):
        connection = DaemonConnection(home, Patience(quiet_s=0.1, silent_s=30.0))
        connection.request("GET", "/v1/diff")
        assert connection.getresponse().read() == b"late"
        connection.close()


def test_what_takes_no_time_has_a_deadline(home: Home, deaf: socket.socket) -> None:
    with alive(deaf, 1_000_000):
        connection = DaemonConnection(home, Patience(quiet_s=0.1, silent_s=30.0, deadline_s=0.3))
        connection.request("GET", "/v1/tree")
        with pytest.raises(Silent, match="lives, but has no answer"):
            connection.getresponse()
        connection.close()


@contextmanager
def answering(listener: socket.socket, answer: bytes) -> Iterator[list[bytes]]:
    """Gives every request this answer, and hangs up; what was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):  # it listens no more
            while True:
                with listener.accept()[0] as connection:
                    asked.append(connection.recv(65536).partition(b" HTTP")[0])
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):  # else what is left of it resets the connection
                        pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield asked
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_change_that_got_no_answer_may_have_been_made(home: Home, deaf: socket.socket) -> None:
    asked: list[tuple[Callable[[Client], object], bool]] = [
        (lambda client: client.do(Gc()), True),
        (Client.tree, False),
    ]
    with answering(deaf, b""):
        for ask, said in asked:
            with pytest.raises(DaemonUnavailable) as refusal:
                ask(Client(home, starts=False))
            assert ("may have been done" in str(refusal.value)) is said
    with pytest.raises(DaemonUnavailable) as refusal:
        Client(home, starts=False).do(Gc())
    assert "may have been" not in str(refusal.value), "nobody was asked"


def test_what_was_answered_is_not_asked_again(home: Home, deaf: socket.socket) -> None:
    body = b'{"kind": "DaemonUnavailable", "message": "the holder went away"}'
    head = f"HTTP/1.1 500 Error\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with answering(deaf, head + body) as asked:
        with pytest.raises(DaemonUnavailable, match=r"^the holder went away$"):
            Client(home, starts=False).do(Gc())
        assert asked == [b"POST /v1/store/gc"]
