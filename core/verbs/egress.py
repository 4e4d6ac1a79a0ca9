"""Egress: what of the outside a branch may reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from core.errors import UsageError
from core.model import Outward
from core.reach import MOST_DESTINATIONS, with_groups
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, Short, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

Mode = Literal["off", "open", "allow", "add", "show"]
SHOW: Mode = "show"
ADD: Mode = "add"


@dataclass(frozen=True)
class Egress(Verb[Outward]):
    """Say what of the outside a branch may reach: nothing (off), everything (open), or what rules allow.

    A rule is HOST[:PORT[/udp]], *.HOST, an IPv4 network such as 10.0.0.0/8, or @apt, @pip, @npm, @git for the servers
    that the guest is configured for. Takes effect at once: what stays allowed goes on, other connections are reset.
    Children of a fork inherit it. `add` adds rules to those there are, without any what was refused last. `show` tells
    what was refused, of which process where the guest knows, and changes nothing.
    """

    branch: BranchName
    mode: Annotated[Mode, Given("off, open, allow or add with rules, or show.", "off|open|allow|add|show")]
    rule: Annotated[
        tuple[Annotated[str, Short], ...],
        Given(
            "HOST[:PORT[/udp]], *.HOST, CIDR, or @apt and such.",
            "RULE",
            argument=True,
            label="rules",
        ),
        Meta(max_length=MOST_DESTINATIONS),
    ] = ()
    siblings: Annotated[bool, Given("Say the same of all branches of its fork.")] = False

    examples: ClassVar = (
        "vertui egress main open",
        "vertui egress main allow @apt '*.example.org:443' 10.0.0.0/8",
        "vertui egress b1 add --siblings",
        "vertui egress main show",
    )
    screen: ClassVar = Entry(
        "E", "egress", "what the branch may reach outside: off, open, or what rules allow", "changing egress",
        several=True, suggests=(("mode", "open"),),
    )  # fmt: skip

    def refuse(self, shown: Shown) -> Refusal | None:
        if shown.branch(self.branch) is None:
            return no_branch(shown, self.branch)
        if self.mode not in get_args(Mode) or self.mode == SHOW:
            return None
        if self.mode == ADD and not self.rule:
            return None  # what was refused last
        try:
            with_groups("allow" if self.mode == ADD else self.mode, self.rule)
        except UsageError as error:
            return Refusal(str(error), UsageError)
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Outward:
        from core.engine import egress, letting

        if self.mode != SHOW:
            asked = self.branch, self.mode, self.rule
            await letting.let(engine, request_id, *asked, siblings=self.siblings)
        return await egress.outward(engine, self.branch)
