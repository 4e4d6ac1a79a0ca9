"""The guest's agent in memory: all of the wire that the engine itself speaks. There are no programs to run.

A guest is part of its machine's state, as a real one is: captured with it, and found again in each machine out of it.
"""

import asyncio
import base64
import json
import secrets
import time
from binascii import crc32
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from core.guest.agent import wire

NO_PROGRAM = "there are no programs in this guest"


@dataclass
class Guest:
    """What is inside. `ticks` is what its processes did; one that is `stubborn` cannot be frozen. The owner of the key
    `admitted` may log in. `sockets` are whose, by protocol and port: pid and name. `commands` are command lines, by
    name. `notes` are what its programs have said and wait for, as `note` answers; `acknowledged` are the numbers that
    they were told, and `refused` the problems. Its agent is as old as its `protocol`.
    """

    hostname: str = ""
    generation: str = ""
    frozen: bool = False
    stubborn: bool = False
    ticks: int = 0
    host_key: str = ""
    admitted: str = ""
    sockets: dict[str, tuple[int, str]] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    protocol: int = wire.PROTOCOL

    @classmethod
    def of(cls, devices: bytes) -> "Guest":
        """The guest in a device state."""
        return cls(**json.loads(devices))

    def devices(self) -> bytes:
        """The device state it is in."""
        return json.dumps(asdict(self)).encode()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the agent says; ValueError why it refuses."""
        match request["op"]:
            case "ping":
                return {"frozen": self.frozen, "protocol": wire.PROTOCOL}
            case "freeze" if self.stubborn:
                raise ValueError("one of its processes does not stop")
            case "freeze" | "thaw":
                self.frozen = request["op"] == "freeze"
                return _clock()
            case "identity":
                return self._become(request)
            case "clock":
                return _clock()
            case "admit":
                self.admitted = request["key"]
                return {"host_key": self.host_key}
            case "owner":
                pid, name = self.sockets.get(f"{request['protocol']} {request['port']}", (0, ""))
                return {"pid": pid, "name": name}
            case "note":
                return self.notes[0] if self.notes else {}
            case "noted":
                self._answered(request)
                return {}
            case "ps":
                return {"commands": [], "left_out": 0}
            case "processes":
                return {"processes": [self._process(*one) for one in self.sockets.values()]}
            case "exec":
                raise ValueError(f"{NO_PROGRAM}: {request['argv']}")
            case _:
                raise ValueError(NO_PROGRAM)

    def _process(self, pid: int, name: str) -> dict[str, Any]:
        command = self.commands.get(name, name)
        return {"pid": pid, "ppid": 1, "user": "root", "rss_bytes": 0, "command": command}

    def _answered(self, request: dict[str, Any]) -> None:
        for note in [note for note in self.notes if note["id"] == request["id"]]:
            self.notes.remove(note)
            if request["seq"]:
                self.acknowledged.append((note["id"], request["seq"]))
            else:
                self.refused.append(request["problem"])

    def _become(self, request: dict[str, Any]) -> dict[str, Any]:
        self.hostname, self.generation = request["hostname"], request["generation"]
        self.host_key = " ".join(request["ssh_public_key"].split()[:2])
        same = ("hostname", "machine_id", "boot_id", "ssh_public_key", "generation")
        seen = {name: request[name] for name in same} | {"kernel_hostname": request["hostname"]}
        return seen | {"ssh_host_key": crc32(request["ssh_host_key"].encode())} | _clock()


class Port:
    """What a machine's chardev socket is: a line to the agent of the guest in it, which answers while that runs."""

    def __init__(self, running: asyncio.Event) -> None:
        self.guest = Guest()
        self._running = running
        self._lines: set[asyncio.Task[None] | None] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer who connects, until either side hangs up."""
        line = asyncio.current_task()
        self._lines.add(line)
        self._writers.add(writer)
        frames = wire.Frames(strict=False)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                while data := await reader.read(64 * 1024):
                    for frame in frames.feed(data):
                        await self._running.wait()
                        writer.write(self._said(frame))
        finally:
            self._lines.discard(line)
            self._writers.discard(writer)
            writer.transport.abort()

    def say(self, text: str, kind: str = "note", author: str = "planner") -> str:
        """Have a program say a note, which waits until it is answered; its id."""
        id, data = secrets.token_hex(8), text.encode()
        told = {"id": id, "kind": kind, "author": author, "size": len(data)}
        self.guest.notes.append({**told, "data": base64.b64encode(data).decode()})
        for writer in self._writers:
            writer.write(wire.frame(wire.NOTED, 0))
        return id

    def hang_up(self) -> None:
        """End every line."""
        for line in list(self._lines):
            if line is not None:
                line.cancel()

    def _said(self, frame: wire.Frame) -> bytes:
        if frame.type == wire.HELLO:
            noted = wire.frame(wire.NOTED, 0) if self.guest.notes else b""
            return wire.hello_reply(frame.payload, self.guest.protocol) + noted
        if frame.type != wire.REQUEST:
            return b""
        try:
            return wire.json_frame(wire.REPLY, frame.channel, self.guest.answer(frame.json()))
        except ValueError as error:
            return wire.json_frame(wire.ERROR, frame.channel, {"message": str(error)})


def _clock() -> dict[str, int]:
    return {"unix_time_ns": time.time_ns(), "distance_ns": 0, "origin_ns": 0}
