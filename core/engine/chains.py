"""What the disk of each machine lies on, in a file of its own: when a machine and the daemon end together, the next
daemon finds in it what the guest had written.

Such a file is written before the machine writes a layer, and it may name one that the machine never came to: that one
is empty, or not there. As long as a layer may be needed by the file, it is there; so whoever makes a chain shorter
writes the file first and lets the layers go afterwards. Nothing of this is synced, and neither are layers: a host that
loses its power keeps of both what it had written by then.
"""

import contextlib
import json
import logging
from pathlib import Path

from msgspec import Struct

from core.codec import decode, encode
from core.engine.context import Engine
from core.engine.live import Live
from core.errors import VertuiError
from core.files import os_files

logger = logging.getLogger(__name__)


class DiskChain(Struct, frozen=True):
    """The commit on whose disk a machine's lies, and the layers over that, oldest first."""

    base: str
    layers: tuple[str, ...]


def keep(engine: Engine, live: Live, following: str = "") -> None:
    """Write down the chain of a branch's machine, with the layer that it is about to write. When that fails, the
    machine goes on. Of one that has ended nothing is written: it is accounted for, and its file was removed or will be.
    """
    machine = live.machine
    layers = (*machine.layers, following) if following else machine.layers
    chain = DiskChain(machine.disk_base, layers)
    try:
        os_files.replace(_path(engine, machine.id), json.dumps(encode(chain)).encode(), durable=False)
    except VertuiError as error:
        logger.warning("the disk of machine %s would not be found after a crash: %s", machine.id, error)
    if live.ended:  # looked at last: threads write this, and the machine may have ended while they did
        forget(engine, machine.id)


def chain_of(engine: Engine, machine: str) -> DiskChain | None:
    """What was written down last of a machine's chain; None when nothing was."""
    try:
        chain = decode(DiskChain, json.loads(_path(engine, machine).read_bytes()))
    except (OSError, ValueError):
        return None
    *frozen, last = chain.layers or ("",)
    there = engine.store.layer_path(last).exists()
    return chain if there else DiskChain(chain.base, tuple(frozen))


def forget(engine: Engine, machine: str) -> None:
    """Remove the file of a machine that has ended, and been accounted for."""
    with contextlib.suppress(VertuiError):
        os_files.unlink(_path(engine, machine))


def sweep(engine: Engine, machines: set[str]) -> None:
    """Remove the files of all but these machines."""
    for path in engine.home.chains.glob("*"):
        if path.stem not in machines:
            path.unlink(missing_ok=True)


def _path(engine: Engine, machine: str) -> Path:
    return engine.home.chains / f"{machine}.json"
