"""The agent's answers as values: every field checked, as the guest is not trusted."""

from __future__ import annotations

from typing import Any

from core.errors import GuestFailed
from core.guest.agent import wire
from core.model import Command, Process
from core.names import spelled


def commands(answer: dict[str, Any]) -> list[Command]:
    """The answer to `ps`."""
    return [_command(item) for item in _objects(answer, "commands")]


def processes(answer: dict[str, Any]) -> list[Process]:
    """The answer to `processes`."""
    return [
        Process(
            pid=number(item, "pid"),
            ppid=number(item, "ppid"),
            user=text(item, "user"),
            rss_bytes=number(item, "rss_bytes"),
            command=text(item, "command"),
        )
        for item in _objects(answer, "processes")
    ]


def _command(item: dict[str, Any]) -> Command:
    argv, end = item.get("argv"), item.get("end")
    offsets, dropped = pair(item, "offsets"), pair(item, "dropped")
    if not isinstance(argv, list):
        raise _wrong("argv")
    return Command(
        id=number(item, "id"),
        argv=tuple(_printable(str(word)) for word in argv),
        pid=number(item, "pid"),
        started=number(item, "started_ms") / 1000,
        exit_code=number(end, "code") if isinstance(end, dict) else None,
        stdout_bytes=offsets[0],
        stderr_bytes=offsets[1],
        dropped_bytes=sum(dropped),
    )


def _objects(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = answer.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _wrong(name)
    return items


def number(value: dict[str, Any], name: str) -> int:
    """A field that must be a whole number of at most 64 bits; GuestFailed otherwise."""
    field = value.get(name)
    if type(field) is not int or not -(1 << 63) <= field < 1 << 63:
        raise _wrong(name)
    return field


def pair(value: dict[str, Any], name: str) -> tuple[int, int]:
    """A field that must be two numbers, for stdout and stderr; GuestFailed otherwise."""
    field = value.get(name)
    if not isinstance(field, list) or len(field) != 2:
        raise _wrong(name)
    first, second = (number({name: item}, name) for item in field)
    return first, second


def text(value: dict[str, Any], name: str) -> str:
    """A field that must be text, made fit for a terminal; GuestFailed otherwise."""
    field = value.get(name)
    if not isinstance(field, str):
        raise _wrong(name)
    return _printable(field)


def payload(frame: wire.Frame) -> dict[str, Any]:
    """A control frame's object; GuestFailed when it has none."""
    try:
        return frame.json()
    except wire.WireError as error:
        raise malformed(str(error)) from error


def malformed(what: str) -> GuestFailed:
    """The error for anything our agent would not have sent."""
    return GuestFailed(f"the guest sent what no agent sends: {what}")


def _wrong(name: str) -> GuestFailed:
    return malformed(f"{name} is missing or of the wrong kind")


def _printable(field: str) -> str:
    """Each word as `core.names` spells it: they may be any bytes, which the agent sends as lone surrogates."""
    try:
        data = field.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no agent of ours sends the other halves of characters
        data = field.encode("utf-8", "replace")
    return " ".join(map(spelled, data.split(b" ")))
