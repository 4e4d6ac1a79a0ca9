"""What only a running guest can tell: processes, listening ports, connections, and its files when its disk cannot be
read.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from core.diff.result import ConnectionsDiff, GuestConnection, ListeningPort, PortsDiff, ProcessesDiff
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
CONNECTION = re.compile(
    r"(?P<protocol>tcp|udp)\s+[A-Z0-9-]+\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)"
    r"\s+(?P<peer>\S+):(?P<peer_port>\d+)\s*(?P<users>.*)"
)
MOST_CONNECTIONS = 10_000  # of a guest, that are compared
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
    return {
        ListeningPort(match["protocol"], _spelled(match["address"]), int(match["port"]), _user(match))
        for match in _lines(PORT, told)
    }


async def connections(before: Live, after: Live, notes: list[str]) -> ConnectionsDiff:
    """What is connected, and what no longer; `notes` hear where a guest has more than are compared."""
    old, new = await asyncio.gather(_connected(before), _connected(after))
    if max(len(old), len(new)) >= MOST_CONNECTIONS:
        notes.append(f"of connections the first {MOST_CONNECTIONS:,} of each guest are compared")
    return ConnectionsDiff(tuple(sorted(new - old)), tuple(sorted(old - new)))


async def _connected(live: Live) -> set[GuestConnection]:
    return connections_in(await output_of(live, ("ss", "-Hntup"), ASK_DEADLINE_S))


def connections_in(told: bytes) -> set[GuestConnection]:
    """Those that `ss` tells, of very many the first."""
    return {
        GuestConnection(
            match["protocol"], _spelled(match["address"]), int(match["port"]), _spelled(match["peer"]),
            int(match["peer_port"]), _user(match),
        )
        for match in islice(_lines(CONNECTION, told), MOST_CONNECTIONS)
    }  # fmt: skip


def _lines(pattern: re.Pattern[str], told: bytes) -> Iterator[re.Match[str]]:
    """The lines of `ss` that are of this kind."""
    return (match for line in told.split(b"\n") if (match := pattern.match(os.fsdecode(line))))


def _user(match: re.Match[str]) -> str:
    """The name of the program that a line is of."""
    user = USER.search(match["users"])
    return _spelled(user["name"]) if user else ""


def _spelled(text: str) -> str:
    return spelled(os.fsencode(text))


def both_live(before: State, after: State) -> tuple[Live, Live] | None:
    """The machines of two states; None unless both have one."""
    return (before.live, after.live) if before.live and after.live else None
