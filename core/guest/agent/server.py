"""The one loop: requests in, answers and output out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from . import identity, owners, processes, wire
from .attachment import Attachment
from .bounded import AtOnce, Bounded, Calls, Late
from .cgroup import WorkGroup
from .clock import Clock
from .command import Command, Summary
from .disk import RootDisk
from .freezer import FreezeFailed
from .loop import READ, Poller, Timers
from .mounts import Mounts
from .note import ADDRESS
from .notes import Notes
from .port import Port
from .spawn import BadRequest, Exec
from .ssh import SSHD, SshListener, admit
from .standing import REQUEST_S, allow, first_in_line, outlast_signals

KEEP_FINISHED = 64
KEEP_FINISHED_BYTES = 16 * 1024 * 1024
"""Output of finished commands that stays readable: bounded, as the guest's memory is what forks copy."""

SYNC_S = 10.0
"""What the syncs around a freeze may take in all, if the host does not say."""

MAX_COMMANDS = 512
SENT_AT_ONCE_BYTES = 128 * 1024
"""Some milliseconds' worth of output, between two looks at what the host asks."""

MAX_QUEUED_BYTES = 256 * 1024
"""Requests are not read while more answers than this wait for the host."""

Request = dict[str, Any]  # as it came


class Server:
    """Serves one port. Command descriptors live in a poll set of their own, so that freezing is one call."""

    def __init__(self, port_fd: int, work: WorkGroup, clock: Clock) -> None:
        self._work = work
        self._disk = RootDisk()
        self._mounts = Mounts()
        self._bounded = Bounded()
        self._clock = clock
        self._timers = Timers()
        self._line_timers = Timers()
        self._outer = Poller()
        self._inner = Poller()
        self._commands: dict[int, Command] = {}
        self._attachments: dict[int, Attachment] = {}
        self._last_number = 0
        self._notes: Notes | None = None
        self._frames = wire.Frames(strict=False)
        self._port = Port(port_fd, self._outer, self._line_timers, self._received, self._line_lost)
        self._requests: dict[str, Callable[[int, Request], object]] = {
            "exec": self._exec,
            "attach": self._attach,
            "detach": self._detach,
            "release": self._release,
            "ps": self._ps,
            "signal": self._signal,
            "resize": self._resize,
            "freeze": self._freeze,
            "thaw": self._thaw,
            "identity": self._identity,
            "clock": self._read_clock,
            "admit": self._admit,
            "owner": self._owner,
            "note": self._note,
            "noted": self._noted,
            "processes": self._processes,
            "stats": self._stats,
            "ping": self._ping,
        }

    def listen_for_ssh(self) -> None:
        """Serve ssh as well, when the image has it and its port is free: an agent started anew may find it taken."""
        with suppress(OSError):
            if os.access(SSHD, os.X_OK):
                SshListener(self._work, self._inner)

    def listen_for_notes(self, address: str = ADDRESS) -> None:
        """Take notes as well, unless somebody has the address."""
        with suppress(OSError):
            self._notes = Notes(self._inner, self._timers, self._tell_of_notes, address)

    def run(self) -> None:
        """Serve for ever."""
        outlast_signals()
        self._heed_commands()
        self._port.send(wire.frame(wire.START, 0))
        self._pump()
        while True:
            waits_s = [wait_s for timers in self._active() if (wait_s := timers.wait_s()) is not None]
            self._outer.wait(min(waits_s, default=None))
            for timers in self._active():
                timers.run_due()
            self._pump()

    def _active(self) -> list[Timers]:
        return [self._line_timers] if self._work.frozen else [self._line_timers, self._timers]

    def _heed_commands(self) -> None:
        """Serve commands, and who calls, while the guest runs: what is started in a frozen group never begins."""
        if self._work.frozen:
            self._outer.forget(self._inner.fileno())
        else:
            self._outer.watch(self._inner.fileno(), READ, self._serve_commands)

    def _serve_commands(self) -> None:
        self._inner.wait(0)

    def _pump(self) -> None:
        """Send answers first, then output, one chunk of each command in turn, as fast as the host takes it.

        Now and then what the host asks is read: it may be to stop what makes the output.
        """
        frozen = self._work.frozen
        more, sent = True, 0
        while more and self._port.flush(data=not frozen) and sent < SENT_AT_ONCE_BYTES:
            frames = [] if frozen else list(self._output())
            for frame in frames:
                self._port.send_data(frame)
                sent += len(frame)
            more = bool(frames)
        self._port.expect(read=self._port.answer_bytes < MAX_QUEUED_BYTES, write=more)

    def _output(self) -> Iterable[bytes]:
        for channel, attachment in list(self._attachments.items()):
            frame = attachment.next_frame()
            if attachment.over:
                del self._attachments[channel]
                self._evict()
            if frame:
                yield frame

    def _received(self, data: bytes) -> None:
        # In a frozen guest nobody could go before; and a fork takes long to make a call for the first time.
        if self._work.frozen:
            self._handle(data)
            return
        with first_in_line():
            self._handle(data)
            if not self._work.frozen:  # else what is left to do would be done by every fork
                self._port.flush(data=False)

    def _handle(self, data: bytes) -> None:
        for frame in _still_wanted(self._frames.feed(data)):
            if frame.type == wire.HELLO:
                self._port.clear()
                self._line_lost()
                self._port.send(wire.hello_reply(frame.payload))
                if self._notes:
                    self._tell_of_notes()
            elif frame.type == wire.REQUEST:
                allow(REQUEST_S)
                try:
                    self._port.send(self._answer(frame))
                finally:
                    allow(0)
            elif frame.type == wire.CANCEL:
                self._cancel(frame)
            elif frame.channel in self._attachments:
                self._stream_frame(frame, self._attachments[frame.channel])

    def _answer(self, frame: wire.Frame) -> bytes:
        """Do what is asked. Whatever goes wrong goes back as one line: the agent must outlive any request."""
        try:
            request = frame.json()
            handler = self._requests.get(str(request.get("op")))
            if handler is None:
                raise BadRequest(f"the agent knows no request {request.get('op')!r}")
            return wire.json_frame(wire.REPLY, frame.channel, handler(frame.channel, request))
        except Exception as error:
            reason = (
                str(error) if isinstance(error, (BadRequest, FreezeFailed, Late, OSError)) else repr(error)
            )
            return wire.json_frame(wire.ERROR, frame.channel, {"message": reason[:2000]})

    def _stream_frame(self, frame: wire.Frame, attachment: Attachment) -> None:
        try:
            offset, data = frame.data()
            if frame.type == wire.STDIN:
                attachment.command.stdin.feed(offset, data)
            elif frame.type == wire.OUTPUT_ACK:
                attachment.consumed(offset)
        except (BadRequest, wire.WireError) as error:
            self._port.send(wire.json_frame(wire.ERROR, frame.channel, {"message": str(error)}))
            self._detach(frame.channel, {})

    def _exec(self, channel: int, request: Request) -> object:
        if self._work.frozen:  # the child would stop before exec, and the agent with it
            raise BadRequest("the guest is frozen")
        self._evict()
        if len(self._commands) >= MAX_COMMANDS:
            raise BadRequest(f"{MAX_COMMANDS} commands are running already")
        command = found = self._started(request.get("key"))
        if command is None:
            self._last_number += 1
            command = Command(self._last_number, cast("Exec", request), self._work, self._inner, self._timers)
            self._commands[command.number] = command
        return {**self._follow(channel, command, (0, 0), request), "again": found is not None}

    def _started(self, key: object) -> Command | None:
        """The command that the same request has started already, when it was made again on another line."""
        return next((command for command in self._commands.values() if key and command.key == key), None)

    def _attach(self, channel: int, request: Request) -> object:
        offsets = int(request["stdout_offset"]), int(request["stderr_offset"])
        return self._follow(channel, self._command(request), offsets, request)

    def _follow(self, channel: int, command: Command, offsets: tuple[int, int], request: Request) -> Summary:
        if channel in self._attachments:
            raise BadRequest(f"channel {channel} is in use")
        attachment = Attachment(channel, command, offsets, float(request.get("owner_s") or 0))
        command.follow(attachment)
        self._attachments[channel] = attachment
        return command.summary()

    def _detach(self, channel: int, request: Request) -> object:
        """Detach the channel a client names (its own exec or attach)."""
        attachment = self._attachments.pop(int(request.get("channel", channel)), None)
        if attachment:
            attachment.leave()
            self._evict()
        return {}

    def _line_lost(self) -> None:
        """Owners are waited for; who only looked on comes back by itself, or does not."""
        if not self._attachments:
            return
        attachments, self._attachments = self._attachments, {}
        for attachment in attachments.values():
            if attachment.owner_s:
                attachment.command.miss(attachment)
            else:
                attachment.leave()
        self._evict()

    def _cancel(self, frame: wire.Frame) -> None:
        """Give up what a request has begun."""
        attachment = self._attachments.get(frame.channel)
        if attachment:
            self._detach(frame.channel, {})
            if frame.payload == wire.KILL:
                attachment.command.cancel()

    def _command(self, request: Request) -> Command:
        command = self._commands.get(int(request["id"]))
        if command is None:
            raise BadRequest(f"the guest has no command {request['id']}")
        return command

    def _release(self, channel: int, request: Request) -> object:
        command = self._command(request)
        if command.end is None:
            raise BadRequest(f"command {command.number} is still running")
        self._forget(command)
        return {}

    def _forget(self, command: Command) -> None:
        command.forget_absent()
        for attachment in list(command.attachments):
            self._detach(attachment.channel, {})
        self._commands.pop(command.number, None)
        command.release()

    def _evict(self) -> None:
        """Forget the oldest finished commands beyond what is kept."""
        over = [command for command in self._commands.values() if command.over]
        size = sum(command.ring_bytes for command in over)
        for count, command in zip(range(len(over), 0, -1), over, strict=True):
            if count <= KEEP_FINISHED and size <= KEEP_FINISHED_BYTES:
                break
            size -= command.ring_bytes
            self._forget(command)

    def _ps(self, channel: int, request: Request) -> object:
        """Those of the host's own doing are nobody's business."""
        shown = [command for command in reversed(self._commands.values()) if not command.inner]
        return wire.bounded("commands", [command.summary() for command in shown])

    def _signal(self, channel: int, request: Request) -> object:
        self._command(request).signal(int(request["signum"]), str(request.get("key") or ""))
        return {}

    def _resize(self, channel: int, request: Request) -> object:
        self._command(request).resize(int(request["rows"]), int(request["columns"]))
        return {}

    def _freeze(self, channel: int, request: Request) -> object:
        """Sync twice, as what is dirty at the freeze is then little; the answer is the last thing sent until asked."""
        if self._work.frozen:
            return {}
        timeout_s, sync_s = float(request["timeout_s"]), float(request.get("sync_s") or SYNC_S)
        allow(timeout_s + sync_s + REQUEST_S)
        self._disk.flush_running(self._calls(), sync_s)
        self._work.freeze(timeout_s)
        try:
            self._disk.flush_frozen(self._calls(), sync_s)
        except BaseException:
            self._work.thaw()
            raise
        self._heed_commands()
        return {}

    def _thaw(self, channel: int, request: Request) -> object:
        """The clock is right before anybody can look at it; without a time in the request it stays as it is."""
        told = request.get("unix_time_ns")
        try:
            return self._clock.read() if told is None else self._clock.follow(int(told))
        finally:
            self._work.thaw()
            self._heed_commands()

    def _identity(self, channel: int, request: Request) -> object:
        """What the host itself does by a command goes on in the machine this was a moment ago, and ends here."""
        for command in self._commands.values():
            command.forget_absent()
            if command.inner:
                command.hang_up()
        return identity.assume(request, self._clock, self._calls())

    def _calls(self) -> Calls:
        """What makes calls that lead through the guest's filesystems."""
        return self._bounded if self._mounts.served() else AtOnce()

    def _read_clock(self, channel: int, request: Request) -> object:
        return self._clock.advance(int(request.get("advance_ns", 0)), int(request.get("origin_ns", 0)))

    def _admit(self, channel: int, request: Request) -> object:
        return admit(str(request["key"]), self._calls())

    def _owner(self, channel: int, request: Request) -> object:
        return owners.owner_of(str(request["protocol"]), int(request["port"]))

    def _tell_of_notes(self) -> None:
        self._port.send(wire.frame(wire.NOTED, 0))

    def _note(self, channel: int, request: Request) -> object:
        return self._notes.first(int(request["at"])) if self._notes else {}

    def _noted(self, channel: int, request: Request) -> object:
        if self._notes:
            said = {"seq": int(request["seq"])} if request["seq"] else {"problem": str(request["problem"])}
            self._notes.answer(str(request["id"]), said)
        return {}

    def _processes(self, channel: int, request: Request) -> object:
        return wire.bounded("processes", processes.processes(self._bounded))

    def _stats(self, channel: int, request: Request) -> object:
        return processes.stats()

    def _ping(self, channel: int, request: Request) -> object:
        return {"frozen": self._work.frozen, "protocol": wire.PROTOCOL}


def _still_wanted(frames: Iterable[wire.Frame]) -> list[wire.Frame]:
    """Without the requests that are given up further on, on the same line."""
    arrived = list(frames)
    if len(arrived) < 2:
        return arrived
    wanted: list[wire.Frame] = []
    given_up: set[int] = set()
    for frame in reversed(arrived):
        if frame.type == wire.HELLO:
            given_up.clear()
        elif frame.type == wire.CANCEL:
            given_up.add(frame.channel)
        if frame.type != wire.REQUEST or frame.channel not in given_up:
            wanted.append(frame)
    return wanted[::-1]
