"""Crash disks: what a machine had written when it ended without being asked to, kept as it was left.

A branch has one, the newest. Its layers and the commit below them stay as long as the branch's row names them: until
the user prunes it, another takes its place, or the branch goes for good.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from core.catalog_values import BranchRow
from core.crash import CrashDisk
from core.disk.qcow2 import OverlayStack
from core.engine.chains import DiskChain
from core.engine.context import Engine
from core.errors import VertuiError
from core.startable import nearest_kept

logger = logging.getLogger(__name__)


async def keep(engine: Engine, row: BranchRow, chain: DiskChain | None) -> None:
    """Make the disk that a branch's machine left the branch's crash disk, unless nothing was written to it.

    Never fails: a branch has to be accounted for whatever its disk is like.
    """
    if chain is None or not chain.layers:
        return
    with engine.needing(chain.base, *chain.layers):
        try:
            disk_bytes = engine.image(row.image).spec.disk_bytes
            paths = [engine.store.layer_path(layer) for layer in chain.layers]
            size = await asyncio.to_thread(_left, row.name, paths, disk_bytes)
            if size is None:
                return
            kept = nearest_kept(row.head, engine.commits())
            head = kept.id if kept else row.head
            crash = CrashDisk(time.time(), chain.base, chain.layers, head, size)
            engine.catalog.change_branch(row.id, crash=crash)
        except VertuiError as error:
            logger.warning("the disk that %s left is not kept: %s", row.name, error)


def forget(engine: Engine, branches: tuple[str, ...]) -> None:
    """Have branches without their crash disks; what these take is free afterwards."""
    with engine.catalog.transaction():
        for branch in branches:
            engine.catalog.change_branch(branch, crash=None)
    engine.collect_layers()


def problems(engine: Engine) -> list[str]:
    """The crash disks that lack something, in words."""
    stored, found = set(engine.store.commits()), []
    for row in engine.crashed():
        crash = row.crash
        assert crash is not None
        if crash.base not in stored:
            found.append(f"{row.name}@crash lies on commit {crash.base[:12]}, which is not in the store")
        found += [
            f"{row.name}@crash lacks its layer {layer}"
            for layer in crash.layers
            if not engine.store.layer_path(layer).exists()
        ]
    return found


def _left(name: str, paths: Sequence[Path], disk_bytes: int) -> int | None:
    """What a branch's layers take; None when nothing was written to them. One that cannot be read is kept: a part of it
    may be.
    """
    try:
        stack = OverlayStack(paths, disk_bytes)
        try:
            if not len(stack.written_blocks()):
                return None
        finally:
            stack.close()
    except VertuiError as error:
        logger.warning("the disk that %s left is damaged: %s", name, error)
    taken = 0
    for path in paths:
        with contextlib.suppress(OSError):
            taken += path.stat().st_blocks * 512
    return taken
