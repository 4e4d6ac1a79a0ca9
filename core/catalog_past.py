"""What the catalog's rows were before: of every transaction that changes what the tree shows, the rows as it found
them. So the tree of any moment since is known exactly, and none is put together from what verbs say they did.

A moment is how many such transactions there were. An operation's is the one that it ended at. What a row was at a
moment says the first that was kept of it later; if none was, it is as it is now.

Rows that are kept are never changed, so any thread may read them (`PastReader`), up to a moment that is over. The
oldest are forgotten once there are very many, whole moments at a time.
"""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEYS = {
    "settings": "key", "images": "id", "commits": "id", "branches": "id", "ports": "id", "links": "id",
}  # fmt: skip
"""The tables that the tree is of, and their keys; of the settings that is the trunk alone."""
ENDED = "operations"
TRUNK = ("settings", "trunk")
MOST_KEPT = 50_000  # rows, of ten thousand operations and more: 20 to 40 MB
MOST_OPERATIONS = (
    10_000  # that are kept of the log: 10 to 20 MB. A request sent again after so many happens again
)
MOST_TURNABLE = 1000  # that can be undone or done again, and are kept however old
AT_ONCE = 100  # rows that are forgotten in a transaction: milliseconds
Key = tuple[str, str]
"""A table, and the key of a row in it."""
Fields = Mapping[str, Any]
"""A row: its columns by name."""


