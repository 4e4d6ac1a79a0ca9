"""Secret set: a value that commands in branches may be given, and that is shown nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.model import LONGEST_SECRET, Operation
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import SecretName

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Set(Verb[Operation]):
    """Keep a secret value under a name, in place of what had that name.

    The value is all of standard input, without one newline at its end; at a terminal it is typed unseen. It lies in the
    clear in a file of the home that only you can read; no verb, log or answer shows it again.
    `vertui exec --secret NAME` gives it to a command. Nothing brings back a value that was replaced.
    """

    name: SecretName
    value: Annotated[
        str, Given("The value.", kind=Kind.UNSEEN), Meta(min_length=1, max_length=LONGEST_SECRET)
    ] = field(repr=False)

    examples: ClassVar = ("vertui secret set TOKEN < token", "vertui secret set TOKEN")
    screen: ClassVar = Absent("its value is typed unseen, at a shell")

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import secrets

        return await secrets.put(engine, request_id, self.name, self.value)
