"""Apply: one branch's file changes brought into another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from core.model import Applied, BranchState
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import BranchName, Ref, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

MOST_PATHS = 10_000
LONGEST_PATH = 16_384  # characters: four times what a guest can name, for what is escaped in it


@dataclass(frozen=True)
class Apply(Verb[Applied]):
    """Bring a state's file changes since the merge base into a running branch. It cannot be undone: commit first.

    `prefer` decides what changed in both; "ours" is the target's. Without it that is a Conflict, and nothing changes.
    """

    source: Ref
    target: BranchName
    paths: Annotated[
        tuple[Annotated[str, Meta(max_length=LONGEST_PATH)], ...],
        Given("Only what is at or below these absolute paths.", "PATH", kind=Kind.PATH, argument=True),
        Meta(max_length=MOST_PATHS),
    ] = ()
    prefer: Annotated[Literal["ours", "theirs"] | None, Given("Whose side wins.", "ours|theirs")] = None

    examples: ClassVar = ("vertui apply b2 main", "vertui apply b2 main /srv --theirs")
    screen: ClassVar = Absent("a key of the screen that compares does it")

    def refuse(self, shown: Shown) -> Refusal | None:
        return not_in(shown, self.target, BranchState.RUNNING)

    async def carry_out(self, engine: Engine, request_id: str) -> Applied:
        from core.diff.merge import Prefer
        from core.diff.select import PathFilter
        from core.engine import apply

        prefer = Prefer(self.prefer) if self.prefer else None
        return await apply.apply(
            engine, request_id, self.source, self.target, PathFilter.typed(self.paths), prefer
        )
