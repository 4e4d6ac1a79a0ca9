"""What a screen has that may only look: whatever it is made to ask, nothing is sent that changes anything.

Its keys say so before they get here (`vertui.actions`); this is for the one that would not.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.daemon.endpoint import Endpoint
from core.errors import UsageError
from core.model import Command, ExecRequest, Process, Tree
from vertui.actions import READ_ONLY
from vertui.feed import Events, Feed, Offsets, Printing

if TYPE_CHECKING:
    from core.daemon.client import Client
    from core.daemon.streams import StreamMessage


def reading_client(endpoint: Endpoint) -> "Client":
    """A client that reads, and refuses all else. The real one is imported when it is first needed."""
    from core.daemon.client import Client

    class ReadingClient(Client):
        def _raw(self, method: str, *given: Any, **named: Any) -> bytes:
            if method != "GET":
                raise UsageError(READ_ONLY)
            return super()._raw(method, *given, **named)

        def dial(self, branch: str, port: int) -> Any:
            raise UsageError(READ_ONLY)

    return ReadingClient(endpoint, starts=False)


class ReadingFeed:
    """Another feed, of which nothing is started, typed into or interrupted; the daemon neither, unless it `starts`."""

    def __init__(self, feed: Feed, *, starts: bool) -> None:
        self._feed, self._starts = feed, starts

    def start(self) -> None:
        """Make sure that there is something to read from, or wait for it."""
        (self._feed.start if self._starts else self._feed.rejoin)()

    def rejoin(self) -> None:
        """The same, where somebody may have ended it on purpose."""
        self._feed.rejoin()

    def tree(self) -> Tree:
        """The tree as it is now."""
        return self._feed.tree()

    def events(self) -> Events:
        """Events from now on."""
        return self._feed.events()

    def commands(self, branch: str) -> list[Command]:
        """Commands of a branch, by exec."""
        return self._feed.commands(branch)

    def processes(self, branch: str) -> list[Process]:
        """Processes in a branch's guest."""
        return self._feed.processes(branch)

    def console(self, branch: str) -> Printing:
        """What a machine's console prints."""
        return _Heard(self._feed.console(branch))

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """What a command printed from these offsets of its two streams, and what follows."""
        return _Heard(self._feed.output(branch, command, offsets))

    def run(self, request: ExecRequest) -> Printing:
        """Refused."""
        raise UsageError(READ_ONLY)


class _Heard:
    """What is printed, and nothing said back."""

    def __init__(self, printing: Printing) -> None:
        self._printing = printing

    def __iter__(self) -> "Iterator[StreamMessage]":
        return iter(self._printing)

    def write(self, data: bytes) -> bool:
        """Nothing is taken."""
        return False

    def signal(self, number: int) -> None:
        """Refused."""
        raise UsageError(READ_ONLY)

    def close(self) -> None:
        """Follow no more."""
        self._printing.close()
