"""A branch booted cold from its crash disk: the kernel of its image on the disk that its machine left when it died.

Nothing of the old machine's memory is there: what ran is started anew by whoever wants it. The memory it begins in is
the golden commit's, as a used one that the kernel overwrites, so that this machine is captured, forked and handed over
as any other. It writes a layer of its own: the crash disk stays as it was left.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.catalog_values import BranchRow
from core.crash import CrashDisk
from core.engine.bases import check_root, disk_of
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.engine.memory import check_room
from core.engine.operations import operation
from core.engine.start import give, make_distinct, run
from core.engine.warm import end_warm, start_warm
from core.errors import GuestFailed, MachineFailed
from core.files import memory_file, read_error
from core.guest.scripts import cold_init
from core.image import cpio
from core.image.kernel import command_line
from core.journal.entry import EntryKind
from core.machine.protocol import Boot
from core.model import BranchState, Image
from core.patience import patient
from core.refs import CRASH

BOOT_S = patient(300.0)  # emulated, on a host that is busy, a boot and e2fsck get little of a processor


async def boot_cold(engine: Engine, request_id: str, name: str) -> BranchRow:
    """Start a branch that has no machine from its crash disk. Its head stays, and so does the crash disk. On failure
    the branch stays as it was.
    """
    row, crash = engine.branch(name), engine.crash_disk(name)
    await check_room(engine, 1)
    async with operation(engine, request_id, "cold-boot", f"boot {row.name} from {row.name}{CRASH}"):
        image = engine.image(row.image)
        starting = engine.set_branch(
            row.id, state=BranchState.STARTING, reason="", machine=new_id(), base=image.golden
        )
        try:
            with engine.needing(crash.base, *crash.layers):
                live = await _loaded(engine, starting, image, crash)
            await run(engine, live)
            await _booted(engine, live, starting)
        except BaseException:
            engine.set_branch(row.id, state=row.state, reason=row.reason, machine=None)
            raise
        engine.acting.acts(row.id)  # what it has is in no commit
        told = f"booted from {row.name}{CRASH}, the disk that its machine left when it died"
        engine.journals.note(row.id, EntryKind.NOTE, told, row.head)
    return engine.catalog.branch(row.id)


async def _loaded(engine: Engine, row: BranchRow, image: Image, crash: CrashDisk) -> Live:
    """A machine that will boot from the crash disk, and does not run yet. On failure nothing is left of it."""
    directory = engine.home.images / image.id
    check_root(directory)
    with _initrd(directory / "initrd") as initrd:
        boot = Boot(directory / "vmlinux", initrd, command_line(image.spec.memory_bytes))
        warm = await start_warm(engine, image, image.golden, row.number, row.machine, boot)
    try:
        await warm.machine.open_disk(disk_of(engine, crash.base), [*map(engine.layer, crash.layers)])
    except BaseException:
        await end_warm(engine, warm)
        raise
    return give(engine, row, warm)


async def _booted(engine: Engine, live: Live, row: BranchRow) -> None:
    """Let a machine boot and be distinct; the error says what it printed last. On failure it is ended."""
    try:
        await make_distinct(engine, live, row, quiesced=False, within_s=BOOT_S)
    except (MachineFailed, GuestFailed) as error:
        raise type(error)(f"{row.name}{CRASH} does not boot: {error}; {live.console.last_words}") from error


@contextmanager
def _initrd(path: Path) -> Iterator[Path]:
    """An image's initrd with another /init: of several archives in a row the kernel takes the last file of a name."""
    try:
        usual = path.read_bytes()
    except OSError as error:
        raise read_error(error, f"the initrd of image {path.parent.name}") from error
    with os.fdopen(memory_file("initrd"), "wb") as file:
        file.write(usual + cpio.pack([cpio.regular("init", cold_init(), executable=True)]))
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")
