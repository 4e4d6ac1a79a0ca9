"""The machines of a home, whoever's they are."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.engine.live import Live
from core.engine.members import Members
from core.engine.reaping import Reaping
from core.engine.sleepers import Sleepers
from core.machine.protocol import Machine

WAKING = 8  # guests that get their identities at once: a hundred would all answer too late


@dataclass
class Machines:
    """The branches' (`live`, by the branches' ids), those that wait for one, and the image's that is being built; the
    networks of those that have ended, and the branches that are suspended or started meanwhile. They are `found` once
    those of an earlier daemon are accounted for.
    """

    live: dict[str, Live] = field(default_factory=dict)
    members: Members = field(default_factory=Members)
    booting: Live | None = None
    reaping: Reaping = field(default_factory=Reaping)
    sleepers: Sleepers = field(default_factory=Sleepers)
    waking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WAKING))
    found: bool = False

    def __iter__(self) -> Iterator[Machine]:
        yield from (live.machine for live in self.live.values())
        yield from (warm.machine for warm in self.members)

    @property
    def bases(self) -> set[str]:
        """The commits that they lie on."""
        lives = self.live.values()
        found = {base for live in lives for base in (live.base, live.machine.disk_base) if base}
        return found | {warm.base for warm in self.members}

    @property
    def numbers(self) -> set[int]:
        """The network numbers that they have."""
        lives = {live.network.index for live in self.live.values()}
        return lives | self.members.numbers | self.reaping.numbers
