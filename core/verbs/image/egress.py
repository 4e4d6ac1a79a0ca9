"""Image egress: what branches of an image may reach outside at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from core.errors import UsageError
from core.model import Image
from core.reach import MOST_DESTINATIONS, with_groups
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import Short, no_image
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

DEFAULT = "default"
Mode = Literal["off", "open", "allow", "default"]


@dataclass(frozen=True)
class Egress(Verb[Image]):
    """Say what a branch that `up` starts of an image may reach outside at first; `default` is what the home says.

    Rules are those of `vertui egress`; @apt, @pip, @npm and @git stand for the servers that each guest is configured
    for. Branches there are stay as they are. An image that is built anew under this name keeps it.
    """

    image: Annotated[str, Given("The image.", "IMAGE", kind=Kind.IMAGE), Short]
    mode: Annotated[Mode, Given("off, open, allow with rules, or default.", "off|open|allow|default")]
    rule: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("HOST[:PORT[/udp]], *.HOST, CIDR, or @apt and such.", "RULE", argument=True),
        Meta(max_length=MOST_DESTINATIONS),
    ] = ()

    examples: ClassVar = ("vertui image egress base allow @apt @pip", "vertui image egress base default")
    screen: ClassVar = Absent("said once, at a shell: on the screen is what one branch may reach")

    def refuse(self, shown: Shown) -> Refusal | None:
        if not any(self.image in (image.name, image.id) for image in shown.images):
            return no_image(self.image)
        if self.mode == DEFAULT:
            text = f"'{self.rule[0][:60]}' is for `allow`: `default` takes no rule" if self.rule else ""
            return Refusal(text, UsageError) if text else None
        try:
            with_groups(self.mode, self.rule)
        except UsageError as error:
            return Refusal(str(error), UsageError)
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Image:
        from core.engine import marks

        reach = None if self.mode == DEFAULT else with_groups(self.mode, self.rule)
        return await marks.image_egress(engine, request_id, self.image, reach)
