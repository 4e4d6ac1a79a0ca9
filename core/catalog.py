"""The catalog: the one place where state becomes true.

SQLite in WAL mode with synchronous=FULL: a transaction here is the sole commit point. Whatever it names is on disk
before it is written (`PageStore.put` returns after fsync), so a row is never ahead of its files.

Used from the thread that opened it only, which is the daemon's event loop: another's use is refused by SQLite, as two
that wait for each other's locks would wait for ever. Every method takes well under a millisecond but for the commit's
fsync. Commits and branches are kept as values, for every verb looks through them; what is written is read again.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from core.catalog_past import MOST_KEPT, Past, PastReader
from core.catalog_rows import Created, Digests, Kept
from core.catalog_schema import prepare
from core.catalog_values import (
    BranchRow,
    Intent,
    OperationRow,
    branch_of,
    commit_of,
    damaged,
    image_of,
    link_of,
    operation_of,
    port_of,
)
from core.codec import encode
from core.errors import Damaged, NoRoom, NotFound, VertuiError
from core.links import LinkRow
from core.model import Commit, Image, OperationState
from core.ports import PortRow
from core.reach import Reach

R = TypeVar("R", bound=Created)
LARGEST = 2**63 - 1  # that SQLite can hold


class Catalog:
    """Rows in and out. Wrap several changes in `transaction` to make them one."""

    def __init__(self, path: Path) -> None:
        self._commits = Kept("commits", commit_of)
        self._branches = Kept("branches", branch_of)
        self._path = path
        self._written: set[tuple[str, str]] = set()  # rows that may not be as they are kept
        self.on_written: Callable[[set[tuple[str, str]]], None] | None = None
        """Told of the tables and keys of the rows that a transaction wrote, once that is true."""
        self.lent: Callable[[], AbstractContextManager[object]] = nullcontext
        """What finds room on a full disk for all that is written but intents: only what has not begun is refused."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            prepare(self._db)
            self._digests, self._past = Digests(self._db), Past(self._db)
        except (
            sqlite3.Error,
            UnicodeDecodeError,
        ) as error:  # the latter for a message that quotes what is damaged
            raise _mapped(error) from error
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._db.close()

    @property
    def never_used(self) -> bool:
        """Has nothing ever been written here? So it is in a new home, and after the file was lost."""
        counts = (self._read(f"SELECT count(*) FROM {t}")[0][0] for t in ("images", "commits", "operations"))
        return not any(counts)

    def check(self) -> list[str]:
        """What is not as it was written: rows by table and id, or what SQLite says of its file."""
        try:
            return self._digests.changed_rows()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            return [f"the catalog cannot be read: {error}"]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes in the body, durably, or none. Nested ones belong to the outermost."""
        if self._db.in_transaction:
            yield
            return
        with self.lent(), self._transaction():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            moment = self._past.keep()
            written = self._digests.keep()
            self._written |= written
            self._db.execute("COMMIT")
            self._past.moment = moment
            if self.on_written:
                self.on_written(written)
        except sqlite3.Error as error:
            raise _mapped(error) from error
        finally:
            if self._db.in_transaction:
                self._roll_back()

    # -- settings, images ------------------------------------------------------------------------------------

    def setting(self, key: str) -> str | None:
        """A setting's value, such as the `trunk`'s branch id."""
        rows = self._read("SELECT value FROM settings WHERE key = ?", key)
        return rows[0]["value"] if rows else None

    def set_setting(self, key: str, value: str | None) -> None:
        """Set or, with None, forget a setting."""
        if value is None:
            self._write("DELETE FROM settings WHERE key = ?", key)
        else:
            upsert = "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            self._write(f"INSERT INTO settings VALUES (?, ?) {upsert}", key, value)

    def images(self) -> list[Image]:
        """All images, oldest first."""
        return [image_of(row) for row in self._read("SELECT * FROM images ORDER BY created")]

    def put_image(self, image: Image) -> None:
        """Add an image. One that had its name is called by its id from then on: branches may still need it. What that
        said of egress the new one says.
        """
        former = next((one.egress for one in self.images() if one.name == image.name), None)
        self._write("UPDATE images SET name = id WHERE name = ?", image.name)
        spec, egress = (json.dumps(encode(value)) for value in (image.spec, image.egress or former))
        values = image.id, image.name, spec, image.golden, image.created, egress
        self._write("INSERT INTO images VALUES (?,?,?,?,?,?)", *values)

    def set_image_egress(self, image: str, reach: Reach | None) -> None:
        """What branches of an image may reach at first; None for what the home says."""
        self._write("UPDATE images SET egress = ? WHERE id = ?", json.dumps(encode(reach)), image)

    def delete_image(self, image: str) -> None:
        """Forget an image."""
        self._write("DELETE FROM images WHERE id = ?", image)

    # -- commits ---------------------------------------------------------------------------------------------

    def commits(self, *, deleted: bool = False) -> list[Commit]:
        """All commits, or all in the trash, oldest first."""
        return self._list(self._commits, deleted=deleted)

    def commit(self, commit: str) -> Commit:
        """One commit by its whole id, also from the trash."""
        rows = self._read("SELECT * FROM commits WHERE id = ?", commit)
        if not rows:
            raise NotFound(f"no commit {commit[:12]}")
        return commit_of(rows[0])

    def put_commit(self, commit: Commit) -> None:
        """Add or change a commit; one that is in the trash stays there."""
        fields = encode(commit) | {"parents": json.dumps(commit.parents), "tags": json.dumps(commit.tags)}
        self._put("commits", **fields)

    def mark_commit(self, commit: str, deleted: float | None) -> None:
        """Put a commit in the trash at a time, or take it out."""
        self._write("UPDATE commits SET deleted = ? WHERE id = ?", deleted, commit)

    def deleted_at(self, commit: str) -> float | None:
        """When a commit was put in the trash; None when it was not."""
        rows = self._read("SELECT deleted FROM commits WHERE id = ?", commit)
        return rows[0]["deleted"] if rows else None

    def set_tags(self, commit: str, tags: Iterable[str]) -> None:
        """Replace a commit's tags."""
        self._write("UPDATE commits SET tags = ? WHERE id = ?", json.dumps(list(tags)), commit)

    def delete_commit(self, commit: str) -> None:
        """Forget a commit for good: its children, also those in the trash, hang on its own parents from then on."""
        with self.transaction():
            gone = self.commit(commit).parents
            rows = self._read("SELECT id, parents FROM commits WHERE instr(parents, ?)", commit)
            for row in rows:
                parents = [gone if parent == commit else (parent,) for parent in json.loads(row["parents"])]
                kept = list(dict.fromkeys(parent for group in parents for parent in group))
                self._write("UPDATE commits SET parents = ? WHERE id = ?", json.dumps(kept), row["id"])
            self._write("DELETE FROM commits WHERE id = ?", commit)

    # -- branches --------------------------------------------------------------------------------------------

    def branches(self, *, deleted: bool = False) -> list[BranchRow]:
        """All branches, or all in the trash, oldest first."""
        return self._list(self._branches, deleted=deleted)

    def branch(self, branch: str) -> BranchRow:
        """One branch by its id, also from the trash."""
        rows = self._read("SELECT * FROM branches WHERE id = ?", branch)
        if not rows:
            raise NotFound(f"no branch with id {branch}")
        return branch_of(rows[0])

    def named(self, name: str) -> BranchRow | None:
        """The branch of that name, if there is one outside the trash."""
        rows = self._read("SELECT * FROM branches WHERE name = ? AND deleted IS NULL", name)
        return branch_of(rows[0]) if rows else None

    def name_of(self, branch: str | None) -> str | None:
        """The name of a branch, also one in the trash; None when it is gone for good or none was meant."""
        rows = self._read("SELECT name FROM branches WHERE id = ?", branch)
        return rows[0]["name"] if rows else None

    def put_branch(self, row: BranchRow) -> None:
        """Add or change a branch."""
        texts = {
            "egress": row.egress, "scoring": row.scoring, "crash": row.crash, "policy": row.policy,
        }  # fmt: skip
        self._put(
            "branches", **encode(row) | {key: json.dumps(encode(value)) for key, value in texts.items()}
        )

    def change_branch(self, branch: str, **changes: Any) -> BranchRow:
        """Change some columns of a branch; the new row."""
        row = replace(self.branch(branch), **changes)
        self.put_branch(row)
        return row

    def delete_branch(self, branch: str) -> None:
        """Forget a branch for good, its published ports and its links."""
        with self.transaction():
            self._write("DELETE FROM links WHERE ? IN (one, other)", branch)
            self._write("DELETE FROM ports WHERE branch = ?", branch)
            self._write("DELETE FROM branches WHERE id = ?", branch)

    def free_number(self, held: Iterable[int] = ()) -> int:
        """The lowest network number that is not `held` and no branch has, also none in the trash: an address never
        changes hands there.
        """
        taken = {row["number"] for row in self._read("SELECT number FROM branches")} | set(held)
        return next(number for number in range(1, len(taken) + 2) if number not in taken)

    # -- published ports -------------------------------------------------------------------------------------

    def ports(self) -> list[PortRow]:
        """All published ports, oldest first, also those of branches in the trash."""
        return [port_of(row) for row in self._read("SELECT * FROM ports ORDER BY created, rowid")]

    def port(self, port: str) -> PortRow:
        """One published port by its id."""
        rows = self._read("SELECT * FROM ports WHERE id = ?", port)
        if not rows:
            raise NotFound(f"no published port with id {port}")
        return port_of(rows[0])

    def put_port(self, row: PortRow) -> None:
        """Add a published port."""
        self._put("ports", **encode(row))

    def delete_port(self, port: str) -> PortRow:
        """Forget a published port; the row that it had."""
        row = self.port(port)
        self._write("DELETE FROM ports WHERE id = ?", port)
        return row

    # -- links -----------------------------------------------------------------------------------------------

    def links(self) -> list[LinkRow]:
        """All links, oldest first, also those of branches in the trash."""
        return [link_of(row) for row in self._read("SELECT * FROM links ORDER BY created, rowid")]

    def link(self, link: str) -> LinkRow:
        """One link by its id."""
        rows = self._read("SELECT * FROM links WHERE id = ?", link)
        if not rows:
            raise NotFound(f"no link with id {link}")
        return link_of(rows[0])

    def put_link(self, row: LinkRow) -> None:
        """Add a link."""
        self._put("links", **encode(row))

    def delete_link(self, link: str) -> LinkRow:
        """Forget a link; the row that it had."""
        row = self.link(link)
        self._write("DELETE FROM links WHERE id = ?", link)
        return row

    # -- operations ------------------------------------------------------------------------------------------

    def begin(self, request_id: str, verb: str, summary: str, intent: Intent, now: float) -> int:
        """Write an operation's intent before it does anything; its id. NoRoom on a full disk, unless it is part of a
        transaction.
        """
        columns = "request_id, verb, summary, state, undoable, created, error, intent, inverse, result"
        values = (
            request_id,
            verb,
            summary,
            OperationState.INTENT.value,
            0,
            now,
            "",
            json.dumps(encode(intent)),
            "{}",
            "null",
        )
        marks = ",".join("?" * len(values))
        query = f"INSERT INTO operations ({columns}) VALUES ({marks})"
        with nullcontext() if self._db.in_transaction else self._transaction():
            return self._write(query, *values)

    def change_operation(self, operation: int, **changes: Any) -> None:
        """Change some columns of an operation."""
        encoded = {
            key: json.dumps(encode(value)) if key in ("intent", "inverse", "result") else encode(value)
            for key, value in changes.items()
        }
        names = ", ".join(f"{key} = ?" for key in encoded)
        self._write(f"UPDATE operations SET {names} WHERE id = ?", *encoded.values(), operation)

    def forget_undone(self) -> None:
        """Let nothing be done again that was undone so far."""
        self._write("UPDATE operations SET undoable = 0 WHERE state = ?", OperationState.UNDONE.value)

    def operation(self, operation: int) -> OperationRow:
        """One operation."""
        rows = self._read("SELECT * FROM operations WHERE id = ?", operation)
        if not rows:
            raise NotFound(f"no operation {operation}")
        return operation_of(rows[0])

    def requested(self, request_id: str) -> OperationRow | None:
        """The operation a request id began, if any: a request sent twice happens once."""
        rows = self._read("SELECT * FROM operations WHERE request_id = ?", request_id)
        return operation_of(rows[0]) if rows else None

    def turnable(self, state: OperationState) -> OperationRow | None:
        """The operation to be undone next, which is the newest that was done and can be, or to be done again: the
        oldest of those undone. None for none.
        """
        order = "DESC" if state is OperationState.DONE else "ASC"
        rows = self._read(
            f"SELECT * FROM operations WHERE state = ? AND undoable ORDER BY id {order} LIMIT 1", state.value
        )
        return operation_of(rows[0]) if rows else None

    def forget_operations(self, operations: Iterable[int]) -> None:
        """Forget some for good (`PastReader.over`)."""
        with self.transaction():
            for operation in operations:
                self._write("DELETE FROM operations WHERE id = ?", operation)

    def operations(self, limit: int = 1000, state: OperationState | None = None) -> list[OperationRow]:
        """The newest operations, newest first."""
        where = "WHERE state = ?" if state else ""
        values = (state.value, limit) if state else (limit,)
        rows = self._read(f"SELECT * FROM operations {where} ORDER BY id DESC LIMIT ?", *values)
        return [operation_of(row) for row in rows]

    # -- the past --------------------------------------------------------------------------------------------

    @property
    def moment(self) -> int:
        """How many transactions changed what the tree shows (`core.catalog_past`)."""
        return self._past.moment

    def past(self) -> PastReader:
        """A reader of what rows were; not of this thread alone."""
        return PastReader(self._path)

    def forget_past(self, most: int = MOST_KEPT) -> bool:
        """Forget some of what rows were longest ago, where more than `most` are kept; were there any?"""
        with self.transaction():
            return self._past.forget(most)

    # -- sqlite ----------------------------------------------------------------------------------------------

    def _read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        try:
            return self._db.execute(query, tuple(map(_sought, values))).fetchall()
        except sqlite3.Error as error:
            raise _mapped(error) from error

    def _roll_back(self) -> None:
        try:
            self._written |= self._digests.written()
        except sqlite3.Error:  # a full or broken disk: what is kept cannot be told from what was undone
            self._commits, self._branches = Kept("commits", commit_of), Kept("branches", branch_of)
        self._db.execute("ROLLBACK")

    def _list(self, kept: Kept[R], *, deleted: bool) -> list[R]:
        """Rows as they are now, also in a transaction that is still open."""
        try:
            written = self._written | (self._digests.written() if self._db.in_transaction else set())
            for table, row in written:
                if table == "commits":
                    self._commits.refresh(self._db, row)
                if table == "branches":
                    self._branches.refresh(self._db, row)
            self._written.clear()
            return kept.list(self._db, deleted=deleted)
        except sqlite3.Error as error:
            raise _mapped(error) from error

    def _write(self, query: str, *values: Any) -> int:
        try:
            with self.transaction():
                return self._db.execute(query, tuple(map(_storable, values))).lastrowid or 0
        except sqlite3.Error as error:  # in a transaction of somebody else's
            raise _mapped(error) from error

    def _put(self, table: str, /, **fields: Any) -> None:
        names, marks = ", ".join(fields), ",".join("?" * len(fields))
        updates = ", ".join(f"{name} = excluded.{name}" for name in fields)
        query = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {updates}"
        self._write(query, *fields.values())


def _storable(value: Any) -> Any:
    """SQLite keeps whole characters: what a user typed may be any bytes, and is spelled out then."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _sought(value: Any) -> Any:
    """The same of a value to look for: a number that SQLite cannot hold is like the largest, which nothing has."""
    return max(-LARGEST, min(value, LARGEST)) if isinstance(value, int) else _storable(value)


def _mapped(error: sqlite3.Error | UnicodeDecodeError) -> VertuiError:
    if "full" in str(error):
        return NoRoom("no room for the catalog: `vertui store gc` and `vertui prune --now` free some")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM):
        return NoRoom(f"the catalog cannot be opened for lack of descriptors, memory or disk: {error}")
    known = ("malformed", "not a database", "codec")
    if any(word in str(error) for word in known):
        return damaged(error)
    return Damaged(f"the catalog cannot be used: {error}")
