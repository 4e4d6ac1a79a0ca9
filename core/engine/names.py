"""Who asks the hub's resolver: what each guest may look up, and whom it is linked with.

Who looks a linked branch up is about to speak to it: one that is suspended is woken, and runs when its address is told.
"""

import asyncio
import re
from contextlib import suppress

from core.engine import attempts, links
from core.engine.context import Engine
from core.engine.groups import PORTS
from core.engine.host_names import HostNames
from core.engine.live import Live
from core.engine.wake import wake_linked
from core.errors import VertuiError
from core.network.resolver import Resolver
from core.reach import may_ask

SERVICE = re.compile(rf"_({'|'.join(PORTS)})\._tcp\.")


class Names:
    """A branch that asks the resolver for names."""

    def __init__(self, engine: Engine, live: Live) -> None:
        self._engine = engine
        self.live = live

    def address_of(self, branch: str) -> str | None:
        """Where it reaches the branch of that name; None for one that it is not linked with."""
        return links.where(self._engine, self.live.branch, branch)

    def branch_at(self, address: str) -> str | None:
        """The name of the branch that it reaches there; None for one that it is not linked with."""
        return links.who(self._engine, self.live.branch, address)

    async def wake(self, branch: str) -> None:
        """Have the branch of that name run, if it is suspended and linked with this one. Why it does not, it says."""
        row = self._engine.catalog.named(branch)
        if row is not None and self.address_of(branch) is not None:
            with suppress(VertuiError):
                await wake_linked(
                    self._engine, row.id, f"{self._engine.catalog.name_of(self.live.branch)} looked it up"
                )

    async def may_ask(self, name: str, port: int, protocol: str, wanted: int = 0) -> bool:
        """Is the name one that its rule lets it look up? If not, that is noted, who asks from that port, and which TCP
        port is `wanted`.

        Not that of a service (`_http._tcp.deb.debian.org`): who asks for that goes on without, to the host itself. It
        tells the port.
        """
        reach, refused = self.live.network.reach, self.live.refused
        if reach is not None and may_ask(reach, name):
            return True
        if service := SERVICE.match(name):
            refused.expect(name[service.end() :], PORTS[service[1]])
        elif not name.startswith("_"):
            await attempts.refuse_name(self._engine, self.live, name, port, protocol, wanted)
        return False

    async def tie(self, name: str, addresses: tuple[str, ...], ttl_s: int) -> None:
        """Let it reach what its rule says of the name at these addresses."""
        await asyncio.to_thread(self.live.network.tie, name, addresses, ttl_s)


def names_at(engine: Engine, address: str) -> Names | None:
    """Who asks from an address of the hub's."""
    live = attempts.live_at(engine, address)
    return Names(engine, live) if live is not None else None


async def answer_names(engine: Engine) -> None:
    """For ever: look up for every guest what it may ask."""
    resolver = Resolver(lambda address: names_at(engine, address), host=HostNames(engine))
    await resolver.start()
    try:
        await asyncio.Event().wait()
    finally:
        await resolver.close()
