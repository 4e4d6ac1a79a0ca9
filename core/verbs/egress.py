"""Egress: what of the outside a branch may reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from core.errors import UsageError
from core.model import Outward
from core.reach import GROUPS, MOST_DESTINATIONS, of_mode
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, Short, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

SHOW = "show"
STAND_IN = "example.org"  # for a group, which is as good as any rule
Mode = Literal["off", "open", "allow", "show"]


@dataclass(frozen=True)
class Egress(Verb[Outward]):
    """Say what of the outside a branch may reach: nothing (off), everything (open), or what rules allow.

    A rule is HOST[:PORT[/udp]], *.HOST, an IPv4 network such as 10.0.0.0/8, or @apt, @pip, @npm, @git for the servers
    that the guest is configured for. Takes effect at once: what stays allowed goes on, other connections are reset.
    Children of a fork inherit it. `show` changes nothing.
    """

    branch: BranchName
    mode: Annotated[Mode, Given("off, open, allow with rules, or show.", "off|open|allow|show")]
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

    examples: ClassVar = (
        "vertui egress main open",
        "vertui egress main allow @apt '*.example.org:443' 10.0.0.0/8",
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
        try:
            of_mode(self.mode, tuple(STAND_IN if rule in GROUPS else rule for rule in self.rule))
        except UsageError as error:
            return Refusal(str(error), UsageError)
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Outward:
        from core.engine import egress, marks, mirrors

        if self.mode != SHOW:
            rules = await mirrors.expanded(engine, self.branch, self.rule)
            await marks.let(engine, request_id, self.branch, of_mode(self.mode, rules))
        return await egress.outward(engine, self.branch)
