"""The agent's answers as values: every field checked, as the guest is not trusted."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from core.codec import decode
from core.errors import GuestFailed
from core.guest.agent import wire
from core.guest.agent.note import MOST_BYTES
from core.model import Command, Process
from core.names import spelled

T = TypeVar("T")
Number = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Pair = tuple[Number, Number]  # for stdout and stderr


class Done(Struct):
    """The answer to what needs no more."""


class AgentRefusal(Struct):
    """Why the agent refuses."""

    message: str


class Pong(Struct):
    """The answer to `ping`."""

    frozen: bool = False


class Thawed(Struct):
    """The answer to `thaw`: the time that the guest's clock was set to; an older image's agent sets none."""

    unix_time_ns: Number | None = None


class ClockRead(Struct):
    """The answer to `clock`: its time, how far that is from real time, and which setting of it was read."""

    unix_time_ns: Number
    distance_ns: Number
    origin_ns: Number


class Stats(Struct):
    """The answer to `stats`; `load_percent` is of one CPU in the last minute."""

    memory_bytes: Number
    available_bytes: Number
    load_percent: Number
    uptime_s: Number


class ReadBack(Struct):
    """The answer to `identity`: what programs see from now on, null where there is no file. Of a key its CRC."""

    hostname: str | UnsetType | None = UNSET
    kernel_hostname: str | UnsetType | None = UNSET
    machine_id: str | UnsetType | None = UNSET
    boot_id: str | UnsetType | None = UNSET
    ssh_host_key: int | UnsetType | None = UNSET
    ssh_public_key: str | UnsetType | None = UNSET
    generation: str | UnsetType | None = UNSET
    unix_time_ns: Number | None = None
    distance_ns: Number = 0


class ShownKey(Struct):
    """The answer to `admit`: the host key that the guest's sshd shows, as a line of known_hosts has it."""

    host_key: Annotated[str, Meta(pattern=r"^ssh-ed25519 [A-Za-z0-9+/]{68}\Z")]


class SocketOwner(Struct):
    """The answer to `owner`: the process that has a socket; nothing where none is found."""

    pid: Number = 0
    name: Annotated[str, Meta(max_length=64)] = ""


class NotePiece(Struct):
    """The answer to `note`: the note that waits longest, and some of its text in base64; no id when none waits."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{0,32}\Z")] = ""
    kind: Annotated[str, Meta(max_length=64)] = ""
    author: Annotated[str, Meta(max_length=256)] = ""
    size: Annotated[int, Meta(ge=0, le=MOST_BYTES)] = 0
    data: str = ""


class CommandStarted(Struct):
    """The answer to `exec` and `attach`; an older image's agent does not tell what was taken of the input, nor whether
    the same request had started the command `again`.
    """

    id: Number
    pid: Number
    stdin_offset: Number
    stdin_taken: Number | None = None
    again: bool | None = None


class Ended(Struct):
    """How a command ended, as a frame of its own; `bytes` came out of it in all."""

    code: Number
    bytes: Pair
    signal: Number | None = None
    timed_out: bool = False
    lasted_ms: Number | None = None


class Summary(Struct):
    """A command in the answer to `ps`."""

    id: Number
    argv: list[str]
    pid: Number
    started_ms: Number
    offsets: Pair
    dropped: Pair
    end: Ended | None = None

    @property
    def command(self) -> Command:
        """The same, fit for a terminal."""
        return Command(
            id=self.id,
            argv=tuple(map(_printable, self.argv)),
            pid=self.pid,
            started=self.started_ms / 1000,
            exit_code=self.end.code if self.end else None,
            stdout_bytes=self.offsets[0],
            stderr_bytes=self.offsets[1],
            dropped_bytes=sum(self.dropped),
            lasted_ms=float(self.end.lasted_ms) if self.end and self.end.lasted_ms is not None else None,
            timed_out=self.end is not None and self.end.timed_out,
        )


class Commands(Struct):
    """The answer to `ps`."""

    commands: list[Summary]


class Seen(Struct):
    """A process in the answer to `processes`."""

    pid: Number
    ppid: Number
    user: str
    rss_bytes: Number
    command: str

    @property
    def process(self) -> Process:
        """The same, fit for a terminal."""
        user, command = _printable(self.user), _printable(self.command)
        return Process(self.pid, self.ppid, user, self.rss_bytes, command)


class Processes(Struct):
    """The answer to `processes`."""

    processes: list[Seen]


def payload(frame: wire.Frame, kind: type[T]) -> T:
    """A control frame's value; GuestFailed when it has none of that kind."""
    try:
        return told(frame.json(), kind)
    except wire.WireError as error:
        raise malformed(str(error)) from error


def told(said: Any, kind: type[T]) -> T:
    """What JSON of a guest says; GuestFailed when it is of another kind."""
    try:
        return decode(kind, said)
    except ValueError as error:
        raise malformed(str(error)) from error


def problem(frame: wire.Frame) -> str:
    """What an error frame says."""
    return _printable(payload(frame, AgentRefusal).message)


def malformed(what: str) -> GuestFailed:
    """The error for anything our agent would not have sent."""
    return GuestFailed(f"the guest sent what no agent sends: {what}")


def _printable(field: str) -> str:
    """Each word as `core.names` spells it: they may be any bytes, which the agent sends as lone surrogates."""
    try:
        data = field.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no agent of ours sends the other halves of characters
        data = field.encode("utf-8", "replace")
    return " ".join(map(spelled, data.split(b" ")))
