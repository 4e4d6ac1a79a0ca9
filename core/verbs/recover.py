"""Recover: a branch from its last commit and the journal after it, or from what its disk held when it died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.errors import UsageError
from core.journal.recovered import Recovered
from core.model import BranchState
from core.startable import starting
from core.verbs.base import Absent, Given, Verb
from core.verbs.cold_boot import ColdBoot
from core.verbs.fields import BranchName, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

ENDED = (BranchState.LOST, BranchState.STOPPED, BranchState.FAILED)


@dataclass(frozen=True)
class Recover(Verb[Recovered]):
    """Bring a branch back from its last commit, and show what its journal has after that; --all are those whose machine
    has ended.

    A machine that runs is committed first, and `vertui undo` brings that back. --replay runs again what `exec` ran
    after the commit, in order, with directory, user, variables and input as they were, and stops at the first command
    that ends otherwise, or of which not all of that is kept. One that prints something else is named as diverged, and
    whichever seems to read what is not the same again with that: the clock, the network, random numbers. A command that
    the commit was made in the middle of goes on in it, and is waited for instead; one that the machine's end cut off is
    named and not run. When the daemon dies in a replay, the branch is lost again, and another replay begins anew.
    --dry-run says all of that beforehand, as far as it can be told without a machine.

    --from-crash-disk has no journal and no process: the machine boots from what its disk held when it died, see
    `cold-boot`. BRANCH@crash is compared (`diff`) and taken from (`export-files`, `apply`) without that.

    Not kept are what was typed at a terminal, input of more than 16 MiB, values of variables of `exec --journal none`;
    secrets are looked up by their names. `cp`, `sync` and `apply` are not run again: commit after them.
    """

    branch: BranchName
    replay: Annotated[bool, Given("Run again what was run after the commit.")] = False
    output: Annotated[bool, Given("With --replay, stop also at the first that prints something else.")] = (
        False
    )
    dry_run: Annotated[bool, Given("Show what would be done, and change nothing.")] = False
    from_crash_disk: Annotated[bool, Given("Boot it from what its disk held when its machine died.")] = False

    examples: ClassVar = (
        "vertui recover main --dry-run --replay",
        "vertui recover main --replay",
        "vertui recover --all",
        "vertui diff main@crash && vertui recover main --from-crash-disk",
    )
    each: ClassVar = "branch"
    counts: ClassVar = True
    screen: ClassVar = Absent(
        "`resume` starts a lost branch from its head; what a replay says takes lines, as `;` and a shell have them"
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.branch)
        if branch is None:
            return no_branch(shown, self.branch)
        if self.output and not self.replay:
            return Refusal("--output says how --replay compares: give both", UsageError)
        if self.from_crash_disk:
            if self.replay or self.dry_run:
                return Refusal("--from-crash-disk boots from a disk alone: give it alone", UsageError)
            return ColdBoot(self.branch).refuse(shown)
        reason = starting(branch)
        return Refusal(reason) if reason else None

    def is_meant(self, shown: Shown) -> bool:
        branch = shown.branch(self.branch)
        if branch is None or branch.state not in ENDED:
            return False
        return branch.crash is not None or not self.from_crash_disk

    async def carry_out(self, engine: Engine, request_id: str) -> Recovered:
        from core.engine import recovery

        if self.from_crash_disk:
            return await recovery.recover_disk(engine, request_id, self.branch)
        return await recovery.recover(
            engine, request_id, self.branch, replay=self.replay, outputs=self.output, dry_run=self.dry_run
        )
