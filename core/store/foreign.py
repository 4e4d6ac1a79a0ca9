"""An exported file of unknown origin: what it may say, and how much of it.

Whatever it holds, these checks take no more than 512 MB of memory. Words in it that name files or go to QEMU must be
plain ones.
"""

import math
import re
from pathlib import Path

import zstandard

from core.errors import Damaged
from core.model import LONGEST_MESSAGE, PAGE_BYTES, MachineSpec
from core.store.columns import ROOM_BYTES
from core.store.pack import Pack
from core.store.record import DEVICES, Record, facts_of, parse_record
from core.store.seal import FORMAT
from core.store.seekable import SKIPPABLE
from core.store.tables import NOTHING
from core.store.values import DISK, MEMORY, Label, Manifest

RECORD = 0x184D2A5C
MOST_PAGES = 3 << 18  # distinct ones: 3 GiB; to store one takes 450 bytes of memory on the way
MOST_ENTRIES = 1 << 22  # pages of a medium that are not zero: 16 GiB
ENTRY_BYTES = 12  # of a table
LARGEST_MEMORY, LARGEST_DISK, MOST_VCPUS = 1 << 36, 1 << 40, 16  # what an image can have
MOST_FRAME_PAGES = 64
LARGEST_FRAME = MOST_FRAME_PAGES * PAGE_BYTES + (1 << 12)
LARGEST_HEAD = 1 << 17  # a character of a commit's message may take six bytes of JSON
MOST_PARENTS = 16
SECTIONS = {DEVICES, MEMORY, DISK}
LATEST = 1e11  # seconds since 1970: a time of day can be told of it
ID, HASH = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
WORD, BRANCH = re.compile(r"[\w.-]{1,100}", re.ASCII), re.compile(r"[a-z0-9-]{0,31}")


def opened(source: Path) -> tuple[Pack, Record]:
    """The file's pack and record, of sane shape. Damaged says what is not."""
    if not _begins_with_a_frame(source):
        raise Damaged("this file is no exported commit: `vertui export` writes one")
    try:
        pack = Pack(source, 0, MOST_PAGES)
        _check_shape(pack)
        pack.check()
        _check_head(pack.extra())
        record = parse_record(pack.extra(), source.name)
        _check_manifest(record.manifest)
        _check_table(record, MEMORY, record.manifest.spec.memory_bytes)
        _check_table(record, DISK, record.manifest.spec.disk_bytes)
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, Damaged) as error:
        text = str(error).replace(f"pack {source.name}", "it")
        raise Damaged(f"this file is no whole exported commit: {text}") from error
    return pack, record


def _begins_with_a_frame(source: Path) -> bool:
    with source.open("rb") as file:
        magic = int.from_bytes(file.read(4), "little")
    return magic == zstandard.MAGIC_NUMBER or magic & ~0xF == SKIPPABLE & ~0xF


def _check_shape(pack: Pack) -> None:
    """The directory's columns must fit each other: their hashes only say that nobody changed them since."""
    found, rows = pack.directory, len(pack.directory.ids)
    if type(found.frame_pages) is not int or not 0 < found.frame_pages <= MOST_FRAME_PAGES:
        raise ValueError("it has no frames")
    if rows > MOST_PAGES:
        raise ValueError(f"it holds more than {MOST_PAGES >> 18} GiB of distinct pages")
    frames = -(-rows // found.frame_pages)
    shapes = (found.ids, (rows,)), (found.hashes, (rows, 32)), (found.against, (rows,))
    more = (found.frame_bytes, (frames,)), (found.frame_hashes, (frames, 32)), (found.places, (0,))
    if any(array.shape != shape for array, shape in (*shapes, *more)):
        raise ValueError("its directory does not fit its pages")
    if frames and int(found.frame_bytes.max()) > LARGEST_FRAME:
        raise ValueError("a frame of it is larger than its pages")


def _check_head(data: memoryview) -> None:
    """A manifest says what ours do, and nothing else."""
    facts, _ = facts_of(data, LARGEST_HEAD)
    known: dict[str, type] = {"spec": MachineSpec, "label": Label}
    parts = [(Manifest, facts, {"lengths"}), *((cls, facts[name], set[str]()) for name, cls in known.items())]
    if any(told.keys() - more - cls.__annotations__.keys() for cls, told, more in parts):
        raise ValueError("its manifest says more than one")
    lengths = facts["lengths"]
    if lengths.keys() != SECTIONS or any(type(size) is not int or size < 0 for size in lengths.values()):
        raise ValueError("its manifest is not one")


def _check_manifest(told: Manifest) -> None:
    """What a manifest says must be of a sane size. Its ids are verified later; they do not cover every word."""
    spec, label = told.spec, told.label
    words = (told.image, spec.machine, spec.cpu, spec.accelerator)
    numbers = (
        (told.format, FORMAT, FORMAT),
        (spec.memory_bytes, PAGE_BYTES, LARGEST_MEMORY),
        (spec.disk_bytes, PAGE_BYTES, LARGEST_DISK),
        (spec.vcpus, 1, MOST_VCPUS),
        (told.page_count, 0, LARGEST_MEMORY // PAGE_BYTES),
    )
    good = (
        len(told.parents) <= MOST_PARENTS
        and all(
            ID.fullmatch(word) for word in (told.id, told.state_id, told.memory, told.disk, *told.parents)
        )
        and (told.base is None or ID.fullmatch(told.base))
        and all(WORD.fullmatch(word) and not word.startswith(".") for word in words)
        and all(low <= number <= high for number, low, high in numbers)
        and BRANCH.fullmatch(label.branch)
        and len(label.message) <= LONGEST_MESSAGE
        and math.isfinite(label.created)
        and 0 <= label.created <= LATEST
        and told.files.keys() == SECTIONS
        and all(HASH.fullmatch(digest) for digest in told.files.values())
    )
    if not good:
        raise ValueError("its manifest is not one")


def _check_table(record: Record, medium: str, size_bytes: int) -> None:
    """A table must be whole: of its medium's size, on no other, its places ascending."""
    stored = record.table(medium, ENTRY_BYTES * MOST_ENTRIES + ROOM_BYTES)
    if type(stored.pages) is not int or stored.pages * PAGE_BYTES != size_bytes:
        raise ValueError(f"its {medium} table has another size than its {medium}")
    places = stored.places
    good = (
        len(places) == len(stored.ids)
        and len(places) <= MOST_ENTRIES
        and (stored.lean, stored.depth) == (NOTHING, 0)
        and not (len(places) and int(places[-1]) >= stored.pages)
        and bool((places[1:] > places[:-1]).all())
    )
    if not good:
        raise ValueError(f"its {medium} table is not whole")
