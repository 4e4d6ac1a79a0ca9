"""Tag: a name for a commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Operation
from core.verbs.base import Entry, Verb
from core.verbs.fields import CommitRef, NewName, taken
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Tag(Verb[Operation]):
    """Name a commit; the name is a REF from then on."""

    commit: CommitRef
    name: NewName

    examples: ClassVar = ("vertui tag main~1 known-good",)
    screen: ClassVar = Entry("t", "tag", "name the commit; the name is a REF", "tagging")

    def refuse(self, shown: Shown) -> Refusal | None:
        found = shown.commit(self.commit)
        return found if isinstance(found, Refusal) else taken(shown, self.name)

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import marks

        return await marks.tag(engine, request_id, self.commit, self.name)
