"""Which TCP port a program wants of a name, before it connects: by its own command line, by what its guest is
configured for, or by what the world has there.

A guess, for a rule no wider than it has to be: a program that wants another port is refused that, and told of.
"""

import asyncio
import os
import re
from contextlib import suppress
from itertools import chain
from pathlib import PurePosixPath

from core.engine.groups import PORTS, USUAL, configuration, servers_in
from core.engine.live import Live
from core.errors import VertuiError
from core.patience import patient

METHODS = PurePosixPath("/usr/lib/apt/methods")  # apt's own programs, by the protocol that they speak
PLAIN = {"curl": 80, "wget": 80}
"""What these want of a host that they are given without a scheme."""
SHELLS = ("ssh", "scp", "sftp")
SHELLS_PORT = re.compile(r"\s-[pP]\s*(\d{1,5})\b")
HIGHEST = 65535
TELLS_S = patient(0.5)
"""How long a guest may take for each answer: the program waits meanwhile."""


async def wanted_of(live: Live, name: str, pid: int) -> int:
    """The port that a process of the guest's wants of `name`; 0 where nothing tells."""
    command = await _command(live, pid) if pid else ""
    return said_by(name, command) or configured(name, await _configuration(live)) or usual(name, command)


def said_by(name: str, command: str) -> int:
    """The port that a command line names, or means by naming the host as it does; else 0."""
    program, _, words = command.partition(" ")
    if PurePosixPath(program).name in SHELLS:
        told = SHELLS_PORT.search(command)
        return _port(told[1]) if told else PORTS["ssh"]
    beside = re.search(rf"(?<![\w.-]){re.escape(name)}:(\d{{1,5}})\b", words, re.IGNORECASE)
    return configured(name, command) or (_port(beside[1]) if beside else 0)


def configured(name: str, text: str) -> int:
    """The port at which the URLs of configuration files have a host; 0 where none has it."""
    return next((port for host, port in map(_parts, servers_in(text)) if host == name), 0)


def usual(name: str, command: str) -> int:
    """What such a program wants unless told, or where everybody reaches the one port of that host; else 0."""
    program, _, words = command.partition(" ")
    path = PurePosixPath(program)
    if path.parent == METHODS:
        return PORTS.get(path.name, 0)
    if name in (word.partition("/")[0].lower() for word in words.split()) and path.name in PLAIN:
        return PLAIN[path.name]
    ports = {port for host, port in map(_parts, chain.from_iterable(USUAL.values())) if host == name}
    return ports.pop() if len(ports) == 1 else 0


async def _command(live: Live, pid: int) -> str:
    with suppress(VertuiError, TimeoutError):
        async with asyncio.timeout(TELLS_S):
            processes = await (await live.agent()).processes()
            return next((one.command for one in processes if one.pid == pid), "")
    return ""


async def _configuration(live: Live) -> str:
    with suppress(VertuiError, TimeoutError):
        async with asyncio.timeout(TELLS_S):
            return os.fsdecode(await configuration(live, *USUAL, deadline_s=TELLS_S))
    return ""


def _parts(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    return host.lower(), int(port)


def _port(digits: str) -> int:
    return int(digits) if 1 <= int(digits) <= HIGHEST else 0
