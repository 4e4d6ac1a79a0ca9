"""A home with images on which a whole `Engine` runs, every seam of it a twin. It is asked as the daemon asks it."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from core.catalog import Catalog
from core.daemon.shown import EngineShown
from core.diff.index import PathIndex
from core.engine import settings
from core.engine.context import Engine
from core.engine.indexes import PathIndexes
from core.engine.ports import Ports
from core.engine.recover import watch
from core.engine.sealing import Sealer
from core.engine.seams import Tasks
from core.engine.stalls import Stalls
from core.engine.start import end
from core.engine.transfer import restored_row
from core.home import Home
from core.model import PAGE_BYTES, Image, MachineSpec
from core.reach import in_words
from core.refs import PROXY, TRUNK
from core.room import Reserve
from core.store.values import Captured, Label
from core.verbs import load
from core.verbs.base import Verb, name_of
from tests.store.states import qcow2
from tests.twins.guest import Guest
from tests.twins.held import TwinHeld
from tests.twins.host import TwinHost
from tests.twins.machine import TwinHypervisor, TwinMachine
from tests.twins.model import Branch, Commit, World
from tests.twins.network import TwinHub
from tests.twins.store import Kept, TwinStore
from tests.twins.views import TwinViews

MEMORY_PAGES, DISK_PAGES = 16, 64
SPEC = MachineSpec("pc-q35-7.2", "Nehalem-v1", "tcg", MEMORY_PAGES * PAGE_BYTES, 1, DISK_PAGES * PAGE_BYTES)
IMAGES = ("base", "other")
UUID = "76657274-7569-4000-8000-000000000001"
IN_MEMORY = Path("/dev/shm")  # nothing here has to survive, and a catalog syncs at every step
A = TypeVar("A")


class NoReserve(Reserve):
    """One that takes up no room."""

    def _make(self, size: int) -> None:
        self._path.touch()


class TwinWeights:
    """A host that can weigh machines."""

    def check(self) -> None:
        """It lacks nothing."""

    def settle(self) -> None:
        """Nobody minds."""

    async def watch(self) -> None:
        """Nor looks."""


class TwinOutside:
    """A way out that is there at once."""

    async def open(self) -> None:
        """It is."""

    def settle(self) -> None:
        """Nobody minds."""

    async def watch(self) -> None:
        """Nor looks."""

    def leave(self) -> None:
        """Nothing is kept."""


class TwinSwapper:
    """Whoever comes is not there."""

    def settle(self) -> None:
        """Nothing is swapped."""

    async def serve(self) -> None:
        """Nor is anybody let in."""


def twin_tasks(engine: Engine, host: TwinHost) -> Tasks:
    """Those that work on the engine are real, those that work on a host are not."""
    ports = Ports(engine, host)
    return Tasks(Sealer(engine), Stalls(engine), ports, TwinOutside(), TwinWeights(), TwinSwapper())


@dataclass
class Twins:
    """An engine and what it stands on."""

    engine: Engine
    held: TwinHeld
    hypervisor: TwinHypervisor
    hub: TwinHub
    store: TwinStore
    views: TwinViews
    host: TwinHost

    def begin(self) -> None:
        """On the running loop, as the daemon does once it has recovered."""
        settings.use(self.engine)
        watch(self.engine)
        self.engine.machines.found = True

    async def ask(self, verb: Verb[A]) -> A:
        """What a verb answers; its own refusal is raised first."""
        if refusal := verb.refuse(EngineShown(self.engine)):
            raise refusal.error()
        request_id = uuid.uuid4().hex
        with self.engine.verbs.working(request_id, name_of(type(verb))):
            return await verb.carry_out(self.engine, request_id)

    async def do(self, name: str, /, *given: Any, **options: Any) -> Any:
        """The same of the verb of that name."""
        verb: Any = load(name)
        return await self.ask(verb(*given, **options))

    def world(self, *, deleted: bool = False) -> World:
        """What the catalog has outside the trash, or in it."""
        catalog = self.engine.catalog
        ports: dict[str, frozenset[str]] = {}
        for port in catalog.ports():
            known = ports.get(port.branch, frozenset())
            ports[port.branch] = known | {f"{port.guest_port}/{port.protocol}"}
        branches = {
            row.id: Branch(
                row.name, row.image, row.head, row.parent, row.parent_branch, row.fork, row.state,
                (row.score, row.note), ports.get(row.id, frozenset()), in_words(row.egress),
                row.weight, row.policy,
            )
            for row in catalog.branches(deleted=deleted)
        }  # fmt: skip
        commits = {
            c.id: Commit(c.parents, c.branch, c.image, c.message, c.quiesced, c.tags)
            for c in catalog.commits(deleted=deleted)
        }
        if deleted:
            return World(branches, commits)
        others = ports.get(TRUNK, frozenset()) | ports.get(PROXY, frozenset())
        links = frozenset(link.ends for link in catalog.links())
        return World(branches, commits, catalog.setting("trunk"), others, links)

    def machine(self, name: str) -> TwinMachine:
        """The machine of a branch."""
        return self.hypervisor.machines[self.engine.machines.live[self.engine.branch(name).id].machine.id]

    async def crash(self, name: str) -> None:
        """A branch's machine ends by itself, and the engine has accounted for it."""
        machine, row = self.machine(name), self.engine.branch(name)
        machine.end()
        self.held.ended(f"machine:{machine.id}", -9)
        while row.id in self.engine.machines.live or self.engine.branch(name).machine:
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End everything; what is left of the machines shows in `held` and `hub` afterwards."""
        await self.engine.tasks.sealer.stop()
        await self.engine.tasks.stalls.stop()
        await self.engine.tasks.ports.stop()
        await asyncio.gather(*(end(self.engine, live) for live in list(self.engine.machines.live.values())))
        await self.engine.machines.reaping.done()


@contextmanager
def twin_engine() -> Iterator[Twins]:
    """An engine in a new home; `begin` and `close` it on a loop."""
    with tempfile.TemporaryDirectory(prefix="vertui-", dir=in_memory()) as directory:
        home = Home(Path(directory) / "home", Path(directory) / "run")
        home.make()
        made = template()
        shutil.copytree(made.images, home.images, copy_function=os.link, dirs_exist_ok=True)
        held, hub, store, host = TwinHeld(), TwinHub(), TwinStore(home.root, made.kept), TwinHost()
        views, hypervisor = TwinViews(home, store), TwinHypervisor(home, held)
        catalog, reserve = Catalog(home.catalog), NoReserve(home.reserve, lambda: 0)
        engine = Engine(home, catalog, store, held, hypervisor, hub, views, reserve)
        engine.indexes = PathIndexes(store, made.indexes)
        engine.tasks = twin_tasks(engine, host)
        for number, (golden, kept) in enumerate(made.kept.items()):
            catalog.put_commit(restored_row(engine, kept.manifest))
            catalog.put_image(Image(kept.manifest.image, IMAGES[number], SPEC, golden, 1.0 + number))
        try:
            yield Twins(engine, held, hypervisor, hub, store, views, host)
        finally:
            held.close()
            catalog.close()


@dataclass(frozen=True)
class Template:
    """Files of images, their golden commits by id, and what is known of their paths."""

    images: Path
    kept: dict[str, Kept]
    indexes: dict[str, PathIndex]


@cache
def template() -> Template:
    """Made once, and left to the process's end."""
    root = Path(_lasting().name)
    kept: dict[str, Kept] = {}
    for number, name in enumerate(IMAGES):
        _make_image(root / "images" / f"{name}-1", number)
        store = TwinStore(root)
        pages = np.arange(MEMORY_PAGES, dtype=np.uint32)
        table = np.full((MEMORY_PAGES, PAGE_BYTES), number + 1, np.uint8)
        devices = Guest(frozen=True).devices()
        golden = Captured(f"{name}-1", None, None, SPEC, pages, table, devices, (), True)
        label = Label("", f"golden commit of image {name}", 1.0 + number)
        store.put(golden, store.identify(golden, ()), label)
        kept |= store.kept
    return Template(root / "images", kept, {})


@cache
def _lasting() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="vertui-", dir=in_memory())


def _make_image(directory: Path, number: int) -> None:
    """A small ext4 with a file, an empty layer, and files that are only there."""
    tree = directory / "tree"
    (tree / "root").mkdir(parents=True)
    (tree / "root" / "state").write_text(f"{number}\n")
    disk = directory / "root.raw"
    disk.touch()
    os.truncate(disk, SPEC.disk_bytes)
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-U", UUID]
    subprocess.run([*argv, "-E", f"hash_seed={UUID}", "-d", tree, disk], check=True)
    shutil.rmtree(tree)
    (directory / "empty.qcow2").write_bytes(qcow2({}, DISK_PAGES))
    for name in ("vmlinux", "initrd"):
        (directory / name).touch()


def in_memory() -> Path | None:
    """Where directories of tests are fast; None where there is nothing better than usual."""
    return IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
