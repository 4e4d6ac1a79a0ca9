"""Link: branches that may talk to each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import UsageError
from core.links import Linked
from core.startable import starting
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.fields import Short, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

MOST_LINKED = 64  # in one verb: two thousand pairs

Several = Annotated[
    tuple[Annotated[str, Short], ...],
    Given("Branch names, or @trunk.", "BRANCH", kind=Kind.BRANCH),
    Meta(min_length=1, max_length=MOST_LINKED),
]


@dataclass(frozen=True)
class Link(Verb[Linked]):
    """Let branches talk to each other: each reaches each other one as NAME.vertui, on any port, by TCP, UDP and ping.

    Nobody does unless linked; egress is not needed for it. A link stays while a branch is suspended, restored or
    started again; who comes by it wakes one that is suspended. Children of a fork have none, nor have branches in the
    trash.
    """

    branches: Several

    examples: ClassVar = ("vertui link b1 b2 b3", "vertui link @trunk b1")
    screen: ClassVar = Entry("L", "link", "let the marked branches reach each other by name", "linking")

    def refuse(self, shown: Shown) -> Refusal | None:
        names = named(shown, self.branches)
        if isinstance(names, Refusal):
            return names
        if reason := next(filter(None, (starting(shown.branches[name]) for name in names)), None):
            return Refusal(reason)
        if len(names) < 2:
            return Refusal(
                "give two branches or more: each is to reach the others (in the UI, mark them)", UsageError
            )
        if all(other in shown.branches[one].links for one, other in combinations(names, 2)):
            return Refusal(f"{' and '.join(names)} are linked already: `vertui unlink` ends that")
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Linked:
        from core.engine import link

        return await link.link(engine, request_id, self.branches)


def named(shown: Shown, names: tuple[str, ...]) -> list[str] | Refusal:
    """The names of these branches, each once, @trunk being the trunk's; or that there is none of one."""
    found = {name: shown.branch(name) for name in names}
    unknown = next((name for name, branch in found.items() if branch is None), None)
    if unknown is not None:
        return no_branch(shown, unknown)
    return list(dict.fromkeys(branch.name for branch in found.values() if branch))
