"""The daemon's connections to the holder: one that broke is made again, and no exit is missed meanwhile."""

import asyncio
import contextvars
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from core.errors import DaemonUnavailable, NoRoom
from core.holder.held import HolderLine
from core.home import Home
from core.log import REQUEST
from tests.guests import SOON_S

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


@contextmanager
def holding(home: Home, answer: Answer) -> Iterator[None]:
    """A holder that answers so, and hangs up where there is no answer."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(home.holder_socket))
    listener.listen(8)

    def serve(peer: socket.socket) -> None:
        with peer:
            while (data := peer.recv(65536)) and (told := answer(json.loads(data))) is not None:
                peer.send(json.dumps(told).encode())

    def accept() -> None:
        while True:
            try:
                peer = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(peer,), daemon=True).start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        home.holder_socket.unlink()


def test_a_connection_that_broke_is_made_again(home: Home) -> None:
    answers: list[dict[str, Any] | None] = [None, {"children": {}, "kept": [], "exits": {}, "pid": 7}]
    with holding(home, lambda _: answers.pop(0)):
        held = HolderLine(home)
        with pytest.raises(DaemonUnavailable):
            held.holdings()
    with pytest.raises(DaemonUnavailable):
        held.holdings()
    with holding(home, lambda _: answers.pop(0)):
        assert held.holdings().pid == 7
        held.close()


def test_the_holder_is_told_what_request_it_works_for(home: Home) -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return {}

    def kill() -> None:
        REQUEST.set("r1")
        held.kill("machine:a")

    with holding(home, answer):
        held = HolderLine(home)
        contextvars.copy_context().run(kill)
        held.kill("machine:a")
        held.close()
    named, plain = asked
    assert named == plain | {"request": "r1"}


async def test_who_was_dropped_watches_again_and_misses_nothing(home: Home) -> None:
    listings = [{"children": {}, "kept": [], "exits": {"machine:a": 9}, "pid": 7}]
    watching: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(home.holder_socket))
        listener.listen(8)

        def serve() -> None:
            asking = listener.accept()[0]
            for _ in range(2):
                watching.append(listener.accept()[0])
                assert json.loads(watching[-1].recv(1024)) == {"do": "watch"}
                watching[-1].send(b"{}")
                if len(watching) == 1:
                    watching[0].close()
            assert json.loads(asking.recv(1024)) == {"do": "list"}
            asking.send(json.dumps(listings.pop()).encode())
            watching[1].send(json.dumps({"exit": "machine:b", "status": 0}).encode())
            asking.close()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        held, ended = HolderLine(home), asyncio.Queue[tuple[str, int]]()
        held.watch(lambda key, status: ended.put_nowait((key, status)))
        async with asyncio.timeout(SOON_S):
            assert [await ended.get(), await ended.get()] == [("machine:a", 9), ("machine:b", 0)]
        serving.join()
        watching[1].close()
        held.close()


def test_what_is_absent_is_none_and_what_does_not_arrive_is_want_of_descriptors(home: Home) -> None:
    with holding(home, lambda request: {"absent": True} if request["key"] == "absent" else {}):
        held = HolderLine(home)
        assert held.get("absent") is None
        with pytest.raises(NoRoom, match="descriptors"):
            held.get("kept")
        held.close()
