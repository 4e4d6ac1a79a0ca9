"""A diff as JSON-ready values."""

from typing import Any

from core.diff.entry import DiffEntry, FilesystemDiff
from core.diff.flags import lsattr
from core.diff.meta import Meta
from core.names import spelled


def as_json(diff: FilesystemDiff) -> dict[str, Any]:
    """`{"entries": [{path, kind, what, from?, before, after}], "counts": {added, removed, modified, renamed}}`.

    A path, target or attribute name is a string as `core.names` spells it; where that is not the name itself,
    `<key>_hex` beside it holds the exact bytes. `before` and `after` are null or `{type, mode (octal text), uid,
    gid, size, mtime_ns, links, inode, target?, device?, xattrs?, flags?, project?}`, attribute values in hexadecimal,
    flags as the letters of lsattr(1).
    """
    counts = dict.fromkeys(("added", "removed", "modified", "renamed"), 0)
    for entry in diff.entries:
        counts[entry.kind.value] += 1
    return {"entries": [_entry(entry) for entry in diff.entries], "counts": counts}


def _entry(entry: DiffEntry) -> dict[str, Any]:
    fields: dict[str, Any] = {**text_fields("path", entry.path), "kind": entry.kind.value}
    if entry.source is not None:
        fields |= text_fields("from", entry.source)
    fields["what"] = sorted(change.value for change in entry.what)
    return fields | {"before": _meta(entry.before), "after": _meta(entry.after)}


def _meta(meta: Meta | None) -> dict[str, Any] | None:
    if meta is None:
        return None
    fields: dict[str, Any] = {"type": meta.type.value, "mode": f"{meta.mode:04o}"}
    fields |= {key: getattr(meta, key) for key in ("uid", "gid", "size", "mtime_ns", "links", "inode")}
    if meta.target is not None:
        fields |= text_fields("target", meta.target)
    if meta.device is not None:
        fields["device"] = list(meta.device)
    if meta.xattrs:
        fields["xattrs"] = {spelled(name): value.hex() for name, value in meta.xattrs}
    if meta.flags:
        fields["flags"] = lsattr(meta.flags)
    if meta.project:
        fields["project"] = meta.project
    return fields


def text_fields(key: str, value: bytes) -> dict[str, str]:
    """`{key: text}`, and `<key>_hex` with the exact bytes when the text is not they."""
    text = spelled(value)
    return {key: text} if text.encode() == value else {key: text, f"{key}_hex": value.hex()}
