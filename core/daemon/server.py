"""The daemon: one engine, served over HTTP on a Unix socket, started by the holder and outlived by machines."""

import asyncio
import contextlib
import faulthandler
import fcntl
import gc
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from fastapi import FastAPI

from core.catalog import Catalog
from core.daemon.api import make_app
from core.daemon.door import behind_door
from core.daemon.listening import Listening, add_listening
from core.daemon.peers import BACKLOG, HttpServer
from core.daemon.sockets import add_streams
from core.engine import (
    checkpoints,
    clocks,
    endings,
    guest_notes,
    handover,
    hearing,
    names,
    scoring,
    settings,
    suspend,
)
from core.engine.context import Engine
from core.engine.news import Announcer
from core.engine.operations import note
from core.engine.outside import Pasta
from core.engine.past import forget
from core.engine.pool import Pool
from core.engine.ports import Ports
from core.engine.rebuild import find_manifests, rebuild_catalog
from core.engine.recover import recover, watch
from core.engine.sealing import Sealer
from core.engine.seams import Tasks
from core.engine.stalls import Stalls
from core.engine.swapper import Swappers
from core.engine.trash import expire, free_thinned
from core.engine.weights import MachineWeights
from core.errors import Conflict, VertuiError
from core.files import disk_error, file_bytes
from core.holder.held import HolderLine
from core.holder.listening import PorterPorts
from core.holder.pulse import DUMP, Pulse
from core.home import Home, find_home
from core.log import log_as, shorten
from core.machine.qemu import QemuHypervisor
from core.network import HubNetwork
from core.room import Reserve
from core.sockets import Listener
from core.store.layout import Layout
from core.store.packs import PackStore
from core.store.views.keeper import FuseViews

EXPIRE_EVERY_S = 3600.0

logger = logging.getLogger("core.daemon")


@dataclass(frozen=True)
class Stopping:
    """The daemon is about to end."""

    stopping: bool = True


def make_engine(home: Home, reserve: Reserve) -> Engine:
    """The engine of a home, over its catalog, store, holder and hub."""
    held = HolderLine(home)
    network = HubNetwork()
    network.prepare()
    store = PackStore(home.root)
    views = FuseViews(home, held)
    machines = QemuHypervisor(home, held)
    engine = Engine(home, Catalog(home.catalog), store, held, machines, network, views, reserve)
    engine.tasks = Tasks(
        Sealer(engine), Stalls(engine), Ports(engine, PorterPorts(held)), Pasta(engine), MachineWeights(engine),
        Swappers(engine),
    )  # fmt: skip
    return engine


async def serve(home: Home, pulse: Pulse) -> None:
    """Recover, then serve until told to stop. The socket appears only once everything was accounted for."""
    pulse.tell("opening the store")
    reserve = Reserve(home.reserve, lambda: 2 * file_bytes(Layout(home.root).index))
    with (
        reserve.lent()
    ):  # also on a full disk the machines are adopted, and what became of the others is said
        engine = make_engine(home, reserve)
        _find_again(engine)
        settings.use(engine)
        watch(engine)
        await recover(engine, pulse.tell)
    app = make_app(engine)
    add_streams(app, engine)
    server = behind_door(app, engine.admission)
    listening = Listening(engine, server, PorterPorts(engine.held))
    add_listening(app, listening)
    _add_stop(app, engine, server, listening)
    listener = Listener(home.daemon_socket, socket.SOCK_STREAM, BACKLOG)
    tasks: set[asyncio.Task[None]] = set()

    def look_after_socket() -> None:
        if listener.is_gone():
            task = asyncio.create_task(_listen_again(engine, server, listener))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    work = (
        _tidy(engine), handover.watch(engine), clocks.watch(engine), Announcer(engine).tell(),
        engine.tasks.outside.watch(), names.answer_names(engine), hearing.hear(engine), engine.tasks.swapper.serve(),
        engine.tasks.weights.watch(), scoring.watch(engine), suspend.watch(engine), checkpoints.watch(engine),
        engine.journals.keep(), guest_notes.watch(engine), endings.watch(engine),
        pulse.beat(look_after_socket),
    )  # fmt: skip
    background = [asyncio.create_task(each) for each in work]
    for task in background:
        task.add_done_callback(told_of)
    pool = Pool(engine)
    pool.start()
    _spare_collections()
    try:
        await server.serve([listener.socket, *listening.found()])
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await engine.machines.sleepers.stop()
        await pool.close()
        await engine.journals.writer.flush()
        await engine.tasks.sealer.stop()
        await engine.tasks.stalls.stop()
        await engine.tasks.ports.stop()
        engine.tasks.outside.leave()
        home.daemon_socket.unlink(missing_ok=True)
        await asyncio.gather(*(live.leave() for live in engine.machines.live.values()))
        engine.catalog.close()


