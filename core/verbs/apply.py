"""Apply: one branch's file changes brought into another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from core.errors import UsageError
from core.model import Applied, BranchState
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import BranchName, Ref, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

MOST_PATHS = 10_000
LINES, LONGEST_LINES = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?"), 19  # characters
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
    lines: Annotated[
        Annotated[str, Meta(max_length=LONGEST_LINES)] | None,
        Given("Only what changed in these lines of one text, as the source has them.", "FIRST[-LAST]"),
    ] = None

    examples: ClassVar = (
        "vertui apply b2 main",
        "vertui apply b2 main /srv --theirs",
        "vertui apply b2 main /srv/app.py --lines 12-20",
    )
    screen: ClassVar = Absent("a key of the screen that compares does it")

    @property
    def span(self) -> tuple[int, int] | None:
        """The lines, from the first to the last; UsageError for what is none."""
        if self.lines is None:
            return None
        found = LINES.fullmatch(self.lines)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 0 < first <= last:
            raise UsageError(f"these are no lines, '{self.lines}': give 12, or 12-20")
        if len(self.paths) != 1:
            raise UsageError("lines are of one text: name its path")
        return first, last

    def refuse(self, shown: Shown) -> Refusal | None:
        try:
            _ = self.span
        except UsageError as error:
            return Refusal(str(error), UsageError)
        return not_in(shown, self.target, BranchState.RUNNING)

    async def carry_out(self, engine: Engine, request_id: str) -> Applied:
        from core.diff.merge import Prefer
        from core.diff.select import PathFilter
        from core.engine import apply

        prefer = Prefer(self.prefer) if self.prefer else None
        files = PathFilter.typed(self.paths)
        return await apply.apply(engine, request_id, self.source, self.target, files, prefer, self.span)
