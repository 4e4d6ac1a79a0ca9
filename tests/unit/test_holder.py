"""The holder, on its main loop's parts: nothing that it is told or meets ends it."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.daemon.holder import Holder
from core.home import Home, find_home

ODD = (b"", b"[]", b"7", b"null", b"{}", b'{"do": 1}', b'{"do": "kill", "key": []}', b"[" * 100_000, b"\xff",
       b'{"do": "spawn"}', b'{"do": "spawn", "argv": [], "log": 5}', b'{"do": "keep", "key": "x"}')  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = find_home(str(tmp_path / "home"))
    made.make()
    yield made
    shutil.rmtree(made.runtime, ignore_errors=True)


@pytest.fixture
def holder(home: Home) -> Iterator[Holder]:
    made = Holder(home)
    yield made
    made.listener.socket.close()
    made.selector.close()


@pytest.mark.parametrize("odd", ODD)
def test_no_message_ends_the_holder(holder: Holder, odd: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        answer, passed = holder._answer(theirs, odd, [])
    assert not passed and (answer == {} or "error" in answer)
