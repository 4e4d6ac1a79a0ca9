"""Up: a machine started from an image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from core.errors import NotFound, UsageError
from core.mirrors import Mirrors
from core.model import Branch
from core.verbs.base import Brought, Entry, Given, Kind, Verb
from core.verbs.fields import Short, no_image, taken
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

FROM_HOST = "VERTUI_MIRRORS"
Handing = Literal["host", "with-passwords", "none"]
NONE: Handing = "none"


@dataclass(frozen=True)
class Up(Verb[Branch]):
    """Start a machine from an image. The first branch becomes the trunk.

    What the host's apt, pip and npm are configured for, its proxies and the certificates it trusts are handed in, so
    that what works here works there once `vertui egress` lets it out; with `--mirrors none` nothing is. What holds a
    password is left out, and said, unless `--mirrors with-passwords` asks for it.
    """

    image: Annotated[
        Annotated[str, Short] | None,
        Given("The image to start from.", "IMAGE", ("--image", "-i"), Kind.IMAGE, default="the newest"),
    ] = None
    name: Annotated[str, Given("The new branch's name.", "NAME", kind=Kind.NAME), Short] = "main"
    mirrors: Annotated[
        Handing | None,
        Given(
            "The host's proxies and mirrors: host hands them in, none does not.",
            "host|with-passwords|none",
            default="host",
            env=FROM_HOST,
            rare=True,
        ),
    ] = None
    handed: Annotated[Mirrors | None, Given("What is handed in.", kind=Kind.BROUGHT, rare=True)] = None

    examples: ClassVar = ("vertui up", "vertui up --image base --name work", "vertui up --mirrors none")
    screen: ClassVar = Entry("plus", "new machine", "start a machine from an image", "starting")

    def refuse(self, shown: Shown) -> Refusal | None:
        if not shown.images:
            return Refusal("there is no image yet: run `vertui image build`", NotFound)
        if self.image and not any(self.image in (image.name, image.id) for image in shown.images):
            return no_image(self.image)
        return taken(shown, self.name)

    def brought(self) -> Brought:
        if self.handed is not None:
            return {}
        wanted = self.mirrors or os.environ.get(FROM_HOST) or "host"
        if wanted not in get_args(Handing):
            raise UsageError(f"{FROM_HOST} is '{wanted[:40]}': give host, with-passwords or none")
        return looked_up(wanted)

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import fork, inspect

        row = await fork.up(engine, request_id, self.image, self.name, self.handed)
        return await inspect.branch(engine, row)


def looked_up(wanted: str) -> Brought:
    """What a host hands in, as a field `handed`; none where nothing is to be."""
    if wanted == NONE:
        return {}
    from core.host_mirrors import found

    return {"handed": found(passwords=wanted == "with-passwords")}
