"""Names as this host knows them beside what a server says: what it has written down, and what else it finds.

The porter asks for the latter where the host's own network is: its search domains, its neighbours (mDNS), and whatever
its nsswitch.conf names.
"""

import asyncio
import os
from collections import defaultdict
from contextlib import aclosing
from pathlib import Path

from core.engine.context import Engine
from core.holder.porter import KEY as PORTER
from core.holder.porter import run_job
from core.network.ties import is_address
from core.patience import patient
from core.reach import is_name

HOSTS = Path("/etc/hosts")
LARGEST = 1 << 20
MOST_ADDRESSES = 16  # of a name
ASK_S, AT_ONCE = (
    patient(4.0),
    4,
)  # a guest's own resolver gives up after five; what comes beside these is not asked


class HostNames:
    """Of the host that the engine runs on."""

    def __init__(self, engine: Engine, hosts: Path = HOSTS) -> None:
        self._engine = engine
        self._hosts = hosts
        self._seen: tuple[int, int] | None = None
        self._written: dict[str, tuple[str, ...]] = {}
        self._asking = 0

    def written(self, name: str) -> tuple[str, ...]:
        """The IPv4 addresses that hosts(5) has for a name."""
        try:
            found = self._hosts.stat()
            if (found.st_mtime_ns, found.st_ino) != self._seen:
                self._seen = (found.st_mtime_ns, found.st_ino)
                self._written = _read(self._hosts)
        except OSError:
            return ()
        return self._written.get(name, ())

    async def known(self, name: str) -> tuple[str, ...]:
        """Those that the host's own resolver finds for a name that no server knows."""
        if self._asking >= AT_ONCE or not is_name(name):
            return ()
        porter = await asyncio.to_thread(self._engine.held.get, PORTER)
        if porter is None:
            return ()
        self._asking += 1
        try:
            async with asyncio.timeout(ASK_S):
                async with aclosing(run_job(porter, ("getent", "ahostsv4", name))) as lines:  # type: ignore[type-var]
                    first = [line.split()[0] async for line in lines if line.strip()]
        except TimeoutError:
            return ()
        finally:
            self._asking -= 1
            os.close(porter)
        return tuple(dict.fromkeys(filter(is_address, first)))[:MOST_ADDRESSES]


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    found = defaultdict[str, tuple[str, ...]](tuple)
    with path.open("rb") as file:
        text = file.read(LARGEST).decode(errors="replace")
    for line in text.split("\n"):
        address, *names = line.partition("#")[0].split() or [""]
        if is_address(address):
            for name in dict.fromkeys(name.lower().removesuffix(".") for name in names):
                found[name] = tuple(dict.fromkeys((*found[name], address)))[:MOST_ADDRESSES]
    return dict(found)
