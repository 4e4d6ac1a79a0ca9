"""Images: built, booted once, and committed as golden; and the base images machines map."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.daemon.porter import KEY as PORTER
from core.engine.bases import new_layer
from core.engine.capture import freeze_and_read, put_commit
from core.engine.context import Engine, Progress, new_id
from core.engine.live import Live
from core.engine.operations import operation
from core.errors import Conflict, DaemonUnavailable, GuestFailed, MachineFailed, NotFound
from core.image.job import run_build, run_digest
from core.image.kernel import KERNEL_ARGS
from core.image.recipe import Recipe
from core.machine import base as base_images
from core.machine.arguments import CPU, MACHINE_TYPE
from core.machine.protocol import Boot
from core.model import Image, MachineSpec, Plan, check_name
from core.network.addresses import MAX_INDEX
from core.store.files import sync_directory
from core.store.protocol import Label

ACCELERATOR = "VERTUI_ACCEL"  # overrides the choice by booting
BOOT_DEADLINES_S = {"kvm": 15.0, "tcg": 120.0}  # kvm boots in one second or never; emulation takes 4 to 30
TRIES = 2  # a boot that fails once under load is tried again
BUILD_NETWORK = MAX_INDEX  # the network number of the one machine being built


async def build_image(engine: Engine, request_id: str, name: str, recipe: Recipe) -> Image:
    """Build an image, boot it, and make its golden commit.

    Requires a legal name. On success the image is there under that name; at once when its inputs are unchanged.
    On failure, or when interrupted at any point, nothing of it is left but cached downloads.
    """
    check_name(name)
    if engine.building.locked():
        raise Conflict("another image is being built: wait for it to finish")
    async with engine.building:
        porter = await asyncio.to_thread(engine.held.get, PORTER)
        if porter is None:
            raise DaemonUnavailable("the porter is gone: run `vertui daemon stop --all` and start again")
        try:
            return await _build_once(engine, request_id, name, recipe, porter)
        finally:
            os.close(porter)


async def _build_once(engine: Engine, request_id: str, name: str, recipe: Recipe, porter: int) -> Image:
    wanted = _image_id(await run_digest(porter, recipe), name)
    present = next((image for image in engine.catalog.images() if image.id == wanted), None)
    if present:
        return present
    async with operation(engine, request_id, "image build", f"build image {name}"):
        return await _build(engine, name, recipe, wanted, porter)


def _image_id(digest_: str, name: str) -> str:
    return f"{name}-{digest_[:16]}"


async def _build(engine: Engine, name: str, recipe: Recipe, image: str, porter: int) -> Image:
    def progress(step: str, fraction: float) -> None:
        engine.publish("progress", name, step, fraction)

    work = engine.home.images / f".{image}.tmp"
    await asyncio.to_thread(engine.store.forget_image, image)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        await run_build(porter, recipe, work, engine.home.cache, progress)
        made = await _boot_and_commit(engine, name, recipe, image, work, progress)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    engine.publish("image", name, f"image {name} is ready")
    return made


async def _boot_and_commit(
    engine: Engine, name: str, recipe: Recipe, image: str, work: Path, progress: Progress
) -> Image:
    wanted = os.environ.get(ACCELERATOR)
    candidates = (
        [wanted]
        if wanted
        else (["kvm"] if os.access("/dev/kvm", os.R_OK | os.W_OK) else []) + ["tcg"] * TRIES
    )
    failure: Exception = MachineFailed("no accelerator")
    for accelerator in candidates:
        progress(f"booting on {accelerator}", 0.0)
        spec = MachineSpec(
            MACHINE_TYPE, CPU, accelerator, recipe.memory_bytes, recipe.vcpus, recipe.disk_bytes
        )
        try:
            async with _booted(engine, spec, work) as live:
                progress("making the golden commit", 0.5)
                return await _golden(engine, name, image, work, spec, live)
        except (MachineFailed, GuestFailed) as error:
            failure = error
    raise MachineFailed(f"image {name} does not boot: {failure}")


@asynccontextmanager
async def _booted(engine: Engine, spec: MachineSpec, work: Path) -> AsyncIterator[Live]:
    """A machine booted from an image's files until its agent answers; ended afterwards."""
    boot = Boot(work / "vmlinux", work / "initrd", KERNEL_ARGS)
    layer = await asyncio.to_thread(new_layer, engine, work)
    network = await asyncio.to_thread(engine.network.create, BUILD_NETWORK)
    empty = base_images.empty(spec.memory_bytes)
    try:
        machine = await engine.hypervisor.start(new_id(), spec, empty, network.tap_fd or -1, boot)
        live = Live("", machine, network)
        try:
            await live.console.open(machine.console_socket)
            await machine.open_disk(work / "root.raw", [engine.layer(layer)])
            await machine.cont()
            async with asyncio.timeout(BOOT_DEADLINES_S.get(spec.accelerator, BOOT_DEADLINES_S["tcg"])):
                await live.connect()
            yield live
        except TimeoutError as error:
            last = live.console.text.decode(errors="replace").strip().splitlines()[-1:]
            raise GuestFailed(
                f"it did not answer in time on {spec.accelerator}; it last said: {last}"
            ) from error
        finally:
            await live.close()
    finally:
        os.close(empty.descriptor)
        await asyncio.to_thread(network.close)


