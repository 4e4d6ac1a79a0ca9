"""Unlink: branches that may talk to each other no more."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

from core.errors import NotFound
from core.links import Linked
from core.verbs.base import Entry, Verb
from core.verbs.link import Several, named
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Unlink(Verb[Linked]):
    """Let branches talk to each other no more, or one alone to nobody. What is open between them is cut at once.

    Those that are named stay linked with others.
    """

    branches: Several

    examples: ClassVar = ("vertui unlink b1 b2", "vertui unlink b3")
    screen: ClassVar = Entry(
        "I", "unlink", "let branches reach each other no more, one alone nobody", "unlinking"
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        names = named(shown, self.branches)
        if isinstance(names, Refusal):
            return names
        if len(names) == 1:
            linked = bool(shown.branches[names[0]].links)
        else:
            linked = any(other in shown.branches[one].links for one, other in combinations(names, 2))
        if linked:
            return None
        said = (
            f"{names[0]} is linked with nobody"
            if len(names) == 1
            else f"none of {', '.join(names)} are linked"
        )
        return Refusal(f"{said}: `vertui link` does that", NotFound)

    async def carry_out(self, engine: Engine, request_id: str) -> Linked:
        from core.engine import link

        return await link.unlink(engine, request_id, self.branches)
