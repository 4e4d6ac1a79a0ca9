"""Image rm: an image and all that was committed of it, gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import Plan
from core.verbs.base import Absent, Given, Kind, Settled
from core.verbs.fields import Short, no_image
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Rm(Settled):
    """Remove an image and all commits of it. Shows the plan first, and asks."""

    image: Annotated[str, Given("The image.", "IMAGE", kind=Kind.IMAGE), Short]

    examples: ClassVar = ("vertui image rm base",)
    counts: ClassVar = True
    screen: ClassVar = Absent("on the images screen")

    def refuse(self, shown: Shown) -> Refusal | None:
        found = next((image for image in shown.images if self.image in (image.name, image.id)), None)
        if found is None:
            return no_image(self.image)
        users = [branch.name for branch in shown.branches.values() if branch.image == found.id]
        if not users:
            return None
        return Refusal(
            f"image {found.name} is used by {', '.join(users[:5])}: prune them and empty the trash first"
        )

    async def plan(self, engine: Engine) -> Plan:
        from core.engine import plans

        return plans.plan_image_rm(engine, self.image)
