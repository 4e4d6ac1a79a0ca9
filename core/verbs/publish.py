"""Publish: ports of a guest, reached from the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import UsageError
from core.inward import Published
from core.ports import LOOPBACK, PortSpec, check_address, guest_side, parse_port, place
from core.refs import TRUNK
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, Short, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

MOST_PORTS = 64


@dataclass(frozen=True)
class Publish(Verb[Published]):
    """Let this host reach ports of a branch. Each child of a fork gets host ports of its own for them.

    Without HOST_PORT the host's is the same number if that is free, else any that is. They listen on the host's
    loopback alone, unless --bind says otherwise, and stay what they are while the branch is suspended, or the daemon
    restarts. A port of @trunk leads to whichever branch is the trunk: promote moves it.
    """

    branch: BranchName
    ports: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("Ports of the guest.", "[HOST_PORT:]GUEST_PORT[/udp]", label="ports"),
        Meta(min_length=1, max_length=MOST_PORTS),
    ]
    bind: Annotated[str, Given("The host's address to listen on.", "ADDRESS", rare=True), Short] = LOOPBACK

    examples: ClassVar = ("vertui publish main 3000", "vertui publish @trunk 8080:80 53/udp")
    screen: ClassVar = Entry(
        "O", "publish", "let this host reach ports of the branch", "publishing", suggests=(("ports", "3000"),)
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.branch)
        if branch is None:
            return no_branch(shown, self.branch)
        try:
            check_address(self.bind)
            specs = [parse_port(text) for text in self.ports]
        except UsageError as error:
            return Refusal(str(error), UsageError)
        name = TRUNK if self.branch == TRUNK else branch.name
        return clash(shown, name, specs, self.bind)

    async def carry_out(self, engine: Engine, request_id: str) -> Published:
        from core.engine import publish

        specs = [parse_port(text) for text in self.ports]
        return await publish.publish(engine, request_id, self.branch, specs, self.bind)


def clash(shown: Shown, name: str, specs: Sequence[PortSpec], bind: str = LOOPBACK) -> Refusal | None:
    """Why these ports of a branch cannot be published at an address of the host; of one that is still to come any name
    will do that no branch has.
    """
    return next(_clashes(shown, name, specs, bind), None)


def _clashes(shown: Shown, name: str, specs: Sequence[PortSpec], bind: str) -> Iterator[Refusal]:
    seen: set[object] = set()
    for spec in specs:
        guest, host = (spec.guest_port, spec.protocol), (spec.host_port, spec.protocol)
        if guest in seen or (spec.host_port and ("host", host) in seen):
            yield Refusal(
                f"port {spec.guest_port} is named twice, or two are to have one host port", UsageError
            )
        seen |= {guest, ("host", host)}
        for port in shown.ports:
            if port.branch == name and (port.guest_port, port.protocol) == guest:
                side = guest_side(port)
                yield Refusal(
                    f"port {side} of {name} is published already, at {place(port)}: "
                    f"`vertui unpublish {name} {side}` first"
                )
            if port.address == bind and (port.host_port, port.protocol) == host:
                yield Refusal(f"{place(port)} leads to {port.branch} already: give another host port")
