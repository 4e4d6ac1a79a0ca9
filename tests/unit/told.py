"""Compares what a diff says with what a walk of both trees saw."""

import os
from collections.abc import Sequence

from core.diff.entry import Aspect
from core.diff.meta import FILE_TYPES, FileType
from core.diff.result import FileDiff, FileState
from tests.unit.diff_images import Seen

KINDS = {kind: bits for bits, kind in FILE_TYPES.items()}


def assert_told(entries: Sequence[FileDiff], before: dict[bytes, Seen], after: dict[bytes, Seen]) -> None:
    """No difference missed, none invented, and each described as the walk saw it."""
    told: dict[bytes, tuple[Seen | None, Seen | None]] = {}
    for entry in entries:
        path = exact(entry.path, entry.path_hex)
        source = None if entry.source is None else exact(entry.source, entry.source_hex)
        old, new = seen(entry.before), seen(entry.after)
        if source is None:
            told[path] = old, new
        else:
            told[source], told[path] = (old, None), (None, new)
        if entry.before and entry.after and entry.before.type is entry.after.type is FileType.FILE:
            was, now = before[source or path], after[path]
            assert (Aspect.CONTENT in entry.what) == (was.content != now.content or was.size != now.size), (
                path
            )
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


def exact(text: str, hexadecimal: str | None) -> bytes:
    return text.encode() if hexadecimal is None else bytes.fromhex(hexadecimal)


def seen(state: FileState | None) -> Seen | None:
    if state is None:
        return None
    return Seen(
        KINDS[state.type] | int(state.mode, 8),
        state.uid,
        state.gid,
        state.size,
        state.links,
        os.makedev(*state.device) if state.device else 0,
        state.mtime_ns,
        None if state.target is None else exact(state.target, state.target_hex),
        None,
        tuple((name, bytes.fromhex(value)) for name, value in (state.xattrs or {}).items()),
    )
