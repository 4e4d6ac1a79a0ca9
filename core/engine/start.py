"""Machines out of commits: loaded, continued, and made distinct before anything but the agent runs in them."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from core.catalog_values import BranchRow
from core.engine import chains, egress, links, touched
from core.engine.bases import check_root, disk_of
from core.engine.context import Engine, new_id
from core.engine.live import CONNECT_DEADLINE_S, FREEZE_S, Live
from core.engine.members import Warm
from core.engine.transfer import check_trusted
from core.engine.warm import end_machine, end_warm, start_warm
from core.errors import GuestFailed, MachineFailed
from core.guest.client import AgentClient
from core.guest.identity import make_identity
from core.model import BranchState, Image
from core.pages import Pages, Table
from core.store.values import Captured


@dataclass(frozen=True)
class StartState:
    """A state to start machines from: pages (n,) and contents (n, 4096) over the memory of commit `base`, devices, and
    disk layers over the disk of commit `disk_base`. The devices of a sealed one are still being read: whoever awaits
    them is told what is damaged.
    """

    image: Image
    base: str
    disk_base: str
    pages: Pages
    table: Table
    devices: asyncio.Future[bytes]
    layers: tuple[str, ...]
    quiesced: bool

    @property
    def needs(self) -> tuple[str, ...]:
        """The layers and commits it lies on (see `Engine.needing`)."""
        return (*self.layers, self.base, self.disk_base)


def source_of(engine: Engine, commit_id: str) -> StartState:
    """A commit's state. Of a sealed one only the devices are read now, memory and disk when a machine touches them.
    That of a hot one lies in RAM. It may be sealed while it is being loaded, so have the store keep what the state
    `needs`.
    """
    commit = engine.catalog.commit(commit_id)
    engine.check_there(commit)
    check_trusted(commit)
    image = engine.image(commit.image)
    if hot := engine.tasks.sealer.hot(commit_id):
        return source_in_ram(image, hot.captured)
    touched.store_ahead(engine, image, commit_id)
    devices = asyncio.create_task(asyncio.to_thread(engine.store.devices, commit_id))
    devices.add_done_callback(lambda read: read.cancelled() or read.exception())  # maybe nobody awaits it
    return StartState(image, commit_id, commit_id, *touched.NO_PAGES, devices, (), commit.quiesced)


def source_in_ram(image: Image, captured: Captured) -> StartState:
    """A captured state to start machines from."""
    devices: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    devices.set_result(captured.devices)
    return StartState(
        image, captured.base or image.golden, captured.disk_base or image.golden,
        captured.pages, captured.table, devices, captured.layers, captured.quiesced,
    )  # fmt: skip


async def load(engine: Engine, row: BranchRow, source: StartState) -> Live:
    """A branch's machine, loaded and not yet continued: the one its row has claimed, or a new one.

    On failure nothing is left of it.
    """
    warm = engine.machines.members.claimed.pop(row.machine or "", None)
    if warm is None:
        warm = await _new(engine, row, source)
    elif warm.commit is None:
        try:
            await load_warm(engine, warm, source)
        except MachineFailed:  # the claimed machine may have ended while it waited
            row = engine.catalog.change_branch(row.id, machine=new_id())
            warm = await _new(engine, row, source)
    return give(engine, row, warm)


async def _new(engine: Engine, row: BranchRow, source: StartState) -> Warm:
    warm = await start_warm(engine, source.image, source.base, row.number, row.machine)
    await load_warm(engine, warm, source)
    return warm


def give(engine: Engine, row: BranchRow, warm: Warm) -> Live:
    """Make a loaded machine the branch's."""
    engine.machines.members.claimed.pop(warm.machine.id, None)
    if row.base != warm.base:
        engine.catalog.change_branch(row.id, base=warm.base)
    live = engine.machines.live[row.id] = Live(row.id, warm.machine, warm.network, warm.base)
    chains.keep(engine, live)
    return live


async def load_warm(engine: Engine, warm: Warm, source: StartState) -> None:
    """Give a started machine a state's disk, memory and devices; it does not run yet. On failure it is ended."""
    try:
        with engine.needing(*warm.machine.layers, *source.needs):
            check_root(engine.home.images / source.image.id)
            disk, frozen = disk_of(engine, source.disk_base), list(map(engine.layer, source.layers))
            await warm.machine.load(disk, frozen, source.pages, source.table, await source.devices)
    except BaseException:
        await end_warm(engine, warm)
        raise


