"""How much machines weigh against each other where the host's processors are scarce: cgroup v2's weights.

As soon as one branch of a home weighs other than usual, each machine is in a group of its own: among those weights
count.
"""

import asyncio
import logging

from core.cgroups import USUAL_WEIGHT, Cgroups
from core.engine import marks
from core.engine.change import Change
from core.engine.context import Engine
from core.errors import Unsupported
from core.model import Operation

AGAIN_S = 0.2  # between two looks: machines come and go by the dozen

logger = logging.getLogger(__name__)

Weighed = dict[str, tuple[int, int]]  # by machine: its process and its weight


class MachineWeights:
    """Keeps the machines of an engine in their groups."""

    def __init__(self, engine: Engine, groups: Cgroups | None = None) -> None:
        self._engine = engine
        self._groups = groups or Cgroups(engine.home.runtime.name)
        self._changed = asyncio.Event()
        self._placed: Weighed = {}

    def check(self) -> None:
        """Unsupported says what this host lacks."""
        if lacks := self._groups.lacks():
            raise Unsupported(lacks)

    def settle(self) -> None:
        """Weights have changed, or machines come or gone: see to it."""
        self._changed.set()

    async def watch(self) -> None:
        """For ever: as that is so."""
        await asyncio.to_thread(self._groups.tidy)
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = self._wanted()
            if wanted or self._placed:
                await asyncio.to_thread(self._place, wanted)
            await asyncio.sleep(AGAIN_S)

    def _wanted(self) -> Weighed:
        rows = [row for row in self._engine.catalog.branches() if row.id in self._engine.machines.live]
        if all(row.weight == USUAL_WEIGHT for row in rows):
            return {}
        machines = ((self._engine.machines.live[row.id].machine, row.weight) for row in rows)
        return {machine.id: (machine.pid, weight) for machine, weight in machines}

    def _place(self, wanted: Weighed) -> None:
        placed = {}
        for name, (pid, weight) in wanted.items():
            try:
                if self._placed.get(name) != (pid, weight):
                    self._groups.weigh(name, pid, weight)
                placed[name] = (pid, weight)
            except OSError as error:
                logger.warning("machine %s is not weighed: %s", name, error.strerror or error)
        self._groups.tidy(placed)
        self._placed = placed


async def weigh(engine: Engine, request_id: str, name: str, weight: int) -> Operation:
    """Have a branch weigh so much from now on, whether it runs or not. Unsupported where the host cannot."""
    engine.tasks.weights.check()
    row = engine.branch(name)
    change = Change(weights={row.id: weight})
    return await marks.changed(engine, request_id, "weigh", f"weigh {row.name} {weight}", change)
