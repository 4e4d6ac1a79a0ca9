"""Trees as guests told of them, compared: what is left when a disk cannot be read. Not to be trusted, only shown."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import Struct

from core.codec import decode
from core.diff.compare import meta_differences
from core.diff.entry import Aspect, DiffEntry, DiffKind, FilesystemDiff
from core.diff.flags import SHOWN_MASK
from core.diff.meta import FILE_TYPES, FileType, Meta
from core.diff.text import patch_of
from core.errors import GuestFailed
from core.guest.answers import Number, Pair


@dataclass(frozen=True, slots=True)
class Told:
    """What a guest says of one path: a digest of its content, and a small file's content if that was asked for."""

    meta: Meta
    digest: str
    text: bytes | None


Walked = Mapping[bytes, Told]


class WalkLine(Struct):
    """A line of core.guest.scripts.walk: bytes in hexadecimal, `kind` the type's bits of a mode."""

    path: str
    kind: int
    mode: Number
    uid: Number
    gid: Number
    size: Number
    mtime_ns: int
    links: Number
    inode: Number
    target: str | None
    device: Pair | None
    xattrs: list[tuple[str, str]]
    flags: Number
    project: Number
    digest: str
    text: str | None = None


def parse_walk(told: bytes) -> Walked:
    """What core.guest.scripts.walk printed; GuestFailed when it is anything else."""
    try:
        return dict(_parse(decode(WalkLine, json.loads(line))) for line in told.split(b"\n") if line)
    except (ValueError, KeyError, OverflowError, RecursionError) as error:
        raise GuestFailed("the guest told of its files in a way that cannot be read") from error


def _parse(said: WalkLine) -> tuple[bytes, Told]:
    meta = Meta(
        type=FILE_TYPES[said.kind],
        mode=said.mode,
        uid=said.uid,
        gid=said.gid,
        size=said.size,
        mtime_ns=_checked(said.mtime_ns),
        links=said.links,
        inode=said.inode,
        birth=(0, 0),
        target=None if said.target is None else bytes.fromhex(said.target),
        device=said.device,
        xattrs=tuple((bytes.fromhex(name), bytes.fromhex(value)) for name, value in said.xattrs),
        flags=said.flags & SHOWN_MASK,
        project=said.project,
    )
    text = None if said.text is None else bytes.fromhex(said.text)
    return bytes.fromhex(said.path), Told(meta, said.digest, text)


def _checked(mtime_ns: int) -> int:
    """Seconds of 64 bits in nanoseconds: files may be dated beyond what 64 bits of those reach."""
    (mtime_ns // 1_000_000_000).to_bytes(8, "little", signed=True)
    return mtime_ns


def compare_walks(before: Walked, after: Walked, *, times: bool = False) -> FilesystemDiff:
    """Every path that differs; a moved file is one removed and one added."""
    found = [_entry(path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys())]
    silent = frozenset() if times else frozenset({Aspect.MTIME})
    return FilesystemDiff(
        tuple(entry for entry in found if entry.kind is not DiffKind.MODIFIED or entry.what - silent)
    )


def patch_walks(diff: FilesystemDiff, before: Walked, after: Walked) -> Iterator[bytes]:
    """The lines of a patch to read, as `core.diff.text.patch` makes them of disks; texts must have been asked for."""

    def body(side_after: bool, path: bytes, _: Meta) -> bytes | None:
        return (after if side_after else before)[path].text

    return patch_of(diff, body)


def _entry(path: bytes, old: Told | None, new: Told | None) -> DiffEntry:
    if old is None or new is None:
        kind = DiffKind.ADDED if old is None else DiffKind.REMOVED
        return DiffEntry(path, kind, old.meta if old else None, new.meta if new else None)
    what = meta_differences(old.meta, new.meta)
    if old.meta.type is new.meta.type is FileType.FILE and old.digest != new.digest:
        what.add(Aspect.CONTENT)
    return DiffEntry(path, DiffKind.MODIFIED, old.meta, new.meta, frozenset(what))
