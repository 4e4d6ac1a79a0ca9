"""Cold boot: a branch started from the disk that its machine left when it died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Branch, BranchState
from core.refs import CRASH, no_crash
from core.verbs.base import Absent, Verb
from core.verbs.fields import BranchName, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


WITH_MACHINE = (BranchState.STARTING, BranchState.RUNNING, BranchState.PAUSED)


@dataclass(frozen=True)
class ColdBoot(Verb[Branch]):
    """Boot a branch whose machine died from its crash disk, with all that its guest had written and synced.

    The filesystem is repaired first, which `vertui console` shows. No process comes back: `vertui resume` does that,
    from the last commit. The crash disk and the branch's head stay as they are.
    """

    branch: BranchName

    examples: ClassVar = ("vertui cold-boot main", "vertui diff main@crash && vertui cold-boot main")
    screen: ClassVar = Absent(
        "seldom, and after a look at what it brings: the detail of a branch names its crash disk"
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.branch)
        if branch is None:
            return no_branch(shown, self.branch)
        if branch.crash is None:
            error = no_crash(branch.name)
            return Refusal(str(error), type(error))
        if branch.state in WITH_MACHINE:
            left = f"{branch.name}{CRASH}"
            return Refusal(
                f"{branch.name} is {branch.state}, and a boot would end that: `vertui export-files {left}` and"
                f" `vertui apply {left}` take what the crash disk has"
            )
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import cold, inspect

        return await inspect.branch(engine, await cold.boot_cold(engine, request_id, self.branch))
