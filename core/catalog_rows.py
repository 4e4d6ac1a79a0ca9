"""A digest beside every row of the catalog: SQLite notices a page that makes no sense, not a changed letter.

Triggers of the connection keep them, so that every write is covered and a row and its digest become true together.
"""

import sqlite3

from blake3 import blake3

TABLES = {"settings": "key", "images": "id", "commits": "id", "branches": "id", "operations": "id"}
DIGESTS = """CREATE TABLE IF NOT EXISTS digests ("table" TEXT, id TEXT, digest TEXT NOT NULL,
  PRIMARY KEY ("table", id)) WITHOUT ROWID"""


def keep_digests(database: sqlite3.Connection) -> None:
    """Keep the digests of all rows from now on, and make those of a catalog that has none yet."""
    database.create_function("digest", -1, _digest, deterministic=True)
    known = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'digests'").fetchone()[0]
    database.execute("BEGIN IMMEDIATE")
    database.execute(DIGESTS)
    for table, key in TABLES.items():
        if not known:
            database.execute(
                f"INSERT INTO digests SELECT '{table}', {key}, digest({_columns(database, table)}) FROM {table}"
            )
        new = _columns(database, table, "NEW.")
        put = f"INSERT OR REPLACE INTO digests VALUES ('{table}', NEW.{key}, digest({new}));"
        drop = f"DELETE FROM digests WHERE \"table\" = '{table}' AND id = OLD.{key};"
        for verb, body in {"INSERT": put, "UPDATE": drop + put, "DELETE": drop}.items():
            name = f"{table}_{verb.lower()}"
            database.execute(f"CREATE TEMP TRIGGER {name} AFTER {verb} ON main.{table} BEGIN {body} END")
    database.execute("COMMIT")


def changed_rows(database: sqlite3.Connection) -> list[str]:
    """What is not as it was written: each row as `table id`, or what SQLite says of the file."""
    found = [row[0] for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
    for table, key in TABLES.items():
        rows = f"SELECT CAST({key} AS TEXT) AS id, digest({_columns(database, table)}) AS digest FROM {table}"
        kept = f"SELECT id, digest FROM digests WHERE \"table\" = '{table}'"
        query = f"SELECT id FROM ({rows} EXCEPT {kept}) UNION SELECT id FROM ({kept} EXCEPT {rows})"
        found += [f"row {row[0]} of {table}" for row in database.execute(query)]
    tables = ", ".join(f"'{table}'" for table in TABLES)
    strange = f'SELECT "table" || \' \' || id FROM digests WHERE "table" NOT IN ({tables})'
    return found + [f"row {row[0]}" for row in database.execute(strange)]


def _columns(database: sqlite3.Connection, table: str, prefix: str = "") -> str:
    """What a row's digest is of: the columns' names, lest one be called something else, and its values."""
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    quoted = " ".join(names).replace("'", "''")
    return ", ".join((f"'{quoted}'", *(f"{prefix}{name}" for name in names)))


def _digest(*values: object) -> str:
    return blake3(repr(values).encode(errors="surrogateescape")).hexdigest(length=16)
