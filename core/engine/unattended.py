"""Commands that run on without a client: a fork began them, their client has left, or is their parent's in a fork's
children. Their ends are to be written into their branches' journals all the same, and this is what is known of them
until then.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.commands import Recorded
from core.journal.entry import JournalExec

MOST_ENDED = 1000  # commands whose ends are remembered: a client that comes back tells of none a second time


@dataclass(frozen=True)
class UnattendedCommand:
    """A command of a branch's guest, as its entry told that it was begun, who began it, and the branch's head then.
    `mark` is the journal's: once that is another one, the machine was taken back and the command is gone. Of its output
    the entry of its end keeps as much as is `recorded`.
    """

    branch: str
    begun: JournalExec
    author: str
    commit: str
    mark: int
    recorded: Recorded = "some"

    @property
    def id(self) -> str:
        """Names it among all."""
        return _id(self.branch, self.begun.command)


@dataclass
class Unattended:
    """Those of all branches. Lives on the event loop."""

    _commands: dict[str, UnattendedCommand] = field(default_factory=dict)
    _followed: list[Callable[[], UnattendedCommand | None]] = field(default_factory=list)
    _ended: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_ENDED))

    def add(self, command: UnattendedCommand) -> None:
        """Have its end written down."""
        self._commands[command.id] = command

    def get(self, id: str) -> UnattendedCommand | None:
        """The command of an id, as long as its end is still to be written down."""
        return self._commands.get(id)

    def all(self) -> Iterator[UnattendedCommand]:
        """Those whose ends are still to be written down."""
        return iter([*self._commands.values()])

    @contextmanager
    def followed(self, told: Callable[[], UnattendedCommand | None]) -> Iterator[None]:
        """In the body a client follows a command and has its end written down. What it would be without that client is
        `told`; None once its end is known.
        """
        self._followed.append(told)
        try:
            yield
        finally:
            self._followed.remove(told)

    def running(self, branch: str, mark: int) -> tuple[UnattendedCommand, ...]:
        """All that a branch's machine is in the middle of, followed or not, as they would be without a client. The
        journal's mark tells of those before it that they are gone.
        """
        found = (*self._commands.values(), *(told() for told in self._followed))
        return tuple(one for one in found if one and one.branch == branch and one.mark == mark)

    def end(self, command: UnattendedCommand, *, written: bool) -> None:
        """It has ended, and that was written down; or there is no such command any more. Idempotent."""
        self._commands.pop(command.id, None)
        if written:
            self._ended.append(command.id)

    def take(self, branch: str, number: int) -> bool:
        """Its client is back, and writes its end down itself; unless that was done, which is False."""
        self._commands.pop(_id(branch, number), None)
        return _id(branch, number) not in self._ended


def _id(branch: str, number: int) -> str:
    return f"{branch} {number}"
