"""Images: built, booted once, and committed as golden."""

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from core.engine import touched
from core.engine.bases import make_layer
from core.engine.building import BuildWatch
from core.engine.capture import freeze_and_read
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.engine.operations import operation
from core.engine.sealing import put_commit
from core.engine.stalls import ROOM_BYTES
from core.engine.tally import counting
from core.engine.verbs_at_work import Building
from core.errors import Conflict, DaemonUnavailable, GuestFailed, MachineFailed, NotFound, VertuiError
from core.files import sync_directory, write_atomic
from core.guest.identity import make_identity
from core.holder.porter import KEY as PORTER
from core.image import whole
from core.image.job import run_build, run_digest
from core.image.kernel import command_line
from core.image.recipe import Recipe
from core.machine import base as base_images
from core.machine.accelerator import ACCELERATORS, KVM, TCG, kvm_trouble, require
from core.machine.arguments import CPU, MACHINE_TYPE
from core.machine.protocol import Boot, Layer
from core.model import Image, MachineSpec, Plan, check_name
from core.network.addresses import MAX_INDEX
from core.patience import patient
from core.progress import BuildStep
from core.room import no_room
from core.store.image_pages import TOUCHED
from core.store.values import Label

BOOT_DEADLINES_S = {KVM: patient(15.0)}  # hardware boots in one second or never
LONGEST_BOOT_S = patient(120.0)  # emulation takes 4 to 30
FIRST_FREEZE_S = patient(5.0)  # a guest that is still starting its console takes longer than one at work
PROMPT, PROMPT_DEADLINE_S = b"# ", patient(60.0)  # what root's shell on the console prints when it is ready
TRIES = 2  # an emulated boot that fails once under load is tried again
BOOTS_ON = {KVM: "on KVM", TCG: "by emulation, without KVM"}
KVM_FAILED = "kvm-failed"  # in an image's directory: why it does not run on KVM though that was tried
BUILD_NETWORK = MAX_INDEX  # the network number of the one machine being built

logger = logging.getLogger(__name__)


async def build_image(
    engine: Engine, request_id: str, name: str, recipe: Recipe, accelerator: str | None = None
) -> Image:
    """Build an image, boot it on `accelerator`, or without one on the first that boots, and make its golden commit.

    Requires a legal name. On success the image is there under that name; at once when its inputs are unchanged. On
    failure, or when interrupted at any point, nothing of it is left but cached downloads. When the same image is being
    built already, this waits for that build and has its outcome.
    """
    check_name(name)
    if engine.verbs.building is None:
        task = asyncio.create_task(_build_alone(engine, request_id, name, recipe, accelerator))
        engine.verbs.building = Building((name, recipe, accelerator), task)
    elif engine.verbs.building.wanted != (name, recipe, accelerator):
        other = engine.verbs.building.wanted[0]
        raise Conflict(
            f"image {other} is being built, one at a time: wait for it, or ask for the same and end that by Ctrl-C"
        )
    else:
        engine.verbs.building.tell()  # whoever joins sees where it stands
    return await asyncio.shield(engine.verbs.building.task)


async def _build_alone(
    engine: Engine, request_id: str, name: str, recipe: Recipe, accelerator: str | None
) -> Image:
    try:
        porter = await asyncio.to_thread(engine.held.get, PORTER)
        if porter is None:
            raise DaemonUnavailable("the porter is gone: run `vertui daemon stop --all` and start again")
        try:
            return await _build_once(engine, request_id, name, recipe, accelerator, porter)
        finally:
            os.close(porter)
    except asyncio.CancelledError:
        raise Conflict(
            f"the build of image {name} was interrupted: nothing of it is left but downloads"
        ) from None
    finally:
        engine.verbs.building = None


async def cancel_build(engine: Engine) -> None:
    """Interrupt the build that is going on, for all who wait for it, and return when nothing of it is left; Conflict
    when there is none.
    """
    if engine.verbs.building is None:
        raise Conflict("no image is being built")
    task = engine.verbs.building.task
    task.cancel()
    await asyncio.wait([task])


async def _build_once(
    engine: Engine, request_id: str, name: str, recipe: Recipe, accelerator: str | None, porter: int
) -> Image:
    digest_ = await run_digest(porter, recipe)
    wanted = _image_id(digest_, name, accelerator)
    present = _present(engine, digest_, name, accelerator)
    if present and await _whole(engine, present):
        await _learn(engine, present)
        return present
    if present:
        # Refused, by name, while a branch still needs what is left of it.
        await remove_image(engine, present.id)
    async with operation(engine, request_id, "image build", f"build image {name}"):
        return await _build(engine, name, recipe, wanted, accelerator, porter)


