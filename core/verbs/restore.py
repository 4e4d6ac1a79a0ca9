"""Restore: a branch taken back in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import Branch
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.fields import BranchName, Short, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Restore(Verb[Branch]):
    """Take a branch back in place to a commit, or to its last one: same name, network and address.

    Its machine now is committed first; `vertui undo` brings that back. Its last one is the newest that somebody asked
    for: what was committed by itself since (`vertui policy`) is named to go back to.
    """

    branch: BranchName
    commit: Annotated[
        Annotated[str, Short] | None,
        Given(
            "A commit, or a REF; without one the last asked for.",
            "COMMIT",
            kind=Kind.COMMIT,
            argument=True,
        ),
    ] = None

    examples: ClassVar = ("vertui restore main main~2",)
    screen: ClassVar = Entry(
        "minus", "restore", "take the branch back in place to a commit, or to its last one", "restoring"
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        if shown.branch(self.branch) is None:
            return no_branch(shown, self.branch)
        found = shown.commit(self.commit or self.branch)
        return found if isinstance(found, Refusal) else None

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import inspect, restore

        row = await restore.restore(engine, request_id, self.branch, self.commit)
        return await inspect.branch(engine, row)
