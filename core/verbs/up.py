"""Up: a machine started from an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.errors import NotFound
from core.model import Branch
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.fields import Short, no_image, taken
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Up(Verb[Branch]):
    """Start a machine from an image. The first branch becomes the trunk."""

    image: Annotated[
        Annotated[str, Short] | None,
        Given("The image to start from.", "IMAGE", ("--image", "-i"), Kind.IMAGE, default="the newest"),
    ] = None
    name: Annotated[str, Given("The new branch's name.", "NAME", kind=Kind.NAME), Short] = "main"

    examples: ClassVar = ("vertui up", "vertui up --image base --name work")
    screen: ClassVar = Entry("n", "new machine", "start a machine from an image", "starting")

    def refuse(self, shown: Shown) -> Refusal | None:
        if not shown.images:
            return Refusal("there is no image yet: run `vertui image build`", NotFound)
        if self.image and not any(self.image in (image.name, image.id) for image in shown.images):
            return no_image(self.image)
        return taken(shown, self.name)

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import fork, inspect

        return await inspect.branch(engine, await fork.up(engine, request_id, self.image, self.name))
