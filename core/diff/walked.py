"""Trees as guests told of them, compared: what is left when a disk cannot be read. Not to be trusted, only shown."""

import json
from collections.abc import Mapping
from typing import Any

from core.diff.compare import meta_differences
from core.diff.entry import Change, Entry, FilesystemDiff, Kind
from core.diff.meta import FILE_TYPES, FileType, Meta
from core.errors import GuestFailed

Walked = Mapping[bytes, tuple[Meta, str]]
"""Path to what `stat` says and a digest of the content."""


def parse_walk(told: bytes) -> Walked:
    """What core.guest.scripts.walk printed; GuestFailed when it is anything else."""
    try:
        return dict(_parse(json.loads(line)) for line in told.split(b"\n") if line)
    except (ValueError, TypeError, KeyError) as error:
        raise GuestFailed("the guest told of its files in a way that cannot be read") from error


def _parse(said: dict[str, Any]) -> tuple[bytes, tuple[Meta, str]]:
    numbers = {key: int(said[key]) for key in ("mode", "uid", "gid", "size", "mtime_ns", "links", "inode")}
    device = said["device"] and (int(said["device"][0]), int(said["device"][1]))
    meta = Meta(
        type=FILE_TYPES[said["kind"]],
        birth=(0, 0),
        target=None if said["target"] is None else bytes.fromhex(said["target"]),
        device=device,
        xattrs=tuple((bytes.fromhex(name), bytes.fromhex(value)) for name, value in said["xattrs"]),
        **numbers,
    )
    return bytes.fromhex(said["path"]), (meta, str(said["digest"]))


def compare_walks(before: Walked, after: Walked, *, times: bool = False) -> FilesystemDiff:
    """Every path that differs; a moved file is one removed and one added."""
    found = [_entry(path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys())]
    silent = frozenset() if times else frozenset({Change.MTIME})
    return FilesystemDiff(
        tuple(entry for entry in found if entry.kind is not Kind.MODIFIED or entry.what - silent)
    )


def _entry(path: bytes, old: tuple[Meta, str] | None, new: tuple[Meta, str] | None) -> Entry:
    if old is None or new is None:
        kind = Kind.ADDED if old is None else Kind.REMOVED
        return Entry(path, kind, old[0] if old else None, new[0] if new else None)
    what = meta_differences(old[0], new[0])
    if old[0].type is new[0].type is FileType.FILE and old[1] != new[1]:
        what.add(Change.CONTENT)
    return Entry(path, Kind.MODIFIED, old[0], new[0], frozenset(what))
