"""Rows of the catalog as values: what is read is decoded here, and Damaged where it cannot have been written so.

Published ports and links are values of their own rooms (`core.ports`, `core.links`), and are only read here.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from core.cgroups import USUAL_WEIGHT
from core.checkpoints import CheckpointPolicy
from core.codec import decode, encode
from core.commands import Scoring
from core.crash import CrashDisk
from core.errors import Damaged, VertuiError
from core.links import LinkRow
from core.model import Branch, BranchState, Commit, Image, Operation, OperationState, Plan
from core.ports import PortRow
from core.reach import NOWHERE, Reach

T = TypeVar("T")
Columns = sqlite3.Row | Mapping[str, Any]
"""A row as SQLite gives it, or as it was kept (`core.catalog_past`)."""


@dataclass(frozen=True)
class BranchRow:
    """A branch as the catalog knows it; `number` gives its network, `machine` names its process while it has one.

    `parent` is the commit it was forked from, `parent_branch` the id of that commit's branch, `fork` the operation;
    `base` the commit whose memory its machine maps; `quiesced` tells of a paused one whether its processes were frozen
    first; `egress` what of the outside it may reach; `weight` how much its machine weighs against others; `scoring` is
    what will score it; after `idle_s` seconds in which nothing goes on it is suspended, never where that is 0; `crash`
    is what its machine had written when it died last; `policy` when it is committed by itself, None for as the home
    says.
    """

    id: str
    name: str
    state: BranchState
    reason: str
    image: str
    head: str
    parent: str | None
    parent_branch: str | None
    created: float
    number: int
    fork: int | None = None
    machine: str | None = None
    started: float | None = None
    score: float | None = None
    note: str = ""
    deleted: float | None = None
    base: str | None = None
    quiesced: bool = False
    egress: Reach = NOWHERE
    weight: int = USUAL_WEIGHT
    scoring: Scoring | None = None
    idle_s: int = 0
    crash: CrashDisk | None = None
    policy: CheckpointPolicy | None = None

    def shown(self) -> Branch:
        """What the API shows of it, before anything of the machine is known."""
        return decode(Branch, encode(self))


@dataclass(frozen=True)
class Intent:
    """What an operation is for: names of what it is to make, the plan it carries out, the request that asked for it,
    the branches it wakes, which are suspended again if it does not end, and the branch in which it runs again what was
    done before, with the machine that this had when it began.
    """

    names: tuple[str, ...] = ()
    plan: Plan | None = None
    asked: str = ""
    wakes: tuple[str, ...] = ()
    replayed: str = ""
    machine: str | None = None


@dataclass(frozen=True)
class OperationRow:
    """An operation with what it is for, what undoes it (`inverse`) and what it answered, or the kind of its refusal."""

    id: int
    request_id: str
    verb: str
    summary: str
    state: OperationState
    undoable: bool
    created: float
    finished: float | None
    error: str
    intent: Intent
    inverse: dict[str, object]
    result: Any

    def shown(self) -> Operation:
        """What the log shows of it."""
        told = self.result if isinstance(self.result, dict) else {}
        figures = {name: told[name] for name in told if name.endswith("_ms") and told[name] is not None}
        return decode(Operation, encode(self) | {"figures": figures})

    @property
    def was_refused(self) -> bool:
        """Did it end with a refusal, so that nothing of it happened? It may, where a daemon's death ended it."""
        return self.state is OperationState.FAILED and isinstance(self.result, dict) and "kind" in self.result

    @property
    def refused(self) -> str:
        """The kind of error that a failed one ended with."""
        told = self.result if isinstance(self.result, dict) else {}
        return str(told.get("kind", VertuiError.__name__))


def image_of(row: Columns) -> Image:
    """An image."""
    return _value(Image, row, "spec", "egress")


def branch_of(row: Columns) -> BranchRow:
    """A branch."""
    return _value(BranchRow, row, "egress", "scoring", "crash", "policy", flag="quiesced")


def commit_of(row: Columns) -> Commit:
    """A commit."""
    return _value(Commit, row, "parents", "tags", flag="quiesced")


def operation_of(row: Columns) -> OperationRow:
    """An operation."""
    return _value(OperationRow, row, "intent", "inverse", "result", flag="undoable")


def port_of(row: Columns) -> PortRow:
    """A published port."""
    return _value(PortRow, row)


def link_of(row: Columns) -> LinkRow:
    """A link."""
    return _value(LinkRow, row)


def _value(cls: type[T], row: Columns, *texts: str, flag: str = "") -> T:
    """A row as a value: some columns are JSON, one may be a flag. Damaged for what cannot have been written.

    One that was written before there were all of these columns has what they are without a word.
    """
    fields = {name: row[name] for name in row.keys()}  # noqa: SIM118 (a row iterates over its values)
    try:
        fields |= {key: json.loads(fields[key]) for key in texts if key in fields}
        if flag:
            fields[flag] = bool(fields[flag])
        return decode(cls, fields)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(error) from error


def damaged(error: Exception) -> Damaged:
    """What was read is not what was written."""
    return Damaged(
        f"the catalog is not what was written ({error}): move catalog.db* out of the home, and it is made again"
    )
