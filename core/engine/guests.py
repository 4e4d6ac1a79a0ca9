"""What only a running guest can tell: processes, listening ports, and its files when its disk cannot be read."""

import asyncio
import contextlib
import os
import re
from collections.abc import Sequence

from core.diff.result import ListeningPort, PortsDiff, ProcessesDiff
from core.diff.walked import Walked, parse_walk
from core.engine.live import Live
from core.engine.points import State
from core.errors import GuestFailed
from core.guest.scripts import guest_script
from core.guest.streams import CommandExit, StreamName
from core.model import Process
from core.names import spelled
from core.patience import patient

MOST_OUTPUT_BYTES = 512 << 20  # two million files; more is a guest that talks without end
STDERR_BYTES = 2000
WALK_DEADLINE_S = patient(600.0)
ASK_DEADLINE_S = patient(30.0)
PORT = re.compile(  # a process's name may hold a newline, but its 15 bytes are too few to forge such a line
    r"(?P<protocol>tcp|udp)\s+(?:LISTEN|UNCONN)\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+\s*(?P<users>.*)"
)
USER = re.compile(r'\("(?P<name>[^"]*)",pid=(?P<pid>\d+)')


async def output_of(
    live: Live, argv: tuple[str, ...], deadline_s: float, given: bytes | None = None
) -> bytes:
    """What a command prints that is `given` so much input, less than a window of it; GuestFailed when it fails, prints
    without end, or does not end.

    Nothing of it stays in the guest: neither its output nor a line in `ps`.
    """
    output, said = bytearray(), b""
    agent = await live.agent()
    takes = given is not None
    stream = await agent.exec(argv, timeout_s=deadline_s, lossless=True, inner=True, stdin=takes)
    if given is not None:
        await stream.write_stdin(given)
        await stream.eof()
    async for item in stream:
        if isinstance(item, CommandExit):
            with contextlib.suppress(GuestFailed):
                await agent.release(stream.id)
            if item.code:
                reason = spelled(said.strip().split(b"\n")[-1]) or f"exit status {item.code}"
                raise GuestFailed(f"{argv[0]} failed in the guest: {reason}")
            return bytes(output)
        if item.stream is StreamName.STDOUT:
            output += item.data
        else:
            said = (said + item.data)[-STDERR_BYTES:]
        if len(output) > MOST_OUTPUT_BYTES:
            await stream.detach()
            raise GuestFailed(f"{argv[0]} prints without end in the guest")
    raise GuestFailed(f"{argv[0]} did not end in the guest")


async def walk_of(live: Live, tops: Sequence[bytes], *, texts: bool = False) -> Walked:
    """The files at or below some absolute paths, or all files without any, as the guest tells them. With `texts` the
    content of smaller ones, too.
    """
    script = guest_script("walk", *["--texts"] * texts, *map(os.fsdecode, tops))
    told = await output_of(live, script, WALK_DEADLINE_S)
    return await asyncio.to_thread(parse_walk, told)


async def processes(before: Live, after: Live) -> ProcessesDiff:
    """What started and what ended."""
    old_agent, new_agent = await before.agent(), await after.agent()
    old, new = await asyncio.gather(old_agent.processes(), new_agent.processes())
    return ProcessesDiff(_beyond(new, old), _beyond(old, new))


def _beyond(some: list[Process], others: list[Process]) -> tuple[Process, ...]:
    known = {(process.pid, process.user, process.command) for process in others}
    return tuple(one for one in some if (one.pid, one.user, one.command) not in known)


async def ports(before: Live, after: Live) -> PortsDiff:
    """What is listened on, and what no longer."""
    old, new = await asyncio.gather(listening(before), listening(after))
    return PortsDiff(tuple(sorted(new - old)), tuple(sorted(old - new)))


async def listening(live: Live) -> set[ListeningPort]:
    """What programs in a guest listen on, as it tells."""
    told = await output_of(live, ("ss", "-Hlntup"), ASK_DEADLINE_S)
    ports = set()
    for line in told.split(b"\n"):
        if match := PORT.match(os.fsdecode(line)):
            user = USER.search(match["users"])
            address, name = (
                spelled(os.fsencode(text)) for text in (match["address"], user["name"] if user else "")
            )
            ports.add(ListeningPort(match["protocol"], address, int(match["port"]), name))
    return ports


def both_live(before: State, after: State) -> tuple[Live, Live] | None:
    """The machines of two states; None unless both have one."""
    return (before.live, after.live) if before.live and after.live else None
