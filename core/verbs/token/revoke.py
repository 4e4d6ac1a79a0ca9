"""Token revoke: nobody is let in by it any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import Operation
from core.verbs.base import Absent, Given, Verb
from core.verbs.fields import Short

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Revoke(Verb[Operation]):
    """Let nobody in by a token any more. Whoever is in by it is hung up on at once. Nothing brings it back.

    Verbs that were begun by it are gone on with; a command it started hangs up, as when its client ends.
    """

    name: Annotated[str, Given("The token's name.", "NAME"), Short]

    examples: ClassVar = ("vertui token revoke laptop",)
    screen: ClassVar = Absent("the screen of tokens revokes them")

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import tokens

        return await tokens.revoke(engine, request_id, self.name)
