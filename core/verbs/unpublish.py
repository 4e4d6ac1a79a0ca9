"""Unpublish: ports of a guest, reached no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import NotFound, UsageError
from core.inward import PortProtocol, Published, PublishedPort
from core.ports import guest_side, parse_port
from core.refs import TRUNK
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, Short, no_branch
from core.verbs.publish import MOST_PORTS
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Unpublish(Verb[Published]):
    """Let this host reach ports of a branch no more: without PORT, any of them. Who is connected is cut off."""

    branch: BranchName
    ports: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("Ports of the guest.", "GUEST_PORT[/udp]", argument=True, default="all"),
        Meta(max_length=MOST_PORTS),
    ] = ()

    examples: ClassVar = ("vertui unpublish main 3000", "vertui unpublish @trunk")
    screen: ClassVar = Entry(
        "Q", "unpublish", "let this host reach ports of the branch no more", "unpublishing"
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.branch)
        if branch is None:
            return no_branch(shown, self.branch)
        try:
            self.meant(shown.ports)
        except (UsageError, NotFound) as error:
            moves = any(port.branch == TRUNK for port in shown.ports) and branch.name == shown.trunk
            hint = (
                f" (those of {TRUNK}: `vertui unpublish {TRUNK}`)" if moves and self.branch != TRUNK else ""
            )
            return Refusal(f"{error}{hint}", type(error))
        return None

    def meant(self, ports: Sequence[PublishedPort]) -> list[PublishedPort]:
        """Which of the published ports this names. UsageError, or NotFound for one that is not published."""
        there = {guest_side(port): port for port in ports if port.branch == self.branch}
        if not there and not self.ports:
            raise NotFound(f"no port of {self.branch} is published")
        named = {}
        for text in self.ports or there:
            spec = parse_port(text)
            side = f"{spec.guest_port}{'/udp' if spec.protocol is PortProtocol.UDP else ''}"
            if side not in there or spec.host_port not in (None, there[side].host_port):
                raise NotFound(
                    f"port {text} of {self.branch} is not published: `vertui ports` lists those that are"
                )
            named[side] = there[side]
        return list(named.values())

    async def carry_out(self, engine: Engine, request_id: str) -> Published:
        from core.engine import publish

        ports = self.meant(engine.tasks.ports.shown())
        return await publish.unpublish(engine, request_id, "unpublish", ports)
