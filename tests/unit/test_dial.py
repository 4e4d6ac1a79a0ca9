"""A connection into a guest is handed to whoever asks, whole and both ways, and nobody stands between its ends."""

import asyncio
import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from core.daemon.client import Client
from core.engine.dial import dial
from core.errors import GuestFailed, VertuiError
from tests.guests import SOON_S
from tests.twins.engine import Twins, twin_engine
from tests.twins.network import TwinNetwork
from tests.twins.served import served

JOINED = (
    "import socket, sys; from vertui import plumbing; plumbing.{}(socket.socket(fileno=int(sys.argv[1])))"
)
SIZE = 8 << 20
PIPE_BYTES = 64 * 1024


def on_twins(body: Callable[[Twins], Awaitable[None]]) -> None:
    """With a branch that listens where this machine does."""

    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await twins.do("up")
            network = twins.engine.machine("main").network
            assert isinstance(network, TwinNetwork)
            network.reached_at("127.0.0.1")
            await body(twins)
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SOON_S)
        yield listener, listener.getsockname()[1]


def test_a_connection_outlives_the_daemon_that_made_it() -> None:
    async def body(twins: Twins) -> None:
        with listening() as (listener, port):
            async with served(twins) as client:
                ours = await asyncio.to_thread(client.dial, "main", port)
                theirs = listener.accept()[0]
            with ours, theirs:
                assert ours.gettimeout() is None and not ours.get_inheritable()
                ours.sendall(b"question")
                ours.shutdown(socket.SHUT_WR)
                assert theirs.recv(100) == b"question" and theirs.recv(100) == b""
                theirs.sendall(b"answer")
                theirs.close()
                assert ours.recv(100) == b"answer" and ours.recv(100) == b""

    on_twins(body)


def test_there_is_one_descriptor_a_connection_and_none_without() -> None:
    """What the daemon keeps would hold a connection open that everybody else has closed."""

    async def body(twins: Twins) -> None:
        with listening() as (listener, port):
            async with served(twins) as client:
                ours = await asyncio.to_thread(client.dial, "main", port)
                theirs = listener.accept()[0]
                ours.close()
                theirs.settimeout(SOON_S)
                assert theirs.recv(1) == b""
                theirs.close()
                asked = {"branch": "main", "port": port}
                assert await asyncio.to_thread(client._post, "/v1/dial", asked) == asked
                with listener.accept()[0] as theirs:
                    theirs.settimeout(SOON_S)
                    assert theirs.recv(1) == b"", "a client that takes no descriptors leaves none open"

    on_twins(body)


def refused(client: Client, branch: str, port: int) -> str:
    with pytest.raises(VertuiError) as told:
        client.dial(branch, port)
    return f"{told.value.kind}: {told.value}"


def test_what_cannot_be_reached_is_said_in_one_line() -> None:
    async def body(twins: Twins) -> None:
        await twins.do("fork", "main", 1, "still")
        await twins.do("pause", "still")
        with listening() as (_, port):
            pass
        async with served(twins) as client:
            told = [
                await asyncio.to_thread(refused, client, branch, number)
                for branch, number in (
                    ("main", port),
                    ("still", 22),
                    ("nobody", 22),
                    ("main", 0),
                    ("main", 65536),
                )
            ]
        assert told[0] == f"Conflict: nothing listens on port {port} of main"
        assert told[1].startswith("Conflict: branch still is paused")
        assert told[2].startswith("NotFound: no branch 'nobody'")
        assert [line.partition(":")[0] for line in told[3:]] == ["UsageError"] * 2

    on_twins(body)


def test_a_guest_that_says_nothing_is_not_waited_for_for_ever() -> None:
    async def body(twins: Twins) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            with (
                socket.create_connection(("127.0.0.1", port)),
                pytest.raises(GuestFailed, match=f"port {port} of main cannot be reached: no answer within"),
            ):
                (await dial(twins.engine, "main", port, within_s=0.2)).close()

    on_twins(body)


@contextmanager
def joined(how: str, **streams: Any) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A process whose streams are joined to a connection, and the other end of that."""
    with listening() as (listener, port), socket.create_connection(("127.0.0.1", port)) as ours:
        theirs = listener.accept()[0]
        theirs.settimeout(SOON_S)
        argv = [sys.executable, "-c", JOINED.format(how), str(ours.fileno())]
        process = subprocess.Popen(argv, pass_fds=[ours.fileno()], **streams)
        ours.close()
        with process, theirs:
            try:
                yield process, theirs
            finally:
                process.kill()


def say(peer: socket.socket, data: bytes) -> None:
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


def test_all_of_both_directions_arrives_and_each_ends_by_itself() -> None:
    there, back = bytes(range(256)) * (SIZE // 256), bytes(range(255, -1, -1)) * (SIZE // 256)
    with joined("join", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as (process, peer):
        assert process.stdin and process.stdout
        writing = threading.Thread(target=lambda: (process.stdin.write(there), process.stdin.close()))  # type: ignore[union-attr]
        writing.start()
        received = hashlib.sha256()
        while data := peer.recv(1 << 20):
            received.update(data)
        assert received.hexdigest() == hashlib.sha256(there).hexdigest(), "what input was, up to its end"
        writing.join()
        answering = threading.Thread(target=say, args=(peer, back))
        answering.start()
        assert process.stdout.read() == back
        answering.join()
        assert process.wait(SOON_S) == 0


def test_a_peer_that_says_no_more_is_still_told_things() -> None:
    with joined("join", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as (process, peer):
        assert process.stdin and process.stdout
        peer.shutdown(socket.SHUT_WR)
        assert process.stdout.read() == b"", "its end is passed on at once"
        process.stdin.write(b"late")
        process.stdin.close()
        assert peer.recv(100) == b"late" and peer.recv(100) == b""
        assert process.wait(SOON_S) == 0


def test_nobody_who_writes_is_ahead_of_a_peer_that_does_not_read() -> None:
    with joined("join", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as (process, peer):
        assert process.stdin
        taken = 0

        def write() -> None:
            nonlocal taken
            with pytest.raises(BrokenPipeError):
                while True:
                    process.stdin.write(bytes(PIPE_BYTES))  # type: ignore[union-attr]
                    taken += PIPE_BYTES

        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIPE_BYTES)
        writing = threading.Thread(target=write)
        writing.start()
        before = -1
        while taken != before:
            before = taken
            writing.join(1.0)
        assert writing.is_alive() and taken < SIZE
        peer.close()
        writing.join(SOON_S)
        assert not writing.is_alive(), "whoever writes is told that nobody reads"


def test_the_connection_itself_goes_to_who_asks_for_it() -> None:
    reading, writing = socket.socketpair()
    with reading, writing, joined("hand_on", stdout=writing) as (process, peer):
        assert process.wait(SOON_S) == 0
        _, [descriptor], _, _ = socket.recv_fds(reading, 1, 1)
        with socket.socket(fileno=descriptor) as ours:
            ours.sendall(b"directly")
            assert peer.recv(100) == b"directly"


def test_it_goes_to_no_pipe() -> None:
    with joined("hand_on", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as (process, _):
        _, said = process.communicate(timeout=SOON_S)
        assert b"UsageError: --pass goes with a Unix socket" in said
