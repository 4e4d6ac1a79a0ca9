"""A holder or daemon with too many clients for now is waited for, not taken for none or for somebody else's."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import async_sockets
from core.holder.ask import ask_holder
from core.home import Home
from core.sockets import connect


@contextmanager
def crowded(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    """A listener with as many clients waiting as it has room for."""
    with socket.socket(socket.AF_UNIX, kind) as listener, socket.socket(socket.AF_UNIX, kind) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        yield listener


def test_a_full_backlog_is_waited_for(home: Home) -> None:
    with crowded(home.daemon_socket) as listener:
        with pytest.raises(TimeoutError):
            connect(home.daemon_socket, timeout_s=0.05)
        room = threading.Timer(0.1, lambda: listener.accept()[0].close())
        room.start()
        connect(home.daemon_socket, timeout_s=10.0).close()
        room.join()


def test_a_full_backlog_is_no_impostor(home: Home) -> None:
    with crowded(home.daemon_socket), pytest.raises(BlockingIOError):
        asyncio.run(async_sockets.connect(home.daemon_socket))


def test_a_holder_without_room_is_asked_again(home: Home) -> None:
    assert ask_holder(home, "state") is None

    def serve(listener: socket.socket) -> None:
        time.sleep(0.05)
        for _ in range(3):
            listener.accept()[0].close()  # the first waits for nothing, the others are asking
        with listener.accept()[0] as peer:
            peer.send(json.dumps({"asked": json.loads(peer.recv(1024))["do"]}).encode())

    with crowded(home.holder_socket, socket.SOCK_SEQPACKET) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        assert ask_holder(home, "state") == {"asked": "state"}
        serving.join()
    assert ask_holder(home, "state") is None, "it listens no more"
