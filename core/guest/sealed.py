"""A command started with variables that nobody but its own process can read on their way.

Neither the agent nor the line to it sees a value: what they pass on, and may still hold when somebody looks at a commit
of that machine, is sealed to a key that ends with the process it was made in (`core.guest.scripts.unseal`). The values
are then in the memory of the command and of what it starts, as any variable is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from signal import SIGKILL
from typing import Any

from core.errors import GuestFailed, UsageError
from core.guest.agent import wire
from core.guest.client import AgentClient
from core.guest.scripts import guest_script
from core.guest.scripts.unseal import KEY_BYTES, LENGTH, new_private, public, veiled
from core.guest.streams import CommandExit, CommandStream
from core.patience import patient

MOST_BYTES = wire.CHUNK_BYTES - KEY_BYTES - LENGTH.size  # what is sent is one frame, and fits into a pipe
GIVEN_S = patient(30.0)  # for Python to start in a guest that has much to do
HOLDER_S = 2 * GIVEN_S  # should the daemon die meanwhile
PYTHON = "/usr/bin/python3"  # also where the command has a PATH of its own


async def exec_sealed(
    agent: AgentClient, argv: Sequence[str] | str, variables: Mapping[str, str], **options: Any
) -> CommandStream:
    """`agent.exec`, with these variables beside those of its options.

    GuestFailed when they could not be given: the command has then not begun. One that ends without having taken them,
    as there is no such program, says so itself.
    """
    told = b"\0".join(f"{name}={value}".encode() for name, value in variables.items())
    if len(told) > MOST_BYTES:
        raise UsageError(f"the secrets of a command may take {MOST_BYTES} bytes, these are {len(told)}")
    async with _holder(agent) as holder:
        unseal = (PYTHON, *guest_script("unseal", str(holder.pid))[1:])
        stream = await agent.exec(argv, before=unseal, **options)
        if stream.again:  # the request was made before, and what it started was given them then
            return stream
        try:
            async with asyncio.timeout(GIVEN_S):
                await _give(told, holder, stream)
        except BaseException as error:
            await _end(stream)
            if isinstance(error, TimeoutError):
                raise GuestFailed(f"the command did not take its secrets within {GIVEN_S:g} s") from error
            raise
    return stream


@asynccontextmanager
async def _holder(agent: AgentClient) -> AsyncIterator[CommandStream]:
    """A process whose output and input are a way to another one, beside that one's own."""
    asleep = ("sleep", "infinity")
    holder = await agent.exec(asleep, stdin=True, lossless=True, inner=True, timeout_s=HOLDER_S)
    try:
        if holder.again is None:
            raise GuestFailed(
                "the agent of an earlier version's image takes no secrets: build the image again"
            )
        yield holder
    finally:
        await _end(holder)
        with suppress(GuestFailed):
            await agent.release(holder.id)


async def _give(told: bytes, holder: CommandStream, stream: CommandStream) -> None:
    """Send the variables, once the command has told its key; nothing when it ends instead."""
    ended = asyncio.create_task(_ended(stream))
    asking = asyncio.create_task(_key(holder))
    try:
        await asyncio.wait((ended, asking), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return
        theirs, own = asking.result(), new_private()
        await holder.write_stdin(public(own) + LENGTH.pack(len(told)) + veiled(told, own, theirs))
    finally:
        for task in (ended, asking):
            task.cancel()
        await asyncio.gather(ended, asking, return_exceptions=True)


async def _key(holder: CommandStream) -> bytes:
    said = b""
    while len(said) < KEY_BYTES:
        item = await holder.take()
        if item is None or isinstance(item, CommandExit):
            raise GuestFailed("the way to give a command its secrets was closed")
        said += item.data
    return said[:KEY_BYTES]


async def _ended(stream: CommandStream) -> None:
    while not stream.ended:
        await stream.changed()


async def _end(stream: CommandStream) -> None:
    """Kill a command and follow it no more; never fails."""
    with suppress(GuestFailed, TimeoutError):
        async with asyncio.timeout(GIVEN_S):
            await stream.signal(SIGKILL)
            while not isinstance(await stream.take(), CommandExit | None):
                pass
