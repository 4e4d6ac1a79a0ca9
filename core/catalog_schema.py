"""The catalog's tables, and how those of an earlier format become ours."""

import sqlite3

from core.errors import Damaged

FORMAT = 12
PORTS = """
CREATE TABLE ports (id TEXT PRIMARY KEY, branch TEXT NOT NULL, guest_port INTEGER NOT NULL, protocol TEXT NOT NULL,
  address TEXT NOT NULL, host_port INTEGER NOT NULL, created REAL NOT NULL);
"""
LINKS = (
    "CREATE TABLE links (id TEXT PRIMARY KEY, one TEXT NOT NULL, other TEXT NOT NULL, created REAL NOT NULL);"
)
PAST = """
CREATE TABLE past (id INTEGER PRIMARY KEY, moment INTEGER NOT NULL, "table" TEXT NOT NULL, key TEXT NOT NULL, was TEXT);
CREATE INDEX past_moments ON past (moment);
ALTER TABLE operations ADD COLUMN moment INTEGER;
CREATE INDEX operation_moments ON operations (moment);
"""
SCHEMA = f"""
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE images (id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL, spec TEXT NOT NULL, golden TEXT NOT NULL,
  created REAL NOT NULL, egress TEXT NOT NULL DEFAULT 'null');
CREATE TABLE commits (id TEXT PRIMARY KEY, state_id TEXT NOT NULL, parents TEXT NOT NULL, branch TEXT NOT NULL,
  image TEXT NOT NULL, message TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL, quiesced INTEGER NOT NULL,
  changed_pages INTEGER NOT NULL, stored_bytes INTEGER NOT NULL, pause_ms REAL NOT NULL, felt_pause_ms REAL NOT NULL,
  journal_position INTEGER NOT NULL, tags TEXT NOT NULL, deleted REAL, origin TEXT NOT NULL DEFAULT '',
  checkpoint TEXT NOT NULL DEFAULT '');
CREATE TABLE branches (id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
  image TEXT NOT NULL, head TEXT NOT NULL, parent TEXT, parent_branch TEXT, created REAL NOT NULL,
  number INTEGER NOT NULL, fork INTEGER, machine TEXT, started REAL, score REAL, note TEXT NOT NULL, deleted REAL,
  base TEXT, quiesced INTEGER NOT NULL DEFAULT 0, egress TEXT NOT NULL DEFAULT '{{}}',
  weight INTEGER NOT NULL DEFAULT 100, scoring TEXT NOT NULL DEFAULT 'null', idle_s INTEGER NOT NULL DEFAULT 0,
  crash TEXT NOT NULL DEFAULT 'null', policy TEXT NOT NULL DEFAULT 'null');
CREATE UNIQUE INDEX branch_names ON branches (name) WHERE deleted IS NULL;
CREATE UNIQUE INDEX branch_numbers ON branches (number) WHERE deleted IS NULL;
CREATE TABLE operations (id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT UNIQUE NOT NULL, verb TEXT NOT NULL,
  summary TEXT NOT NULL, state TEXT NOT NULL, undoable INTEGER NOT NULL, created REAL NOT NULL, finished REAL,
  error TEXT NOT NULL, intent TEXT NOT NULL, inverse TEXT NOT NULL, result TEXT NOT NULL);
{PORTS}{LINKS}{PAST}"""
CHANGES = {
    1: "ALTER TABLE commits ADD COLUMN origin TEXT NOT NULL DEFAULT ''; ALTER TABLE branches ADD COLUMN base TEXT;",
    2: """ALTER TABLE branches ADD COLUMN quiesced INTEGER NOT NULL DEFAULT 0;
UPDATE branches SET quiesced = state = 'paused' AND reason = ''
  AND NOT EXISTS (SELECT 1 FROM settings WHERE key = 'unfrozen:' || branches.id);
DELETE FROM settings WHERE key LIKE 'unfrozen:%';
UPDATE operations SET undoable = 0 WHERE state = 'undone';""",
    3: PORTS,
    4: "ALTER TABLE branches ADD COLUMN egress TEXT NOT NULL DEFAULT '{}';",
    5: LINKS,
    6: "ALTER TABLE images ADD COLUMN egress TEXT NOT NULL DEFAULT 'null';",
    7: "ALTER TABLE branches ADD COLUMN weight INTEGER NOT NULL DEFAULT 100;",
    8: "ALTER TABLE branches ADD COLUMN scoring TEXT NOT NULL DEFAULT 'null';",
    9: PAST,
    10: """ALTER TABLE branches ADD COLUMN idle_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE branches ADD COLUMN crash TEXT NOT NULL DEFAULT 'null';""",
    11: """ALTER TABLE commits ADD COLUMN checkpoint TEXT NOT NULL DEFAULT '';
ALTER TABLE branches ADD COLUMN policy TEXT NOT NULL DEFAULT 'null';""",
}  # from each format to the next


def prepare(database: sqlite3.Connection) -> None:
    """Give a catalog the tables of our format, whatever earlier one it has; Damaged for a later one's."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        database.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
    elif version > FORMAT:
        raise Damaged(
            f"the catalog has format {version}, this vertui reads {FORMAT}: use the version that wrote it"
        )
    for number in range(version or FORMAT, FORMAT):
        # rows with other columns have other digests: all are made anew
        change = f"{CHANGES[number]} DROP TABLE IF EXISTS digests; PRAGMA user_version = {number + 1};"
        database.executescript(f"BEGIN; {change} COMMIT;")
