"""Secret rm: a value forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Operation
from core.verbs.base import Absent, Verb
from core.verbs.fields import SecretName

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Rm(Verb[Operation]):
    """Forget a secret. Nothing brings it back.

    Commands that were given it keep it; blocks of the host's disk that held the file are not overwritten.
    """

    name: SecretName

    examples: ClassVar = ("vertui secret rm TOKEN",)
    screen: ClassVar = Absent("the screen of secrets forgets them")

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import secrets

        return await secrets.remove(engine, request_id, self.name)
