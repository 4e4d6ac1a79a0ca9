"""Between a client and a command: no acknowledgement is lost, and no command is left behind, whatever is said."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from fastapi import WebSocket

from core.daemon.relay import follow, follow_console
from core.engine.live import Console
from core.engine.recording import CommandRecord
from core.errors import GuestFailed, UsageError
from core.guest.agent import wire
from core.guest.connection import Connection
from core.guest.streams import CommandExit, CommandOutput, CommandStream, StreamName
from tests.guests import SOON_S

Message = dict[str, Any]
LEAVES: Message = {"type": "websocket.disconnect", "code": 1000}
RESTARTS: Message = {"type": "websocket.disconnect", "code": 1012}


def said(text: str) -> Message:
    return {"type": "websocket.receive", "text": text}


class Socket:
    """A client that says this, and no more; `told` is what it was told."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)
        self.told: list[Message] = []

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))

    async def send_bytes(self, data: bytes) -> None:
        pass


class Command:
    """A command that takes a byte while its client is greeted; `left` is how it was let go."""

    def __init__(self, *items: CommandOutput | CommandExit) -> None:
        self._items = list(items)
        self._looked = 0
        self.id, self.stdin_sent, self.stdin_shut = 7, 5, False
        self.left: list[str] = []
        self.lost = False

    @property
    def stdin_taken(self) -> int:
        self._looked += 1
        return 3 if self._looked == 1 else 4

    async def take(self) -> CommandOutput | CommandExit | None:
        if not self._items:
            await asyncio.Event().wait()
        return self._items.pop(0)

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def write_stdin(self, data: bytes) -> None:
        pass

    def consumed(self, total: int) -> None:
        pass

    async def hang_up(self) -> None:
        self.left.append("hang up")
        raise GuestFailed("the line is lost")

    async def detach(self) -> None:
        self.left.append("detach")
        if self.lost:
            raise GuestFailed("the line is lost")

    async def signal(self, number: int, key: str) -> None:
        self.left.append(f"signal {number} {key}")
        if self.lost:
            raise GuestFailed("the line is lost")


class Lost(Command):
    """One whose machine ends."""

    async def take(self) -> CommandOutput | CommandExit | None:
        raise GuestFailed("the line is lost")


async def between(client: Socket, command: Command, *, owner: bool = True) -> bool:
    async with asyncio.timeout(SOON_S):
        return await follow(cast(WebSocket, client), cast(CommandStream, command), owner=owner)


async def until(good: Callable[[], bool]) -> None:
    """Let the others of this loop go on until it is so."""
    async with asyncio.timeout(SOON_S):
        while not good():
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("message", "owner", "left"),
    [
        (LEAVES, True, ["hang up"]),
        (LEAVES, False, ["detach"]),
        (RESTARTS, True, []),
    ],
)
async def test_a_client_that_goes(message: Message, owner: bool, left: list[str]) -> None:
    command = Command()
    assert not await between(Socket(message), command, owner=owner), "the command has not ended"
    assert command.left == left


@pytest.mark.parametrize("text", ["[]", "{", '{"seen": "much"}'])
async def test_a_client_that_cannot_be_understood_leaves_no_command(text: str) -> None:
    command = Command()
    with pytest.raises(UsageError, match="a message cannot be read"):
        await between(Socket(said(text)), command)
    assert command.left == ["hang up"]


@pytest.mark.parametrize("lost", [False, True])
async def test_a_client_knows_that_its_command_was_left_to_run(lost: bool) -> None:
    """A daemon killed before the guest knows would leave it waiting for its owner, and hanging up."""
    client, command = Socket(said('{"leave": true}')), Command()
    command.lost = lost
    await between(client, command)
    assert command.left == ["detach"]
    assert ({"left": True} in client.told) is not lost


