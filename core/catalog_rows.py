"""A digest beside every row of the catalog: SQLite notices a page that makes no sense, not a changed letter.

Triggers of the connection note which rows a transaction wrote, so that every write is covered; `keep` makes their
digests before it is committed, so that a row and its digest become true together. No trigger calls Python: SQLite holds
its own lock while one runs, and would wait in it for a thread that holds the interpreter's and waits for SQLite's.
"""

import sqlite3

from blake3 import blake3

TABLES = {"settings": "key", "images": "id", "commits": "id", "branches": "id", "operations": "id"}
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

    def keep(self) -> None:
        """Make the digests of what was written in the open transaction: the last thing before it is committed."""
        for table, row in self._db.execute('SELECT DISTINCT "table", id FROM written').fetchall():
            query = f"SELECT * FROM {table} WHERE {TABLES[table]} = ?"
            found = self._db.execute(query, (row,)).fetchone()
            if found is None:
                self._db.execute('DELETE FROM digests WHERE "table" = ? AND id = ?', (table, row))
            else:
                digest = self._digest(table, found)
                self._db.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (table, row, digest))
        self._db.execute("DELETE FROM written")

    def changed_rows(self) -> list[str]:
        """What is not as it was written: each row as `row ID of TABLE`, or what SQLite says of the file."""
        found = [row[0] for row in self._db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        for table, key in TABLES.items():
            kept = self._db.execute('SELECT id, digest FROM digests WHERE "table" = ?', (table,))
            rows = self._db.execute(f"SELECT CAST({key} AS TEXT), * FROM {table}")
            unlike = {tuple(row) for row in kept} ^ {(row[0], self._digest(table, row[1:])) for row in rows}
            found += [f"row {row} of {table}" for row in sorted({str(row) for row, _ in unlike})]
        tables = ", ".join(f"'{table}'" for table in TABLES)
        strange = f'SELECT "table" || \' \' || id FROM digests WHERE "table" NOT IN ({tables})'
        return found + [f"row {row[0]}" for row in self._db.execute(strange)]

    def _digest(self, table: str, row: sqlite3.Row | tuple[object, ...]) -> str:
        """Of the columns' names, lest one be called something else, and the values."""
        values = (self._columns[table], *row)
        return blake3(repr(values).encode(errors="surrogateescape")).hexdigest(length=16)


def _columns(database: sqlite3.Connection, table: str) -> str:
    return " ".join(row[1] for row in database.execute(f"PRAGMA table_info({table})"))