async def _golden(engine: Engine, name: str, image: str, work: Path, spec: MachineSpec, live: Live) -> Image:
    """Commit the booted machine, put the image's files in place, and make both true in one transaction."""
    shot = await freeze_and_read(engine, live, image, None, spec)
    if not shot.captured.quiesced:
        raise GuestFailed("its processes could not be frozen")
    identified = await asyncio.to_thread(engine.store.identify, shot.captured, ())
    label = Label("", f"golden commit of image {name}", time.time())
    manifest, stored = await asyncio.to_thread(engine.store.put, shot.captured, identified, label)
    final = engine.home.images / image
    try:
        shutil.rmtree(final, ignore_errors=True)
        work.rename(final)
        sync_directory(engine.home.images)
        engine.reach("image.stored")
        made = Image(image, name, spec, manifest.id, time.time())
        with engine.catalog.transaction():
            put_commit(engine, manifest, shot, stored, branch="", message=label.message)
            engine.catalog.put_image(made)
    except BaseException:
        engine.store.delete(manifest.id)
        shutil.rmtree(final, ignore_errors=True)
        raise
    return made


def plan_remove_image(engine: Engine, name: str) -> Plan:
    """What removing an image removes. Conflict while a branch, live or in the trash, is made of it."""
    image = engine.image(name)
    users = [
        row.name
        for deleted in (False, True)
        for row in engine.catalog.branches(deleted=deleted)
        if row.image == image.id
    ]
    if users:
        raise Conflict(
            f"image {image.name} is used by {', '.join(users[:5])}: prune them and empty the trash first"
        )
    commits = tuple(
        commit.id
        for deleted in (False, True)
        for commit in engine.catalog.commits(deleted=deleted)
        if commit.image == image.id
    )
    size = image_bytes(engine, image)
    line = f"image {image.name}: {size >> 20} MiB, {len(commits)} commits; nothing brings it back but building it again"
    return Plan(new_id(), "image rm", (), commits, size, False, (line,), (image.id,))


def remove_image(engine: Engine, image_id: str) -> None:
    """Carry such a plan out: rows first, files after."""
    image = next((image for image in engine.catalog.images() if image.id == image_id), None)
    if image is None:
        raise NotFound(f"image {image_id} is gone already")
    plan_remove_image(engine, image_id)
    commits = [
        c for deleted in (False, True) for c in engine.catalog.commits(deleted=deleted) if c.image == image_id
    ]
    with engine.catalog.transaction():
        engine.catalog.delete_image(image_id)
        for commit in commits:
            engine.catalog.delete_commit(commit.id)
    for commit in commits:
        engine.store.delete(commit.id)
    engine.store.forget_image(image_id)
    engine.held.drop(f"base:{image.golden}")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(engine.home.images / image_id)
    engine.publish("image", image.name, f"image {image.name} was removed")


def image_bytes(engine: Engine, image: Image) -> int:
    """What an image's own files take on disk."""
    return sum(path.stat().st_blocks * 512 for path in (engine.home.images / image.id).glob("*"))
