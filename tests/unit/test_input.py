"""Standard input kept until a command has taken it: a window of it, whole over any number of connections."""

import random
import threading

import pytest

from core.daemon.input import Input
from core.errors import DaemonUnavailable
from core.guest.agent.wire import WINDOW_BYTES

JOIN_S = 20.0


def written(stdin: Input, data: bytes) -> threading.Thread:
    """Somebody who writes, and then says that it was all."""

    def write() -> None:
        stdin.write(data)
        stdin.eof()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def test_all_of_it_arrives_once_over_connections_that_break() -> None:
    """A guest that takes what it likes, and a line that breaks with input under way."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    data = dice.randbytes(5 * WINDOW_BYTES + dice.randrange(1000))
    stdin, got, taken = Input(), bytearray(), 0
    writing = written(stdin, data)
    over = False
    while not over:
        stdin.begin(len(got), taken)
        sent = len(got)  # of which the guest gets less, if the connection breaks
        for _ in range(dice.randrange(1, 20)):
            piece = stdin.after(sent)
            over = over or piece is None
            sent += len(piece or b"")
            assert sent - taken <= WINDOW_BYTES
            if dice.random() < 0.9:
                got += (piece or b"") if sent - len(piece or b"") == len(got) else b""
            taken = max(taken, dice.randrange(len(got) + 1))
            stdin.taken(taken)
        over = over and len(got) == len(data)
    writing.join(JOIN_S)
    assert bytes(got) == data


def test_who_writes_waits_for_room_and_not_for_one_that_takes_no_more() -> None:
    stdin = Input()
    stdin.begin(0, 0)
    writing = written(stdin, bytes(WINDOW_BYTES + 1))
    writing.join(0.1)
    assert writing.is_alive()
    stdin.shut()
    writing.join(JOIN_S)
    assert not writing.is_alive()
    assert not stdin.write(b"more")
    assert stdin.after(0) == b""


def test_who_writes_is_told_that_nothing_can_be_sent() -> None:
    stdin = Input()
    stdin.fail(DaemonUnavailable("the daemon went away"))
    with pytest.raises(DaemonUnavailable):
        stdin.write(b"x")
