"""The tree as it was when an operation had ended: from what the catalog kept of its rows, and nothing else.

What is asked is told as a change of the tree that the asker holds, so that a step costs what it changes. All of it is
read and put together in a thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from msgspec.structs import replace

from core.catalog_past import (
    AT_ONCE,
    MOST_KEPT,
    MOST_OPERATIONS,
    MOST_TURNABLE,
    TRUNK,
    Fields,
    Key,
    PastReader,
)
from core.catalog_values import BranchRow, branch_of, commit_of, image_of, link_of, operation_of, port_of
from core.engine.context import Engine
from core.errors import Damaged, NotFound
from core.graph import touched
from core.inward import PublishedPort
from core.links import LinkRow, peers
from core.looking_back import Stride, Then
from core.model import Branch, Changed, Commit, Image
from core.ports import PortRow
from core.refs import PROXY
from core.refs import TRUNK as AT_TRUNK

MOST = 1 << 63  # of SQLite's numbers
PAUSE_S = 0.02  # between transactions that forget, for whoever waits
TOO_LONG_AGO = f"not kept any more: it is more than {MOST_KEPT} changes ago"
R = TypeVar("R", bound="Listed")
Find = Callable[[PastReader, int], Fields | None]
Rows = Mapping[Key, Fields | None]


class Listed(Protocol):
    """What there are many of."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def created(self) -> float:
        """Seconds since 1970."""


@dataclass(frozen=True)
class Present:
    """All rows as they are now, those of branches and commits in the trash apart, oldest first each."""

    branches: tuple[list[BranchRow], list[BranchRow]]
    commits: tuple[list[Commit], list[Commit]]
    images: list[Image]
    ports: list[PortRow]
    links: list[LinkRow]
    trunk: str | None


async def step(engine: Engine, stride: Stride, held: int, *, exact: bool) -> Then:
    """One operation back from the tree at the moment `held`, or on. An `exact` tree was told of here, and is of that
    moment; any other is at least of it. NotFound where nothing before is known.
    """

    def find(reader: PastReader, now: int) -> Fields | None:
        here = min(max(held, 0), now) if exact else now
        if stride is Stride.ON:
            return reader.behind(here, now - 1)
        if found := reader.before(here):
            return found
        if reader.oldest:
            raise NotFound(f"how the tree was before is {TOO_LONG_AGO}")
        if unknown := reader.unknown():
            raise NotFound(
                f"how the tree was before is not known: operation {unknown} is of an earlier vertui"
            )
        raise NotFound("no operation ended before this" if exact else "the tree was never otherwise")

    return await _told(engine, find, held, exact=exact)


async def at(engine: Engine, operation: int, held: int, *, exact: bool) -> Then:
    """The tree when this operation had ended."""

    def find(reader: PastReader, now: int) -> Fields:
        found = reader.operation(operation) if 0 < operation < MOST else None
        if found is None:
            raise NotFound(f"no operation {operation}: `vertui log` lists them")
        if found["finished"] is None:
            raise NotFound(f"operation {operation} has not ended yet")
        if found["moment"] is None:
            raise NotFound(
                f"operation {operation} is of an earlier vertui, which did not keep how the tree was"
            )
        if found["moment"] < reader.oldest:
            raise NotFound(f"how the tree was after operation {operation} is {TOO_LONG_AGO}")
        return found

    return await _told(engine, find, held, exact=exact)


async def forget(engine: Engine, most: int = MOST_OPERATIONS, turnable: int = MOST_TURNABLE) -> None:
    """Forget how the tree was long ago, then the operations that nothing needs beside the newest `most`, a little at a
    time. Damaged when the catalog cannot be read.
    """
    while engine.catalog.forget_past():
        await asyncio.sleep(PAUSE_S)

    def find() -> list[int]:
        try:
            with closing(engine.catalog.past()) as reader:
                return reader.over(most, turnable)
        except sqlite3.Error as error:
            raise Damaged(f"the catalog cannot be read: {error}") from error

    over = await asyncio.to_thread(find)
    for first in range(0, len(over), AT_ONCE):
        engine.catalog.forget_operations(over[first : first + AT_ONCE])
        await asyncio.sleep(PAUSE_S)


