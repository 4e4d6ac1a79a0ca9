"""What is kept beside the catalog's rows: a digest of each in the file, and the values of the tables read most.

SQLite notices a page that makes no sense, not a changed letter: that is what digests are for.

Triggers of the connection note which rows a transaction wrote, so that every write is covered; `keep` makes their
digests before it is committed, so that a row and its digest become true together. No trigger calls Python: SQLite holds
its own lock while one runs, and would wait in it for a thread that holds the interpreter's and waits for SQLite's.
"""

import sqlite3
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from blake3 import blake3

TABLES = {
    "settings": "key",
    "images": "id",
    "commits": "id",
    "branches": "id",
    "operations": "id",
    "ports": "id",
    "links": "id",
    "past": "id",
}
DIGESTS = """CREATE TABLE IF NOT EXISTS digests ("table" TEXT, id TEXT, digest TEXT NOT NULL,
  PRIMARY KEY ("table", id)) WITHOUT ROWID"""
WRITTEN = 'CREATE TEMP TABLE written ("table", id)'


class Digests:
    """The digests of a connection's rows, kept from now on; those of a catalog that has none yet are made."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        known = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'digests'").fetchone()[0]
        self._columns = {table: _columns(database, table) for table in TABLES}
        database.execute(WRITTEN)
        database.execute("BEGIN IMMEDIATE")
        database.execute(DIGESTS)
        for table, key in TABLES.items():
            if not known:
                database.execute(f"INSERT INTO written SELECT '{table}', {key} FROM {table}")
            for verb, rows in {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}.items():
                body = " ".join(f"INSERT INTO written VALUES ('{table}', {row}.{key});" for row in rows)
                name = f"{table}_{verb.lower()}"
                database.execute(f"CREATE TEMP TRIGGER {name} AFTER {verb} ON main.{table} BEGIN {body} END")
        self.keep()
        database.execute("COMMIT")

    def written(self) -> set[tuple[str, str]]:
        """The tables and keys of the rows that the open transaction wrote."""
        return {(row[0], row[1]) for row in self._db.execute('SELECT DISTINCT "table", id FROM written')}

    def keep(self) -> set[tuple[str, str]]:
        """Make the digests of what was written in the open transaction: the last thing before it is committed. Which
        rows these are.
        """
        written = self.written()
        for table, row in written:
            query = f"SELECT * FROM {table} WHERE {TABLES[table]} = ?"
            values = self._db.execute(query, (row,)).fetchone()
            if values is None:
                self._db.execute('DELETE FROM digests WHERE "table" = ? AND id = ?', (table, row))
            else:
                digest = self._digest(table, values)
                self._db.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (table, row, digest))
        self._db.execute("DELETE FROM written")
        return written

    def changed_rows(self) -> list[str]:
        """What is not as it was written: each row as `row ID of TABLE`, or what SQLite says of the file."""
        changed = [row[0] for row in self._db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        for table, key in TABLES.items():
            kept = self._db.execute('SELECT id, digest FROM digests WHERE "table" = ?', (table,))
            rows = self._db.execute(f"SELECT CAST({key} AS TEXT), * FROM {table}")
            unlike = {tuple(row) for row in kept} ^ {(row[0], self._digest(table, row[1:])) for row in rows}
            changed += [f"row {row} of {table}" for row in sorted({str(row) for row, _ in unlike})]
        tables = ", ".join(f"'{table}'" for table in TABLES)
        strange = f'SELECT "table" || \' \' || id FROM digests WHERE "table" NOT IN ({tables})'
        return changed + [f"row {row[0]}" for row in self._db.execute(strange)]

    def _digest(self, table: str, row: sqlite3.Row | tuple[object, ...]) -> str:
        """Of the columns' names, lest one be called something else, and the values."""
        values = (self._columns[table], *row)
        return blake3(repr(values).encode(errors="surrogateescape")).hexdigest(length=16)


class Created(Protocol):
    """What the rows of such a table have."""

    @property
    def created(self) -> float:
        """Seconds since 1970."""


R = TypeVar("R", bound=Created)


class Kept(Generic[R]):
    """The rows of a table as values, read once and then one by one as they change; those in the trash apart."""

    def __init__(self, table: str, made: Callable[[sqlite3.Row], R]) -> None:
        self._table, self._made = table, made
        self._rows: dict[bool, dict[str, R]] | None = None
        self._listed: dict[bool, tuple[R, ...]] = {}

    def list(self, database: sqlite3.Connection, *, deleted: bool) -> list[R]:
        """Those in the trash, or all others, oldest first."""
        if self._rows is None:
            self._rows, self._listed = {False: {}, True: {}}, {}
            for row in database.execute(f"SELECT * FROM {self._table} ORDER BY created, rowid"):
                self._rows[row["deleted"] is not None][row["id"]] = self._made(row)
        if deleted not in self._listed:
            self._listed[deleted] = tuple(self._rows[deleted].values())
        return [*self._listed[deleted]]

    def refresh(self, database: sqlite3.Connection, id: str) -> None:
        """Read a row again: it was written."""
        if self._rows is None:
            return
        row = database.execute(f"SELECT * FROM {self._table} WHERE id = ?", (id,)).fetchone()
        deleted = row is not None and row["deleted"] is not None
        self._rows[not deleted].pop(id, None)
        if row is None:
            self._rows[deleted].pop(id, None)
        else:
            self._put(self._rows[deleted], id, self._made(row))
        self._listed.clear()

    def _put(self, rows: dict[str, R], id: str, value: R) -> None:
        """Set a row where it belongs. What changes stays where it was, and what is new is mostly the newest; to sort
        ten thousand takes milliseconds.
        """
        former, newest = rows.get(id), next(reversed(rows.values()), value)
        rows[id] = value
        stays = former.created == value.created if former else newest.created <= value.created
        if not stays:
            ordered = sorted(rows.items(), key=lambda item: item[1].created)
            rows.clear()
            rows.update(ordered)


def _columns(database: sqlite3.Connection, table: str) -> str:
    return " ".join(row[1] for row in database.execute(f"PRAGMA table_info({table})"))