class Past:
    """Keeps what the rows of a connection's transactions were."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._columns = {table: _columns(database, table) for table in KEYS}
        self.moment: int = database.execute("SELECT coalesce(max(moment), 0) FROM past").fetchone()[0]
        values = [f"c{place}" for place in range(max(map(len, self._columns.values())))]
        # as they are: SQLite would round numbers if it made text of them
        database.execute(
            f'CREATE TEMP TABLE former (n INTEGER PRIMARY KEY, "table", key, there, {", ".join(values)})'
        )
        for table, columns in self._columns.items():
            self._note(table, "INSERT", "NEW", "0", ())
            for verb in ("UPDATE", "DELETE"):
                self._note(table, verb, "OLD", "1", columns)
        for verb in ("INSERT", "UPDATE OF finished"):
            self._trigger(ENDED, verb, f"INSERT INTO former (\"table\", key) VALUES ('{ENDED}', NEW.id);")

    def keep(self) -> int:
        """Keep what the open transaction changed: before it is committed, and before what it wrote is looked at. The
        `moment` that there is once it is committed, and not before.
        """
        former = self._db.execute('SELECT *, min(n) FROM former GROUP BY "table", key').fetchall()
        if not former:
            return self.moment
        changed = [row for row in former if row["table"] != ENDED and self._was(row) != self._is(row)]
        moment = self.moment + bool(changed)
        for row in changed:
            values = (moment, row["table"], row["key"], self._was(row))
            self._db.execute('INSERT INTO past (moment, "table", key, was) VALUES (?, ?, ?, ?)', values)
        for row in former:
            if row["table"] == ENDED:
                ends = "UPDATE operations SET moment = ? WHERE id = ? AND finished IS NOT NULL AND moment IS NULL"
                self._db.execute(ends, (moment, row["key"]))
        self._db.execute("DELETE FROM former")
        return moment

    def forget(self, most: int) -> bool:
        """Forget some of the oldest rows, in the open transaction, where more than `most` are kept; were there any?"""
        ends = "SELECT (SELECT min(id) FROM past), (SELECT max(id) FROM past)"  # both at once would look at all rows
        first, last = self._db.execute(ends).fetchone()
        if first is None or last - first < most:
            return False
        moment = "SELECT moment FROM past WHERE id >= ? ORDER BY id LIMIT 1"
        [kept] = self._db.execute(moment, (last - most + 1,)).fetchone()
        [some] = self._db.execute(moment, (min(first + AT_ONCE, last),)).fetchone()
        gone = self._db.execute("DELETE FROM past WHERE moment < ? AND moment <= ?", (kept, some))
        return gone.rowcount > 0

    def _was(self, row: sqlite3.Row) -> str | None:
        """A row as the transaction found it."""
        if not row["there"]:
            return None
        return _text(self._columns[row["table"]], tuple(row)[4:])

    def _is(self, row: sqlite3.Row) -> str | None:
        """The same row as it is now."""
        table = row["table"]
        found = self._db.execute(f"SELECT * FROM {table} WHERE {KEYS[table]} = ?", (row["key"],)).fetchone()
        return None if found is None else _text(self._columns[table], tuple(found))

    def _note(self, table: str, verb: str, side: str, there: str, columns: tuple[str, ...]) -> None:
        names = "".join(f", c{place}" for place in range(len(columns)))
        values = "".join(f', {side}."{column}"' for column in columns)
        row = f"VALUES ('{table}', {side}.{KEYS[table]}, {there}{values})"
        only = f"WHEN {side}.key = '{TRUNK[1]}' " if table == TRUNK[0] else ""
        self._trigger(table, verb, f'INSERT INTO former ("table", key, there{names}) {row};', only)

    def _trigger(self, table: str, verb: str, body: str, only: str = "") -> None:
        name = f"past_{table}_{verb.partition(' ')[0].lower()}"
        self._db.execute(f"CREATE TEMP TRIGGER {name} AFTER {verb} ON main.{table} {only}BEGIN {body} END")


class PastReader:
    """Reads what was kept when it was made, on a connection of its own: of any thread, which closes it."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("BEGIN")  # what is forgotten meanwhile stays for this one
        self.oldest: int = self._db.execute("SELECT coalesce(min(moment), 1) - 1 FROM past").fetchone()[0]
        """The first moment that is known; 0 where nothing was forgotten."""

    def close(self) -> None:
        """Idempotent."""
        self._db.close()

    def changed(self, after: int, upto: int) -> set[Key]:
        """The rows that changed between two moments."""
        query = 'SELECT DISTINCT "table", key FROM past WHERE moment > ? AND moment <= ?'
        return {(row[0], row[1]) for row in self._db.execute(query, (after, upto))}

    def rows(self, moment: int, upto: int) -> dict[Key, Fields | None]:
        """What the rows that changed after a moment were at it, None for those that were not there."""
        first = 'SELECT min(id) FROM past WHERE moment > ? AND moment <= ? GROUP BY "table", key'
        found = self._db.execute(f'SELECT "table", key, was FROM past WHERE id IN ({first})', (moment, upto))
        return {(row[0], row[1]): None if row[2] is None else json.loads(row[2]) for row in found}

    def before(self, moment: int) -> Fields | None:
        """The operation that ended at the latest moment before this one; None where none did that is known."""
        query = "SELECT max(moment) FROM operations WHERE moment < ? AND moment >= ?"
        return self._first(query, moment, self.oldest)

    def behind(self, moment: int, upto: int) -> Fields | None:
        """The one that ended at the next moment after this one."""
        query = "SELECT min(moment) FROM operations WHERE moment > ? AND moment <= ?"
        return self._first(query, moment, upto)

    def operation(self, operation: int) -> Fields | None:
        """An operation by its id; None for none."""
        return self._one("SELECT * FROM operations WHERE id = ?", operation)

    def steps(self, moment: int, upto: int) -> int:
        """At how many moments between two operations ended."""
        query = "SELECT count(DISTINCT moment) FROM operations WHERE moment > ? AND moment <= ?"
        return int(self._db.execute(query, (moment, upto)).fetchone()[0])

    def unknown(self) -> int:
        """The newest operation that ended before moments were kept; 0 for none."""
        query = "SELECT coalesce(max(id), 0) FROM operations WHERE moment IS NULL AND finished IS NOT NULL"
        return int(self._db.execute(query).fetchone()[0])

    def over(self, most: int, turnable: int) -> list[int]:
        """The operations that nothing needs: not the newest `most`, nor those at work, nor the newest `turnable` that
        can be undone or done again, nor what steps through the past stop at: the first of each moment that is known,
        and the newest of which none is.
        """
        query = """SELECT id FROM operations
WHERE id <= (SELECT max(id) FROM operations) - ? AND finished IS NOT NULL AND id <> ?
  AND id NOT IN (SELECT id FROM operations WHERE undoable ORDER BY id DESC LIMIT ?)
  AND id NOT IN (SELECT min(id) FROM operations WHERE moment >= ? GROUP BY moment)
ORDER BY id"""
        given = most, self.unknown(), turnable, self.oldest
        return [row[0] for row in self._db.execute(query, given)]

    def _first(self, moment: str, *given: int) -> Fields | None:
        """Of those that ended at one moment the first: it is what made the tree so."""
        return self._one(f"SELECT * FROM operations WHERE moment = ({moment}) ORDER BY id LIMIT 1", *given)

    def _one(self, query: str, *given: int) -> Fields | None:
        row = self._db.execute(query, given).fetchone()
        return None if row is None else dict(zip(row.keys(), row, strict=True))


def _columns(database: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(row[1] for row in database.execute(f"PRAGMA table_info({table})"))


def _text(columns: tuple[str, ...], values: tuple[Any, ...]) -> str:
    return json.dumps(dict(zip(columns, values, strict=False)), ensure_ascii=False)
