"""Resume: what stands still, or has no machine, runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Branch
from core.startable import resumable
from core.verbs.base import Entry, Verb
from core.verbs.fields import BranchName, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Resume(Verb[Branch]):
    """Let a paused branch run on, or start a suspended, stopped, failed or lost one from its head.

    A head that is gone, because it was still in memory when the host died, gives way to its nearest ancestor that is
    not; that is said.
    """

    branch: BranchName

    examples: ClassVar = ("vertui resume main", "vertui resume --all")
    each: ClassVar = "branch"
    screen: ClassVar = Entry("r", "resume", "let paused machines run on, bring back ended ones", "resuming")

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.branch)
        if branch is None:
            return no_branch(shown, self.branch)
        reason = resumable(branch, shown.commits)
        return Refusal(reason) if reason else None

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import capture, inspect

        return await inspect.branch(engine, await capture.resume(engine, request_id, self.branch))
