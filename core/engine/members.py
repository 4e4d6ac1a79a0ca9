"""Machines that wait for a branch: started ones, and spares that are loaded with a commit as well."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.machine.protocol import Machine
from core.model import Image
from core.network.protocol import Network

MACHINES = 8  # started machines that wait: what an agent that tries things side by side forks at once
SPARES = 2  # loaded machines a commit: its next fork, and the one right after
FLOOR_MIB = 1024  # memory that stays for everybody else


@dataclass(eq=False)
class Warm:
    """A machine of no branch, started on the memory of commit `base`; a spare is loaded with `commit` as well."""

    machine: Machine
    network: Network
    image: Image
    base: str
    commit: str | None = None
    ended: bool = False


@dataclass(frozen=True)
class LastFork:
    """What was forked last: a branch by its id if it had a machine, and the commit its children came from."""

    branch: str | None
    commit: str


@dataclass
class Members:
    """The machines that wait, and those that were claimed: they are being made, or about to become a branch's. Lives on
    the event loop.

    A number in `reserved` belongs to a machine that is being made.
    """

    waiting: list[Warm] = field(default_factory=list)
    claimed: dict[str, Warm] = field(default_factory=dict)
    reserved: set[int] = field(default_factory=set)
    last_fork: LastFork | None = None
    roomy: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __iter__(self) -> Iterator[Warm]:
        yield from self.waiting
        yield from self.claimed.values()

    @property
    def numbers(self) -> set[int]:
        """Network numbers that are taken though no row has them."""
        return {warm.network.index for warm in self} | self.reserved

    def claim(self, image: Image, base: str, commit: str | None, most: int) -> list[Warm]:
        """Claim up to `most` machines in which a state of this image on `base` can start, spares of `commit` first."""
        ready = [warm for warm in self.waiting if commit is not None and warm.commit == commit]
        ready += [
            warm
            for warm in self.waiting
            if warm.commit is None and warm.base == base and warm.image.spec == image.spec
        ]
        return self._take(ready[:most])

    def claim_spares(self, commit: str, count: int) -> list[Warm]:
        """Take `count` spares of a commit; none when there are fewer."""
        ready = [warm for warm in self.waiting if warm.commit == commit]
        return self._take(ready[:count]) if len(ready) >= count else []

    def give_back(self, claimed: list[Warm]) -> None:
        """Let what was claimed, and not touched, wait again."""
        for warm in claimed:
            if self.claimed.pop(warm.machine.id, None):
                self.waiting.append(warm)

    def find(self, machine: str) -> Warm | None:
        """The one that waits with this machine id."""
        return next((warm for warm in self.waiting if warm.machine.id == machine), None)

    def _take(self, taken: list[Warm]) -> list[Warm]:
        for warm in taken:
            self.waiting.remove(warm)
            self.claimed[warm.machine.id] = warm
        self.changed.set()
        return taken