def _present(engine: Engine, digest_: str, name: str, accelerator: str | None) -> Image | None:
    """The image of these inputs under this name, on that accelerator if one is named."""
    ids = {_image_id(digest_, name, one) for one in (None, *ACCELERATORS)}
    for image in engine.catalog.images():
        if image.id in ids and image.name == name and accelerator in (None, image.spec.accelerator):
            return image
    wanted = _image_id(digest_, name, accelerator)
    return next((image for image in engine.catalog.images() if image.id == wanted), None)


async def _learn(engine: Engine, image: Image) -> None:
    if not (engine.home.images / image.id / TOUCHED).exists():
        await touched.learn(engine, image)


async def _whole(engine: Engine, image: Image) -> bool:
    """Are an image's files there as they were made, and does its golden commit read?"""
    if not whole.is_whole(engine.home.images / image.id):
        return False
    try:
        await asyncio.to_thread(engine.store.manifest, image.golden)
    except VertuiError:
        return False
    return True


def _image_id(digest_: str, name: str, accelerator: str | None) -> str:
    return f"{name}-{digest_[:16]}" + (f"-{accelerator}" if accelerator else "")


async def _build(
    engine: Engine, name: str, recipe: Recipe, image: str, accelerator: str | None, porter: int
) -> Image:
    watch = BuildWatch(engine, name)
    if engine.verbs.building:
        engine.verbs.building.tell = watch.tell
    work = engine.home.images / f".{image}.tmp"
    await asyncio.to_thread(engine.store.forget_image, image)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    telling = asyncio.create_task(watch.tell_on())
    try:
        await run_build(porter, recipe, work, engine.home.cache, watch.step)
        made = await _boot_and_commit(engine, name, recipe, image, accelerator, work, watch)
        watch.step(BuildStep.LEARN, 0.0)
        await _learn(engine, made)
    finally:
        telling.cancel()
        shutil.rmtree(work, ignore_errors=True)
    await asyncio.to_thread(watch.keep)
    engine.events.publish("image", name, f"image {name} is ready")
    return made


async def _boot_and_commit(
    engine: Engine,
    name: str,
    recipe: Recipe,
    image: str,
    accelerator: str | None,
    work: Path,
    watch: BuildWatch,
) -> Image:
    failure: Exception = MachineFailed("no accelerator")
    for tried in _candidates(accelerator):
        watch.step(BuildStep.BOOT, 0.0, BOOTS_ON[tried])
        spec = MachineSpec(MACHINE_TYPE, CPU, tried, recipe.memory_bytes, recipe.vcpus, recipe.disk_bytes)
        try:
            async with _booted(engine, spec, work) as live:
                watch.step(BuildStep.COMMIT, 0.0)
                return await _golden(engine, name, image, work, spec, live)
        except (MachineFailed, GuestFailed) as error:
            failure = error
            logger.warning("image %s does not boot on %s: %s", name, tried, error)
            if tried == KVM:
                watch.note(f"it does not boot on KVM, so it goes on with emulation: {error}")
                write_atomic(work / KVM_FAILED, str(error).encode())
    raise MachineFailed(f"image {name} does not boot: {failure}")


def why_emulated(engine: Engine, image: Image) -> str:
    """Why an image does not run on KVM though that was tried; empty when it was not."""
    with contextlib.suppress(FileNotFoundError):
        why = (engine.home.images / image.id / KVM_FAILED).read_text(errors="replace")
        return f"image {image.name} did not boot on KVM: {why}"
    return ""


def _candidates(accelerator: str | None) -> list[str]:
    """The accelerators that a boot is tried on, in order. Unsupported when the one asked for cannot be had."""
    if accelerator:
        require(accelerator)
        return [accelerator] * (TRIES if accelerator == TCG else 1)
    return ([] if kvm_trouble() else [KVM]) + [TCG] * TRIES


def better_accelerator(engine: Engine, image: Image) -> str:
    """What to do for an image that emulation runs though KVM can be had; empty when nothing is."""
    tried = (engine.home.images / image.id / KVM_FAILED).exists()
    if image.spec.accelerator == KVM or tried or kvm_trouble():
        return ""
    return (
        f"image {image.name} is emulated, and KVM is here: vertui image build {image.name} --accelerator kvm"
    )


@asynccontextmanager
async def _booted(engine: Engine, spec: MachineSpec, work: Path) -> AsyncIterator[Live]:
    """A machine booted from an image's files until its agent answers; ended afterwards."""
    boot = Boot(work / "vmlinux", work / "initrd", command_line(spec.memory_bytes))
    layer = new_id()
    async with contextlib.AsyncExitStack() as undo:
        undo.callback(engine.collect_layers)
        empty = base_images.empty(spec.memory_bytes)
        undo.callback(os.close, empty.descriptor)
        network = await asyncio.to_thread(engine.network.create, BUILD_NETWORK)
        undo.push_async_callback(asyncio.to_thread, network.close)
        with engine.needing(layer):
            await asyncio.to_thread(make_layer, engine, work, layer)
            tap = network.tap_fd or -1
            machine = await engine.hypervisor.start(new_id(), spec, empty, tap, engine.layer(layer), boot)
            live = engine.machines.booting = Live("", machine, network)
            try:
                await _boot(engine, live, work, BOOT_DEADLINES_S.get(spec.accelerator, LONGEST_BOOT_S))
                yield live
            finally:
                engine.machines.booting = None
                await live.close()


