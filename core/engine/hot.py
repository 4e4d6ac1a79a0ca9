"""Hot commits as values: a captured state in RAM with its ids, and its copy that outlives a daemon.

The copy is a memfd that the holder keeps: head length (u64) | head (`columns`: ids, what was captured, pages, devices)
| the pages' contents as they are. Only this home's daemons write it, and nothing else can.
"""

import asyncio
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from core.checkpoints import Trigger
from core.codec import decode, encode
from core.engine.unattended import UnattendedCommand
from core.errors import NoRoom
from core.files import memory_file
from core.model import PAGE_BYTES, MachineSpec
from core.store import columns
from core.store.values import Captured, Label

HEAD = 8
KINDS = {"pages": columns.U32, "devices": columns.BYTES}
PIECE_BYTES = 64 << 20  # one write(2) moves at most 2 GiB


@dataclass(frozen=True)
class Shot:
    """A captured state, still in RAM. `pause_ms` is how long its machine stood still, `felt_ms` how long its guest felt
    that: known once it runs again. Whoever holds the machine's lock waits for `felt_ms` before letting go of it.
    `unfrozen` says why the state is not quiesced, "" when it is; `journal` is the last entry of the branch's journal
    that was there then, `commands` those that ran in the guest, `checkpoint` why it was captured, if that was by
    itself.
    """

    captured: Captured
    pause_ms: float
    felt_ms: asyncio.Task[float]
    unfrozen: str = ""
    journal: int = 0
    commands: tuple[UnattendedCommand, ...] = ()
    checkpoint: Trigger = Trigger.NONE


@dataclass(frozen=True)
class Hot:
    """A commit that is not on disk yet: its ids, what it holds, and what to say of it."""

    id: str
    parents: tuple[str, ...]
    captured: Captured
    label: Label

    @property
    def size_bytes(self) -> int:
        """What its pages take in RAM."""
        return self.captured.table.nbytes


def key_of(commit: str) -> str:
    """The holder's name for a hot commit's copy."""
    return f"hot:{commit}"


def commit_of(key: str) -> str | None:
    """The commit whose copy the holder keeps under this name; None when it is of another kind."""
    kind, _, commit = key.partition(":")
    return commit if kind == "hot" else None


@contextmanager
def copied(hot: Hot) -> Iterator[int]:
    """A memfd with a hot commit in it; NoRoom when memory does not suffice."""
    captured = hot.captured
    facts = {
        "id": hot.id, "parents": hot.parents, "label": encode(hot.label), "image": captured.image,
        "base": captured.base, "disk_base": captured.disk_base, "spec": encode(captured.spec),
        "layers": captured.layers, "quiesced": captured.quiesced,
    }  # fmt: skip
    arrays: columns.Arrays = {"pages": captured.pages, "devices": np.frombuffer(captured.devices, np.uint8)}
    head = columns.encode(facts, arrays)
    descriptor = memory_file("vertui-hot")
    try:
        os.write(descriptor, len(head).to_bytes(HEAD, "little") + head)
        contents = np.ascontiguousarray(captured.table).reshape(-1).data
        while len(contents):
            contents = contents[os.write(descriptor, contents[:PIECE_BYTES]) :]
        yield descriptor
    except OSError as error:
        raise NoRoom(
            f"cannot keep {hot.size_bytes >> 20} MiB of a commit in memory: {error.strerror}"
        ) from error
    finally:
        os.close(descriptor)


def read_copy(descriptor: int) -> Hot:
    """The hot commit in a memfd. ValueError when a daemon's end cut it short."""
    size = os.fstat(descriptor).st_size
    if size < HEAD:
        raise ValueError("it is empty")
    room = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
    end = HEAD + int.from_bytes(room[:HEAD], "little")
    facts, arrays = columns.decode(room[HEAD:end], KINDS)
    pages = arrays["pages"]
    table = np.frombuffer(room, np.uint8, len(pages) * PAGE_BYTES, end).reshape(-1, PAGE_BYTES)
    captured = Captured(
        facts["image"], facts["base"], facts["disk_base"], decode(MachineSpec, facts["spec"]), pages, table,
        arrays["devices"].tobytes(), tuple(facts["layers"]), facts["quiesced"],
    )  # fmt: skip
    return Hot(facts["id"], tuple(facts["parents"]), captured, decode(Label, facts["label"]))