async def _told(engine: Engine, find: Find, held: int, *, exact: bool) -> Then:
    now, present = engine.catalog.moment, _present(engine)
    held = min(max(held, 0), now)

    def tell() -> Then:
        try:
            with closing(engine.catalog.past()) as reader:
                found = find(reader, now)
                if found is None:
                    return Then(None, now)
                if held < reader.oldest:
                    raise NotFound(f"what changed since the tree that is held is {TOO_LONG_AGO}")
                moment = min(found["moment"], now)
                ids = reader.changed(min(held, moment), max(held, moment) if exact else now)
                rows = reader.rows(moment, now)
                changed = _World(present, rows).told(ids, moment)
                return Then(operation_of(found).shown(), moment, reader.steps(moment, now - 1) + 1, changed)
        except (sqlite3.Error, ValueError) as error:  # the latter of what is no JSON any more
            raise Damaged(f"the catalog cannot be read: {error}") from error

    return await asyncio.to_thread(tell)


def _present(engine: Engine) -> Present:
    catalog = engine.catalog
    return Present(
        (catalog.branches(), catalog.branches(deleted=True)),
        (catalog.commits(), catalog.commits(deleted=True)),
        catalog.images(), catalog.ports(), catalog.links(), catalog.setting(TRUNK[1]),
    )  # fmt: skip


class _World:
    """All there was at a moment."""

    def __init__(self, present: Present, rows: Rows) -> None:
        was: dict[str, dict[str, Fields | None]] = {}
        for (table, key), fields in rows.items():
            was.setdefault(table, {})[key] = fields
        self.branches, self.trashed = _apart(present.branches, was.get("branches", {}), branch_of)
        self.commits, self.hidden = _apart(present.commits, was.get("commits", {}), commit_of)
        self.images = _as_was(_by_id(present.images), was.get("images", {}), image_of)
        self.ports = _as_was(_by_id(present.ports), was.get("ports", {}), port_of)
        self.links = _as_was(_by_id(present.links), was.get("links", {}), link_of)
        trunk = rows.get(TRUNK, {"value": present.trunk})
        self.trunk = trunk["value"] if trunk else None

    def told(self, ids: Collection[Key], moment: int) -> Changed:
        """How these rows were shown, and what else was shown otherwise for their sake."""
        keys: dict[str, set[str]] = {}
        for table, key in ids:
            keys.setdefault(table, set()).add(key)
        branches = keys.get("branches", set())
        commits, hidden = touched(
            keys.get("commits", set()), [*self.commits.values()], [*self.hidden.values()]
        )
        shown = tuple(self._shown(branches, linked="links" in keys))
        gone = (*branches.difference(self.branches), *hidden)
        images = tuple(self.images.values()) if "images" in keys else None
        trunk = self.branches.get(self.trunk or "")
        name = trunk.name if trunk else None
        return Changed(shown, tuple(commits), images, gone, name, ports=self._ports(), moment=moment)

    def _shown(self, ids: Collection[str], *, linked: bool) -> Iterator[Branch]:
        """Branches, with those that show their names: their children, and whoever is linked with them. All, where it
        was otherwise who is `linked`.
        """
        theirs = peers(self.links.values())
        names = {row.id: row.name for row in (*self.trashed.values(), *self.branches.values())}
        for row in self.branches.values():
            others = theirs.get(row.id, set())
            if linked or not others.isdisjoint(ids) or row.id in ids or row.parent_branch in ids:
                links = tuple(one.name for one in self.branches.values() if one.id in others)
                parent = names.get(row.parent_branch or "")
                yield replace(row.shown(), trunk=row.id == self.trunk, parent_branch=parent, links=links)

    def _ports(self) -> tuple[PublishedPort, ...]:
        names = {AT_TRUNK: AT_TRUNK, PROXY: PROXY} | {row.id: row.name for row in self.branches.values()}
        return tuple(row.shown(names[row.branch]) for row in self.ports.values() if row.branch in names)


def _by_id(rows: Iterable[R]) -> dict[str, R]:
    return {row.id: row for row in rows}


def _apart(
    now: tuple[list[R], list[R]], was: Mapping[str, Fields | None], made: Callable[[Fields], R]
) -> tuple[dict[str, R], dict[str, R]]:
    """What was outside the trash, and what was in it."""
    outside, binned = dict.fromkeys(was), dict.fromkeys(was)
    for key, fields in was.items():
        if fields is not None:
            (outside if fields["deleted"] is None else binned)[key] = fields
    return _as_was(_by_id(now[0]), outside, made), _as_was(_by_id(now[1]), binned, made)


def _as_was(now: dict[str, R], was: Mapping[str, Fields | None], made: Callable[[Fields], R]) -> dict[str, R]:
    """What is now, but for what was otherwise, oldest first."""
    there = {key: made(fields) for key, fields in was.items() if fields is not None}
    both = {key: row for key, row in now.items() if key not in was} | there
    return dict(sorted(both.items(), key=lambda item: item[1].created)) if there else both