async def _boot(engine: Engine, live: Live, work: Path, deadline_s: float) -> None:
    """Let a machine boot until its agent answers; GuestFailed with its last words when it does not in time."""
    await live.console.open(live.machine.console_socket)
    await live.machine.open_disk(Layer("root", (work / "root.raw").relative_to(engine.home.root)), ())
    await live.machine.cont()
    try:
        async with asyncio.timeout(deadline_s):
            await _answered(engine, live)
    except TimeoutError as error:
        raise GuestFailed(f"it did not answer within {deadline_s:g} s; {live.console.last_words}") from error
    except (MachineFailed, GuestFailed) as error:
        raise type(error)(f"{error}; {live.console.last_words}") from error


async def _answered(engine: Engine, live: Live) -> None:
    """Wait for the agent's answer. NoRoom as soon as the machine stands still for lack of it."""
    answer, stall = asyncio.create_task(live.connect()), asyncio.create_task(live.stall.wait())
    try:
        await asyncio.wait([answer, stall], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise no_room("the image to boot", engine.home.root, ROOM_BYTES)
        await answer
    finally:
        answer.cancel()
        stall.cancel()


async def _golden(engine: Engine, name: str, image: str, work: Path, spec: MachineSpec, live: Live) -> Image:
    """Commit the booted machine, put the image's files in place, and make both true in one transaction."""
    await _settle(live)
    shot = await freeze_and_read(engine, live, image, spec)
    await shot.felt_ms
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
            put_commit(engine, identified, shot, label, stored)
            engine.catalog.put_image(made)
    except BaseException:
        await asyncio.to_thread(engine.store.delete, manifest.id)
        shutil.rmtree(final, ignore_errors=True)
        raise
    while old := next(filter(partial(_replaced, engine), engine.catalog.images()), None):
        await remove_image(engine, old.id)
    return made


def _replaced(engine: Engine, image: Image) -> bool:
    """Did another take its name, and is no branch made of it?"""
    return image.name == image.id and not _users(engine, image)


async def _settle(live: Live) -> None:
    """Let a fresh guest do once what every child would otherwise do first: take an identity, start a shell, prompt."""
    agent = await live.agent()
    await agent.freeze(FIRST_FREEZE_S)
    await agent.identity(make_identity("vertui"))
    await agent.thaw()
    command = await agent.exec("true")
    async for _ in command:
        pass
    await agent.release(command.id)
    async with asyncio.timeout(PROMPT_DEADLINE_S):
        async for printed in live.console.view():
            if PROMPT in printed:
                return


def plan_remove_image(engine: Engine, name: str) -> Plan:
    """What removing an image removes. Conflict while a branch, live or in the trash, is made of it."""
    image = engine.image(name)
    if users := _users(engine, image):
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
    return Plan(new_id(), "image rm", (), commits, size, False, (line,), images=(image.id,))


def _users(engine: Engine, image: Image) -> list[str]:
    """The branches, also in the trash, whose machines are made of an image."""
    rows = [row for deleted in (False, True) for row in engine.catalog.branches(deleted=deleted)]
    return [row.name for row in rows if row.image == image.id]


async def remove_image(engine: Engine, image_id: str) -> None:
    """Carry such a plan out. Rows go first, then files; these may have to wait for whoever writes the store."""
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
    with counting(engine, f"removing commits of image {image.name}") as told:
        for done, commit in enumerate(commits, 1):
            await asyncio.to_thread(engine.store.delete, commit.id)
            told(done, len(commits))
    with counting(engine, f"moving pages out of image {image.name}") as told:
        await asyncio.to_thread(engine.store.forget_image, image_id, told)
    gone = (
        engine.home.images / f".{image_id}.gone.tmp"
    )  # should the daemon end meanwhile, the next one sweeps it
    with contextlib.suppress(FileNotFoundError):
        (engine.home.images / image_id).rename(gone)
        await asyncio.to_thread(shutil.rmtree, gone)
    engine.events.publish("image", image.name, f"image {image.name} was removed")


def image_bytes(engine: Engine, image: Image) -> int:
    """What an image's own files take on disk."""
    return sum(path.stat().st_blocks * 512 for path in (engine.home.images / image.id).glob("*"))
