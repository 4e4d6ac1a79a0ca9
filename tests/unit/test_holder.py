"""The holder, on its main loop's parts: nothing that it is told or meets ends it."""

import os
import socket
import time
from collections.abc import Iterator

import pytest

from core import linux
from core.holder import nursery
from core.holder.server import Holder
from core.holder.spawn import spawn
from core.home import Home

ODD = (b"", b"[]", b"7", b"null", b"{}", b'{"do": 1}', b'{"do": "kill", "key": []}', b"[" * 100_000, b"\xff",
       b'{"do": "spawn"}', b'{"do": "spawn", "argv": [], "log": 5}', b'{"do": "keep", "key": "x"}')  # fmt: skip


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


def test_what_is_not_kept_is_told_from_what_cannot_be_passed(holder: Holder) -> None:
    """By `Held.get`, which sees no descriptor either way."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert holder._answer(theirs, b'{"do": "get", "key": "x"}', []) == ({"absent": True}, [])
        kept = os.open("/dev/null", os.O_RDONLY)
        assert holder._answer(theirs, b'{"do": "keep", "key": "x"}', [kept]) == ({}, [])
        assert holder._answer(theirs, b'{"do": "get", "key": "x"}', []) == ({}, [kept])
        holder._answer(theirs, b'{"do": "drop", "key": "x"}', [])


def test_a_nursery_that_is_too_slow_ends_with_what_it_has_forked(holder: Holder) -> None:
    """In a process of its own: whatever child that has and the holder does not know of is taken for a server."""
    if (pid := os.fork()) == 0:
        try:
            os._exit(_give_up(holder))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _give_up(holder: Holder) -> int:
    """Ask one that says that it is ready, and no more; how many of three children are left, or known, after that."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.send(nursery.READY)
    nothing = os.open("/dev/null", os.O_RDWR)
    holder.kept["nursery"] = ours.detach()
    holder.children = {name: spawn(["sleep", "100"], [nothing] * 3) for name in ("nursery", "machine")}
    spawn(["sleep", "100"], [nothing] * 3)  # forked by the nursery, which was too slow to say so
    given = holder._forked("nursery", [nothing])
    deadline = time.monotonic() + 10.0
    while (left := linux.children()) != [holder.children["machine"]] and time.monotonic() < deadline:
        holder._reap()
    os.kill(holder.children["machine"], 9)
    return len(left) - 1 + len(holder.children) - 1 + len(holder.kept) + (given is not None)
