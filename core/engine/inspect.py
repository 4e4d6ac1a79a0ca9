"""Reading: the tree, and what each machine takes."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

from msgspec.structs import replace

from core.catalog_values import BranchRow
from core.engine import egress, links
from core.engine.context import Engine
from core.engine.images import better_accelerator, image_bytes
from core.engine.live import Live
from core.engine.memory import pss_bytes
from core.engine.pool import waiting
from core.errors import VertuiError
from core.model import Branch, BranchState, Image, Tree
from core.reach import Traffic

Looks = dict[str, tuple[int, int, int, int]]
"""Of machines, by their ids: memory in bytes, percent of a core, changed memory and written disk in bytes."""


async def tree(engine: Engine) -> Tree:
    """Branches with their machines' figures, commits with their nearest kept ancestors, images, the trunk."""
    sequence, moment, trunk = engine.events.sequence, engine.catalog.moment, engine.catalog.setting("trunk")
    rows = engine.catalog.branches()
    counted, linked = await egress.traffic(engine), links.shown(engine)
    branches = await asyncio.gather(*(branch(engine, row, trunk, counted, linked) for row in rows))
    name = next((row.name for row in rows if row.id == trunk), None)
    ready = await asyncio.to_thread(waiting, engine)
    return Tree(
        tuple(branches), engine.commits(), images(engine), name, ready, sequence, engine.tasks.ports.shown(),
        moment,
    )  # fmt: skip


def images(engine: Engine) -> tuple[Image, ...]:
    """All images, with what they take and what advice there is."""
    return tuple(
        replace(image, size_bytes=image_bytes(engine, image), note=better_accelerator(engine, image))
        for image in engine.catalog.images()
    )


async def branch(
    engine: Engine,
    row: BranchRow,
    trunk: str | None = None,
    counted: Mapping[int, Traffic] | None = None,
    linked: Mapping[str, tuple[str, ...]] | None = None,
    looked: Looks | None = None,
) -> Branch:
    """One branch as `ls` shows it. What is counted, and who is linked, is asked for unless it is given; what a machine
    takes unless `looked` has it, where it is added.
    """
    linked = links.shown(engine) if linked is None else linked
    shown = replace(
        row.shown(), trunk=row.id == (trunk or engine.catalog.setting("trunk")), links=linked.get(row.id, ()),
        parent_branch=engine.catalog.name_of(row.parent_branch),
    )  # fmt: skip
    live = engine.machines.live.get(row.id)
    if live is None:
        return shown
    info = live.network.info
    memory, cpu, changed, disk = await _figures(engine, row, live, {} if looked is None else looked)
    counted = await egress.traffic(engine) if counted is None else counted
    return replace(
        shown, address=info.address, namespace=info.namespace, tap=info.tap, pid=live.machine.pid,
        memory_bytes=memory, changed_bytes=changed, disk_bytes=disk,
        uptime_s=round(time.time() - (row.started or row.created), 1), cpu_percent=cpu, last=live.last,
        traffic=counted.get(live.network.index, Traffic()), refused=live.refused.newest,
    )  # fmt: skip


async def _figures(engine: Engine, row: BranchRow, live: Live, looked: Looks) -> tuple[int, int, int, int]:
    """PSS, percent of a core, changed memory and the written disk layer, in bytes; zero for what just ended, or is
    being loaded: to look would take the processor from that.
    """
    if row.state is BranchState.STARTING:
        return 0, 0, 0, 0
    if live.machine.id not in looked:
        changed = disk = 0
        memory, cpu = await asyncio.to_thread(_taken, live)
        with contextlib.suppress(VertuiError):
            changed = await live.machine.changed_bytes()
        with contextlib.suppress(OSError, IndexError):
            disk = engine.store.layer_path(live.machine.layers[-1]).stat().st_blocks * 512
        looked[live.machine.id] = memory, cpu, changed, disk
    return looked[live.machine.id]


def _taken(live: Live) -> tuple[int, int]:
    """By its process: memory, and the processor."""
    pid = live.machine.pid
    return pss_bytes(pid), live.busy.look(pid)
