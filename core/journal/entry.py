"""What a journal is made of, as values. Clients know them too: nothing that takes long to import is needed for it."""

from enum import StrEnum

from msgspec import Struct

VERSION = 1
Ranges = tuple[tuple[int, int], ...]
"""Numbers of entries, from … to, in order."""


class EntryKind(StrEnum):
    """What an entry tells of."""

    MESSAGE = "message"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    EXEC = "exec"
    COMMIT = "commit"
    FORK = "fork"
    PROMOTE = "promote"
    NOTE = "note"
    SCORE = "score"
    RESTORE = "restore"
    WAIT = "wait"


KINDS = frozenset(EntryKind)
DAMAGED = "damaged"  # the kind of what is shown in place of a line that is not whole


class PackedBody(Struct, frozen=True):
    """Where bytes lie: so many of the file of bodies, packed by Zstandard, and BLAKE3 of these bytes."""

    place: int
    size_bytes: int
    hash: str


class JournalExec(Struct, frozen=True, omit_defaults=True):
    """A command that was run; what it printed is the body of its entry. `env` are the names of the variables it was
    given, `secrets` those of them that were given a secret, with its name; `stdin_hash` and `output_hash` BLAKE3 of its
    input and of stdout and stderr (in this order), which are empty where not all of that was seen. `exit` is None when
    its client `left` it running, or hung up, or it was `cut` off: the line to its guest was lost. How a command ended
    that was `left` to itself is another entry, with its `exit`.

    One that is `inherited` was begun in the branch that this one was forked from, and runs on here by itself.

    What it was `given` besides lies with the bodies, for a replay alone (`core.journal.means`). Of a `partial` one it
    is not known how it was asked for: its client came back to it under another daemon, or it was found in a commit.
    """

    argv: tuple[str, ...]
    command: int = 0
    cwd: str = ""
    env: tuple[str, ...] = ()
    user: str = ""
    tty: bool = False
    exit: int | None = None
    timed_out: bool = False
    duration_ms: float = 0.0
    stdin_bytes: int = 0
    stdin_hash: str = ""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    output_hash: str = ""
    timeout_s: float | None = None
    secrets: tuple[tuple[str, str], ...] = ()
    given: PackedBody | None = None
    left: bool = False
    partial: bool = False
    cut: bool = False
    inherited: bool = False


class NewEntry(Struct, frozen=True):
    """What is to be appended: all of an entry that its place in a chain does not say. `given` is what its command was
    given, packed. It is a `guest`'s when a program inside said it.
    """

    kind: str
    body: str
    author: str = ""
    commit: str = ""
    key: str = ""
    guest: bool = False
    exec: JournalExec | None = None
    tries: Ranges | None = None
    lost: bool = False
    given: bytes = b""


class JournalEntry(Struct, frozen=True, omit_defaults=True):
    """An entry. `commit` is the branch's head when it was made, of a command when that began; `hash` is BLAKE3 of its
    line without that.

    Of a long body, `body` is the beginning unless all was asked for, `body_bytes` its length and `body_hash` BLAKE3 of
    it; it lies `apart`. `raw` is the line itself of an entry that a newer version wrote, is of a kind that is not known
    here, or is not whole. `key` is of the request that made it. `exec` tells of a command. A `guest`'s entry is what a
    program inside said by `vertui-note`: also who says it is its word alone.

    An entry is `tried` when the branch's machine was taken back to before it. `tries` are all these, as an entry of
    kind restore tells them; `mark` is the number of the newest of that kind up to here, 0 for none. One of that kind
    tells by `lost` that nobody wanted it so: the machine had ended, and what it did may be replayed.
    """

    seq: int
    time: float
    kind: str
    author: str
    body: str
    commit: str
    parent_hash: str
    hash: str
    version: int = VERSION
    body_bytes: int = 0
    body_hash: str = ""
    apart: PackedBody | None = None
    key: str = ""
    guest: bool = False
    exec: JournalExec | None = None
    tries: Ranges | None = None
    lost: bool = False
    mark: int = 0
    tried: bool = False
    raw: str = ""


class JournalHead(Struct, frozen=True):
    """The first line of a segment: whose it is, and where its chain goes on: at an entry of the `parent` segment, none
    for a chain that begins here. `mark` is that entry's.
    """

    journal: str
    parent: str = ""
    seq: int = 0
    parent_hash: str = ""
    mark: int = 0


class JournalCheck(Struct, frozen=True):
    """What a look at a branch's journal found: how many entries are what was written and chained, and of the first that
    is not its number and what is wrong; an empty `problem` for a journal that is whole.
    """

    branch: str
    entries: int
    seq: int = 0
    problem: str = ""
