"""Proxy: one port of the host that leads to every port of every branch, by the name in each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import NotFound, UsageError
from core.inward import Published
from core.ports import LARGEST, LOOPBACK, check_address, place, proxy_of
from core.verbs.base import Absent, Given, Verb
from core.verbs.fields import Short
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

PORT = 7070


@dataclass(frozen=True)
class Proxy(Verb[Published]):
    """Open one port on which http://PORT.BRANCH.localhost:7070 leads to that port of that branch; websockets, too.

    PORT.trunk.localhost is the trunk's, unless a branch is called so. Browsers and curl take every name under localhost
    for this machine. It stays open until --off, and while the daemon restarts.
    """

    port: Annotated[int, Given("The host's port.", "PORT", ("--port", "-p")), Meta(ge=1, le=LARGEST)] = PORT
    bind: Annotated[str, Given("The host's address to listen on.", "ADDRESS"), Short] = LOOPBACK
    off: Annotated[bool, Given("Close it.")] = False

    examples: ClassVar = ("vertui proxy", "vertui proxy --port 8080", "vertui proxy --off")
    screen: ClassVar = Absent("it is no branch's: one command opens it for all")

    def refuse(self, shown: Shown) -> Refusal | None:
        there = proxy_of(shown.ports)
        if self.off:
            return None if there else Refusal("the proxy is not open: `vertui proxy` opens it", NotFound)
        try:
            check_address(self.bind)
        except UsageError as error:
            return Refusal(str(error), UsageError)
        if there:
            return Refusal(f"the proxy is open already, at {place(there)}: `vertui proxy --off` closes it")
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Published:
        from core.engine import publish

        if not self.off:
            return await publish.proxy(engine, request_id, self.port, self.bind)
        there = proxy_of(engine.tasks.ports.shown())
        return await publish.unpublish(engine, request_id, "proxy --off", [there] if there else [])
