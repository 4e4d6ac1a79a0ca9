"""What the verbs ask of what works in the background, as protocols: `Engine.tasks` has one of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.catalog_values import BranchRow
from core.engine.hot import Hot, Shot
from core.engine.live import Live
from core.holder.protocol import Holdings
from core.inward import PortProtocol, PublishedPort
from core.model import Commit
from core.ports import PortRow
from core.store.values import Identified


class HotCommits(Protocol):
    """The commits that are not on disk yet, and who puts them there: `core.engine.sealing.Sealer`."""

    def hot(self, commit: str) -> Hot | None:
        """A commit's state in RAM, while it is hot."""

    def all(self) -> list[Hot]:
        """Every hot commit, parents before children."""

    async def room(self, live: Live) -> None:
        """Wait until a machine may be captured; raises why the commits before it cannot be sealed."""

    async def add(self, row: BranchRow, shot: Shot, identified: Identified, message: str) -> Commit:
        """Make a captured state the head of its branch, hot. On failure nothing is added."""

    async def sealed(self, commit: str) -> None:
        """Wait until a commit is sealed; raises why it cannot be."""

    async def all_sealed(self) -> None:
        """Wait until none is hot; raises why one cannot be sealed."""

    def shorten(self, commit: str, layers: tuple[str, ...]) -> None:
        """Once a commit is sealed, let machines that lie on its layers lie on its disk view instead."""

    async def drop(self, commits: Iterable[str]) -> None:
        """Forget hot commits whose rows are about to go."""

    async def retract(self, branch: str, commit: str, former: str) -> None:
        """Take a branch's newest commit back, if it is still hot and nothing was made of it."""

    async def resume(self, holdings: Holdings) -> None:
        """Go on with what an earlier daemon left hot."""

    async def stop(self) -> None:
        """End the work."""


class StalledBranches(Protocol):
    """The branches that stand still because the host's disk is full: `core.engine.stalls.Stalls`."""

    def met(self, machine: str) -> None:
        """A machine said that it could not write its disk and stopped."""

    def found(self, live: Live) -> None:
        """A machine of an earlier daemon, or one met now, stands still."""

    async def resume(self, live: Live) -> BranchRow:
        """Let one go on now. NoRoom when it could write nothing."""

    async def stop(self) -> None:
        """Look no more."""


@dataclass(frozen=True)
class Wish:
    """A port to publish: of a branch (by its id), @trunk or @proxy, at an address of the host. Of `host_ports` the
    first that is free is taken; 0 is any.
    """

    branch: str
    guest_port: int
    protocol: PortProtocol
    address: str
    host_ports: tuple[int, ...]


class OpenPorts(Protocol):
    """The published ports, open on the host: `core.engine.ports.Ports`."""

    def shown(self) -> tuple[PublishedPort, ...]:
        """All that are published, oldest first, and why one is not open."""

    async def add(self, wishes: Sequence[Wish], *, whole: bool = True) -> tuple[PortRow, ...]:
        """Open these and write them down. If one cannot be had, none is and why is raised; unless `whole`, it alone is
        left out and its branch's listeners are told.
        """

    async def settle(self) -> None:
        """Open what the catalog has and close what it has no more. What cannot be opened says why, and is tried again
        from time to time.
        """

    async def stop(self) -> None:
        """Let nobody in any more. Who comes waits for the next daemon."""


class WayOut(Protocol):
    """What carries to the outside what branches may reach there: `core.engine.outside.Pasta`."""

    async def open(self) -> None:
        """Have it, before a branch may reach anything. Unsupported says why there is none."""

    def settle(self) -> None:
        """Branches have come or gone, or may reach something else: see whether it is needed still."""

    async def watch(self) -> None:
        """For ever: keep it while it is needed, and end it when it is not."""

    def leave(self) -> None:
        """Let go of it: the daemon ends, the way out does not."""


class SecretSwapper(Protocol):
    """Who takes placeholders out of what goes to a secret's sites: `core.engine.swapper.Swappers`."""

    def settle(self) -> None:
        """Secrets have changed: what is swapped from now on is what there is."""

    async def serve(self) -> None:
        """For ever: be there for guests."""


class Weights(Protocol):
    """How much machines weigh against each other: `core.engine.weights.MachineWeights`."""

    def check(self) -> None:
        """Unsupported says what this host lacks."""

    def settle(self) -> None:
        """Weights have changed, or machines come or gone: see to it."""

    async def watch(self) -> None:
        """For ever: as that is so."""


@dataclass
class Tasks:
    """One of each."""

    sealer: HotCommits
    stalls: StalledBranches
    ports: OpenPorts
    outside: WayOut
    weights: Weights
    swapper: SecretSwapper
