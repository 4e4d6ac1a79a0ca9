"""What a stream's messages look like, known to both ends: `core.daemon.streams` tells when which is sent."""

import struct
from typing import Annotated

from msgspec import Meta, Struct

from core.model import ExecRequest

STDOUT, STDERR = 1, 2
HEADER = struct.Struct(">BQ")  # stream, absolute offset
Offset = Annotated[int, Meta(ge=0)]


class ExecStart(ExecRequest, frozen=True):
    """The first message of an exec; `again` when the same request may have started the command already."""

    again: bool = False


class AttachStart(Struct, frozen=True):
    """The first message of an attach: from which offsets on, and whether by the client that started the command, or by
    one who only looks. The client tells how it had `asked` for the command, for the journal.
    """

    branch: str
    id: int
    stdout_offset: Offset = 0
    stderr_offset: Offset = 0
    owner: bool = False
    looks: bool = False
    asked: ExecRequest | None = None


class ConsoleStart(Struct, frozen=True):
    """The first message of a console."""

    branch: str


class Order(Struct, frozen=True, omit_defaults=True):
    """What a client says, one thing a message: what it has seen in all, that its input ends, that it leaves, the size
    of its terminal in rows and columns, a signal for the command, told with a `key` when it may be said again.
    """

    seen: int | None = None
    eof: bool = False
    leave: bool = False
    resize: tuple[int, int] | None = None
    signal: int | None = None
    key: Annotated[str, Meta(max_length=64)] = ""


class StreamRefusal(Struct, frozen=True):
    """Why a stream is not, or goes no further."""

    kind: str
    message: str


class Said(Struct, frozen=True, omit_defaults=True):
    """What the daemon says, one thing a message: the command's id, with what was received and taken of its input; what
    was taken since; that it takes no more; the key of a signal that need not be said again; that the command was left
    running; bytes of a stream that are lost; a line for people; the end; a refusal.
    """

    started: int | None = None
    stdin: tuple[int, int] = (0, 0)
    taken: int | None = None
    shut: bool = False
    signalled: str | None = None
    left: bool = False
    dropped: int | None = None
    stream: int = 0
    notice: str | None = None
    exit: int | None = None
    timed_out: bool = False
    error: StreamRefusal | None = None
