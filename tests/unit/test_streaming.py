"""A command followed over several connections: what a client said on one that broke is said again on the next."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.daemon.streams import Exit, Signalled, Started, StreamMessage
from core.errors import DaemonUnavailable
from core.home import Home
from core.model import ExecRequest
from vertui import streaming
from vertui.streaming import Follower


class Connection:
    """A daemon's end that tells `messages` and is gone unless the last is an exit; `said` is what it was told."""

    def __init__(self, *messages: Any) -> None:
        self.messages, self.said = messages, list[tuple[Any, ...]]()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[StreamMessage]:
        for message in self.messages:
            yield message(self) if callable(message) else message
        raise DaemonUnavailable("the daemon went away")

    def signal(self, number: int, key: str) -> None:
        self.said.append((number, key))

    def resize(self, rows: int, columns: int) -> None:
        self.said.append((rows, columns))


def test_what_was_said_to_a_daemon_that_is_gone_is_said_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(
        Home(tmp_path, tmp_path), ExecRequest("b1", ("cat",)), lambda *_: None, lambda _: None
    )

    def begun(_: Connection) -> Started:
        follower.signal(2)
        follower.resize(24, 80)
        return Started(7)

    def done(connection: Connection) -> Signalled:
        return Signalled(connection.said[-1][1])

    first, second, third = Connection(begun), Connection(done), Connection(Exit(130, False))
    coming = [first, second, third]
    monkeypatch.setattr(streaming, "PAUSE_S", 0)
    monkeypatch.setattr(streaming, "revive", lambda *_: None)
    monkeypatch.setattr(Follower, "_open", lambda self, again: coming.pop(0))
    assert follower.follow() == Exit(130, False)
    assert [number for number, _ in first.said] == [2, 24]
    assert second.said == [(24, 80), first.said[0]]
    assert third.said == [(24, 80)]
