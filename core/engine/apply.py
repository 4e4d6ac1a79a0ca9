"""One branch's file changes brought into another that runs."""

import asyncio
import json
import struct
from collections.abc import Iterator
from contextlib import suppress

from core.diff.content import Content
from core.diff.merge import Clash, LineRange, Merge, Prefer, Step, merge
from core.diff.meta import FILE_TYPES, FileType, Meta
from core.diff.select import PathFilter
from core.engine.compare import in_pieces, merge_base, require_paths
from core.engine.context import Engine
from core.engine.live import Live
from core.engine.mounts import require_disk
from core.engine.operations import operation
from core.engine.points import known_paths, states_of
from core.errors import Conflict, GuestFailed
from core.guest.scripts import guest_script, put
from core.guest.streams import CommandExit, StreamName
from core.model import Applied
from core.names import spelled
from core.patience import patient

CLASHES_SHOWN = 50
FRAME = struct.Struct("<QI")
KINDS = {kind: bits for bits, kind in FILE_TYPES.items()}
BLOCK_BYTES = 64 * 1024
STDERR_BYTES = 4000
DEADLINE_S = patient(600.0)
LOST_S = 1.0  # after which a guest that hears of its daemon no more takes away what was to be put


async def apply(
    engine: Engine,
    request_id: str,
    source: str,
    target: str,
    files: PathFilter,
    prefer: Prefer | None,
    lines: LineRange | None = None,
) -> Applied:
    """Bring what REF `source` changed since the merge base into branch `target`; with `lines` what is in these.

    Requires a running target. On success its files hold both sides' changes. Conflict lists clashes when there is no
    preference, and files that changed while it was at work. On failure nothing changed. It cannot be undone: commit
    first.
    """
    row, live = engine.branch(target), engine.machine(target)
    base = merge_base(engine, [source, target])
    async with operation(engine, request_id, "apply", f"apply {source} to {row.name}") as record:
        async with states_of(engine, (base, target, source)) as (root, ours, theirs):
            await require_disk((root, ours, theirs), files.paths)

            def plan() -> Merge:
                require_paths(files, root, ours, theirs)
                disks = (root.disk, ours.disk, theirs.disk)
                return merge(*disks, known_paths(engine, root), files, prefer, lines)

            found = await asyncio.to_thread(plan)
            undecided = found.undecided(prefer)
            if undecided:
                raise Conflict(_listed(source, row.name, undecided, prefer))
            if found.steps:
                await _put(live, found.steps)
        engine.acting.acts(row.id)
        changes = "1 change" if len(found.steps) == 1 else f"{len(found.steps)} changes"
        record.summary = f"apply {changes} of {source} to {row.name}"
    engine.events.publish("branch", row.name, record.summary)
    return Applied(
        tuple(spelled(step.path) for step in found.steps),
        tuple(map(str, found.clashes)),
        tuple(map(spelled, found.not_carried)),
    )


def _listed(source: str, target: str, clashes: tuple[Clash, ...], prefer: Prefer | None) -> str:
    fix = "--ours leaves them" if prefer else "--ours or --theirs decides"
    listed = "; ".join(map(str, clashes[:CLASHES_SHOWN]))
    more = len(clashes) - CLASHES_SHOWN
    end = f"; and {more} more" if more > 0 else ""
    return f"{len(clashes)} changed in both {source} and {target}, {fix}: {listed}{end}"


async def _put(live: Live, steps: tuple[Step, ...]) -> None:
    """Let the guest carry the steps out; GuestFailed when it cannot, Conflict when files changed meanwhile. Nothing of
    how it does that stays in the guest, nor a line in `ps`.
    """
    agent = await live.agent()
    stream = await agent.exec(
        guest_script("put"), stdin=True, timeout_s=DEADLINE_S, owner_s=LOST_S, inner=True
    )
    async for piece in in_pieces(_frames(steps)):
        await stream.write_stdin(piece)
    await stream.eof()
    said = b""
    async for item in stream:
        if isinstance(item, CommandExit):
            with suppress(GuestFailed):
                await agent.release(stream.id)
            if item.code == put.CHANGED_MEANWHILE:
                raise Conflict(f"changed while being applied to, nothing was done: {_names(said)}")
            if item.code:
                reason = spelled(b" ".join(said.split()))
                raise GuestFailed(f"the guest could not apply the changes, nothing was done: {reason}")
            return
        if item.stream is StreamName.STDERR:
            said = (said + item.data)[-STDERR_BYTES:]


def _names(said: bytes) -> str:
    """The paths that core.guest.scripts.put printed. It prints them in hexadecimal; anything else is shown as it is."""
    try:
        return " ".join(spelled(bytes.fromhex(word.decode("ascii"))) for word in said.split())
    except ValueError:
        return spelled(said)


def _frames(steps: tuple[Step, ...]) -> Iterator[bytes]:
    """What core.guest.scripts.put reads."""
    first: dict[int, int] = {}
    told = [_told(number, step, first) for number, step in enumerate(steps)]
    yield json.dumps(told).encode() + b"\n"
    for step, fields in zip(steps, told, strict=True):
        if step.renewed and step.wanted and step.wanted.type is FileType.FILE and fields["same_as"] is None:
            yield from _content(step.body)


def _told(number: int, step: Step, first: dict[int, int]) -> put.PutStep:
    """A step as JSON. New names of one file are sent as links to the first of them (`same_as`)."""
    fields: put.PutStep = {
        "path": step.path.hex(),
        "expect": _expected(step.seen),
        "remove": step.wanted is None,
    }
    if step.wanted is None:
        return {**fields, "same_as": None}
    meta = step.wanted
    linked = None
    if step.renewed and isinstance(step.body, Content) and meta.links > 1:
        linked = first.setdefault(meta.inode, number)
    return {
        **fields,
        "renew": step.renewed,
        "kind": KINDS[meta.type],
        "mode": meta.mode,
        "uid": meta.uid,
        "gid": meta.gid,
        "mtime_ns": meta.mtime_ns,
        "size": len(step.body) if isinstance(step.body, bytes) else meta.size,
        "target": None if meta.target is None else meta.target.hex(),
        "device": meta.device,
        "xattrs": [(name.hex(), value.hex()) for name, value in meta.xattrs],
        "same_as": None if linked == number else linked,
    }


def _expected(seen: Meta | None) -> list[int] | None:
    if seen is None:
        return None
    return [seen.inode] if seen.type is FileType.DIRECTORY else [seen.inode, seen.size, seen.mtime_ns]


def _content(body: Content | bytes | None) -> Iterator[bytes]:
    """Frames of (offset, length, bytes); only what is stored of a file is sent."""
    if isinstance(body, Content):
        block = body.volume.block_bytes
        for logical, rows in body.stored():
            for number, row in zip(logical.tolist(), rows, strict=True):
                data = row.tobytes()[: body.size - number * block]
                yield FRAME.pack(number * block, len(data)) + data
    elif body:
        yield FRAME.pack(0, len(body)) + body
    yield FRAME.pack(0, 0)