@pytest.mark.parametrize("lost", [False, True])
async def test_a_client_knows_what_became_of_its_signal(lost: bool) -> None:
    client, command = Socket(said('{"signal": 2, "key": "a"}')), Command()
    command.lost = lost
    following = asyncio.create_task(between(client, command))
    await until(lambda: len(client.told) == 3 + lost)
    following.cancel()
    assert command.left == ["signal 2 a"]
    assert client.told[2:] == [{"notice": "the line is lost"}] * lost + [{"signalled": "a"}]


async def test_a_daemon_that_ends_leaves_the_command_to_its_owner() -> None:
    command, client = Command(), Socket()
    following = asyncio.create_task(between(client, command))
    await until(lambda: bool(client.told))
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert command.left == []


async def test_what_is_taken_while_a_client_is_greeted_is_told() -> None:
    client = Socket()
    following = asyncio.create_task(between(client, Command()))
    await until(lambda: len(client.told) == 2)
    following.cancel()
    assert client.told == [{"started": 7, "stdin": [5, 3]}, {"taken": 4}]


async def test_a_command_that_ends_has_ended() -> None:
    client = Socket()
    assert await between(client, Command(CommandExit(0, None, False, 0, 0)))
    assert {"exit": 0, "timed_out": False} in client.told


class HeardRecord:
    """What a journal would be told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.left = self.cut = False
        self.heard_before: list[object] = []
        self.client = Socket()

    async def kept(self) -> None:
        self.heard_before = [*self.client.told]

    def given(self, data: bytes) -> None:
        self.told.append(data)

    def said(self, item: object) -> None:
        self.told.append(item)


async def test_a_record_is_told_of_all_that_passes() -> None:
    record, output, end = (
        HeardRecord(),
        CommandOutput(StreamName.STDOUT, 0, b"out"),
        CommandExit(0, None, False, 3, 0),
    )
    command, client = Command(output, end), Socket({"type": "websocket.receive", "bytes": b"in"})
    told, record.client = cast(CommandRecord, record), client
    await follow(cast(WebSocket, client), cast(CommandStream, command), owner=True, record=told)
    assert [one for one in record.told if one != b"in"] == [output, end]
    assert record.heard_before and not any(
        "exit" in cast(dict[str, object], one) for one in record.heard_before
    )
    for leaving, left in ((LEAVES, False), (said('{"leave": true}'), True)):
        command, client = Command(), Socket({"type": "websocket.receive", "bytes": b"in"}, leaving)
        await follow(cast(WebSocket, client), cast(CommandStream, command), owner=True, record=told)
        assert b"in" in record.told and record.left == left and not record.cut
    with pytest.raises(GuestFailed):
        await follow(cast(WebSocket, Socket()), cast(CommandStream, Lost()), owner=True, record=told)
    assert record.cut, "its end is not known"


async def test_who_follows_a_console_is_told_of_its_end() -> None:
    console = Console()
    following = asyncio.create_task(follow_console(cast(WebSocket, Socket()), console))
    await until(lambda: bool(console._viewers))
    await console.close()
    with pytest.raises(GuestFailed, match="console"):
        async with asyncio.timeout(SOON_S):
            await following


class Wire:
    """A line on which the answer to an attach and an acknowledgement come in one piece."""

    def open_channel(self, receive: Any, _: Any) -> int:
        self._receive = receive
        return 1

    async def ask(self, *_: Any, **__: Any) -> None:
        answer = {"id": 7, "pid": 8, "stdin_offset": 5, "stdin_taken": 3}
        data = wire.json_frame(wire.REPLY, 1, answer) + wire.frame(wire.STDIN_ACK, 1, wire.OFFSET.pack(4))
        for frame in wire.Frames(strict=True).feed(data):
            self._receive(frame)


async def test_an_acknowledgement_right_behind_the_answer_counts() -> None:
    stream = CommandStream(cast(Connection, Wire()), cast(Any, None), (0, 0))
    await stream.start(b"", b"", 1.0)
    assert (stream.id, stream.pid, stream.stdin_sent, stream.stdin_taken) == (7, 8, 5, 4)
