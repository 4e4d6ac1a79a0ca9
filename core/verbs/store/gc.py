"""Store gc: space that nothing needs, free again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import Plan
from core.verbs.base import Absent, Given, Planned

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Gc(Planned[int]):
    """Free what no commit (also none in the trash) and no machine needs, images that others replaced, and old logs.

    Packs of which little is needed are written anew, where there is room for that, until at most an eighth of what all
    hold is needed by nobody; `compact` does that alone. It works on a full disk, for a reserve is kept for it. A branch
    that a full disk has paused goes on by itself.
    """

    cache: Annotated[
        bool, Given("Also empty the cache, out of which images are built again without a network.")
    ] = False

    examples: ClassVar = ("vertui store gc", "vertui store gc --dry-run")
    counts: ClassVar = True
    screen: ClassVar = Absent("the screen of the store does it")

    asks: ClassVar = False

    async def plan(self, engine: Engine) -> Plan:
        from core.engine import upkeep

        return await upkeep.plan_gc(engine, cache=self.cache)

    async def carry_out(self, engine: Engine, request_id: str) -> int:
        from core.engine import upkeep

        return await upkeep.gc(engine, request_id, cache=self.cache)