async def run(engine: Engine, live: Live) -> None:
    """Continue a loaded machine, its processes still frozen and its link down. On failure it is ended."""
    try:
        await live.machine.cont()
    except BaseException:
        await end(engine, live)
        raise


async def make_distinct(
    engine: Engine,
    live: Live,
    row: BranchRow,
    committed: Awaitable[object] | None = None,
    *,
    quiesced: bool,
    paused: bool = False,
    within_s: float = CONNECT_DEADLINE_S,
) -> None:
    """Give a running machine an identity of its own. Once it confirms that and its commit is there, its link goes up
    and its guest's processes run, or it is `paused`. On failure, also when its agent is not there `within_s`, the
    machine is ended.
    """
    try:
        identity = take_identity(engine, live, row.name, quiesced=quiesced, within_s=within_s)
        await asyncio.gather(identity, egress.prepare(engine, live))
        engine.reach("wake.distinct")
        if committed is not None:
            await asyncio.shield(committed)
        link = asyncio.to_thread(live.network.set_link, True)
        await asyncio.gather(live.pause() if paused else live.thaw(), link)
        settled(engine, live)
    except BaseException:
        await end(engine, live)
        raise


async def take_identity(
    engine: Engine, live: Live, name: str, *, quiesced: bool, within_s: float = CONNECT_DEADLINE_S
) -> None:
    """Give a guest its identity, and have it confirm that. Its processes are frozen before, unless they are already."""
    await live.console.open(live.machine.console_socket)
    async with engine.machines.waking:
        agent = await live.connect(within_s)
        if not quiesced:
            await _freeze_late(engine, name, agent)
        await agent.identity(make_identity(name))


async def _freeze_late(engine: Engine, name: str, agent: AgentClient) -> None:
    """Freeze the processes that an unquiesced state let run, if possible: a commit promises that it can be started
    again.
    """
    try:
        await agent.freeze(FREEZE_S)
    except GuestFailed as error:
        engine.events.publish(
            "branch", name, f"{name} runs, and some of it ran before it was distinct: {error}"
        )


def settled(engine: Engine, live: Live) -> None:
    """Write down that a branch has begun to run, or is paused before it did. MachineFailed if it has ended since."""
    if live.ended:
        raise MachineFailed("its machine ended as soon as it ran")
    engine.tasks.weights.settle()
    engine.acting.began_anew(live.branch)
    if live.paused:
        engine.catalog.change_branch(live.branch, started=time.time())
        set_paused(engine, live)
    else:
        engine.set_branch(live.branch, state=BranchState.RUNNING, reason="", started=time.time())


def set_paused(engine: Engine, live: Live) -> BranchRow:
    """Write down that a branch is paused, and whether its processes are frozen: a later daemon cannot ask them."""
    reason = "" if live.quiesced else "its processes could not be frozen"
    return engine.set_branch(live.branch, state=BranchState.PAUSED, reason=reason, quiesced=live.quiesced)


async def start_again(engine: Engine, row: BranchRow, *, paused: bool = False) -> BranchRow:
    """Start a branch that has no machine from its head, `paused` before any of its processes runs. On failure it stays
    as it was.
    """
    source = source_of(engine, row.head)
    with engine.machines.sleepers.turn(row.id):
        starting = engine.set_branch(
            row.id, state=BranchState.STARTING, reason="", machine=new_id(), base=source.base
        )
        try:
            with engine.needing(*source.needs):
                live = await load(engine, starting, source)
            await run(engine, live)
            await make_distinct(engine, live, starting, quiesced=source.quiesced, paused=paused)
        except BaseException:
            engine.set_branch(row.id, state=row.state, reason=row.reason, machine=None)
            raise
    engine.machines.sleepers.resting = False  # somebody goes on
    await links.look_for_asleep(engine)
    return engine.catalog.branch(row.id)


async def end(engine: Engine, live: Live) -> None:
    """End a branch's machine and everything that belongs to it, with the disk layers that no other has; idempotent.

    Its network is taken apart afterwards, in the background.
    """
    engine.machines.live.pop(live.branch, None)
    engine.tasks.outside.settle()
    engine.tasks.weights.settle()
    if live.ended:
        return
    live.ended = True

    async def ended() -> None:
        await links.look_for_asleep(engine)  # before its network is taken apart
        await live.leave()
        await end_machine(engine, live.machine)

    await engine.machines.reaping.end(engine.held, live.network, ended())