def _spare_collections() -> None:
    """Leave what was imported out of garbage collections from now on: each took 25 ms, with everybody waiting."""
    gc.collect()
    gc.freeze()


def _find_again(engine: Engine) -> None:
    """Say that the index was lost. Make a lost catalog again before anything takes what it would name for leftovers."""
    if engine.store.made_again:
        logger.warning("%s", engine.store.made_again)
    if engine.catalog.never_used and engine.store.commits():
        with engine.catalog.transaction():
            for line in rebuild_catalog(engine, find_manifests(engine.store)):
                logger.warning("%s", line)
            note(
                engine,
                "rebuild",
                "the catalog was gone and was made again from the commits: see `daemon logs`",
            )


def _add_stop(app: FastAPI, engine: Engine, server: HttpServer, listening: Listening) -> None:
    @app.post("/v1/stop")
    async def stop() -> Stopping:
        await asyncio.to_thread(engine.held.rest)
        await listening.close()
        server.should_exit = True
        engine.end_events()
        return Stopping()


def told_of(task: asyncio.Task[None]) -> None:
    """Of work that is done for ever: it is a mistake of ours that it has ended, and nobody waits for it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s has ended", task.get_coro(), exc_info=error)


async def _tidy(engine: Engine) -> None:
    parts: tuple[Callable[[Engine], Awaitable[None]], ...] = (expire, forget, free_thinned)
    while True:
        for path in engine.home.log.glob("*.log"):
            await asyncio.to_thread(shorten, path)
        for part in parts:
            with contextlib.suppress(VertuiError):  # one that cannot be done keeps no other from it
                await part(engine)
        await asyncio.sleep(EXPIRE_EVERY_S)


async def _listen_again(engine: Engine, server: HttpServer, listener: Listener) -> None:
    """Be reached again after somebody removed our socket. Machines go on; theirs went, too, if all did."""
    with contextlib.suppress(OSError, VertuiError):
        server.close(listener.socket)
        listener.renew()
        await server.listen(listener.socket)
        what = f"sockets of this home were removed from {engine.home.runtime}"
        note(engine, "daemon", f"{what}: `daemon stop --all`, then `resume`, gives machines new ones")


@contextlib.contextmanager
def _locked(home: Home) -> Iterator[None]:
    """One writer a home: held while the daemon lives."""
    descriptor = os.open(home.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another daemon holds this home") from None
        yield
    finally:
        os.close(descriptor)


def main() -> None:
    """`python -m core.daemon.server HOME [PULSE]`; a reason it cannot start is the last thing it logs.

    The signal DUMP lets it write where it stands, and go on.
    """
    faulthandler.register(DUMP, all_threads=True)
    home, pulse = find_home(sys.argv[1]), Pulse(int(sys.argv[2]) if sys.argv[2:] else None)
    log_as("daemon")
    logger.info("starts, pid %d, home %s", os.getpid(), home.root)
    try:
        with _locked(home):
            asyncio.run(serve(home, pulse))
        logger.info("ended")
    except (VertuiError, OSError) as error:
        logger.critical("%s", disk_error(error, home.root) if isinstance(error, OSError) else error)
        sys.exit(1)


if __name__ == "__main__":
    main()
