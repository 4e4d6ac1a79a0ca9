"""Mirrors: what of this host's settings a running branch has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core import mirrors
from core.model import BranchState
from core.verbs.base import Absent, Brought, Given, Kind, Verb
from core.verbs.fields import BranchName, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown
from core.verbs.up import NONE, Handing, looked_up

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Mirrors(Verb[mirrors.HandedMirrors]):
    """Hand this host's proxies and mirrors in to a running branch anew, or take them back (none).

    `up` hands them in, and forks have them as any other file. Taken back, apt's sources are the image's again, and the
    host's certificates are trusted no more; a file that was changed since stays, and is named. What runs already keeps
    the variables that it has. It cannot be undone: ask for the other.
    """

    branch: BranchName
    which: Annotated[Handing, Given("host hands them in, none takes them back.", "host|with-passwords|none")]
    handed: Annotated[mirrors.Mirrors | None, Given("What is handed in.", kind=Kind.BROUGHT, rare=True)] = (
        None
    )

    examples: ClassVar = ("vertui mirrors main none", "vertui mirrors b1 host")
    screen: ClassVar = Absent("asked for once, at a shell")

    def refuse(self, shown: Shown) -> Refusal | None:
        return not_in(shown, self.branch, BranchState.RUNNING)

    def brought(self) -> Brought:
        return {} if self.handed is not None else looked_up(self.which)

    async def carry_out(self, engine: Engine, request_id: str) -> mirrors.HandedMirrors:
        from core.engine import handing

        handed = None if self.which == NONE else self.handed or mirrors.Mirrors()
        return await handing.change(engine, request_id, self.branch, handed)
