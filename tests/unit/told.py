"""Compares what a diff says as JSON with what a walk of both trees saw."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from core.diff.meta import FILE_TYPES
from tests.unit.diff_images import Seen

KINDS = {kind.value: bits for bits, kind in FILE_TYPES.items()}


def assert_told(
    entries: Sequence[Mapping[str, Any]], before: dict[bytes, Seen], after: dict[bytes, Seen]
) -> None:
    """No difference missed, none invented, and each described as the walk saw it."""
    told: dict[bytes, tuple[Seen | None, Seen | None]] = {}
    for entry in entries:
        path, source = exact(entry, "path"), exact(entry, "from") if "from" in entry else None
        old, new = seen(entry["before"]), seen(entry["after"])
        if source is None:
            told[path] = old, new
        else:
            told[source], told[path] = (old, None), (None, new)
        if old and new and entry["before"]["type"] == entry["after"]["type"] == "file":
            was, now = before[source or path], after[path]
            assert ("content" in entry["what"]) == (was.content != now.content or was.size != now.size), path
    paths = before.keys() | after.keys()
    expected = {path: (before.get(path), after.get(path)) for path in paths}
    wanted = {path: pair for path, pair in expected.items() if differ(*pair)}
    assert told.keys() == wanted.keys()
    assert told == {path: (bare(old), bare(new)) for path, (old, new) in wanted.items()}


def differ(old: Seen | None, new: Seen | None) -> bool:
    if old is None or new is None:
        return True
    return old._replace(mtime_ns=0, links=0) != new._replace(mtime_ns=0, links=0)


def bare(side: Seen | None) -> Seen | None:
    return side and side._replace(content=None)


def exact(entry: Mapping[str, Any], key: str) -> bytes:
    return bytes.fromhex(entry[f"{key}_hex"]) if f"{key}_hex" in entry else str(entry[key]).encode()


def seen(meta: Mapping[str, Any] | None) -> Seen | None:
    if meta is None:
        return None
    attributes = meta.get("xattrs", {}).items()
    return Seen(
        KINDS[meta["type"]] | int(meta["mode"], 8),
        meta["uid"],
        meta["gid"],
        meta["size"],
        meta["links"],
        os.makedev(*meta["device"]) if "device" in meta else 0,
        meta["mtime_ns"],
        exact(meta, "target") if "target" in meta else None,
        None,
        tuple((name, bytes.fromhex(value)) for name, value in attributes),
    )
