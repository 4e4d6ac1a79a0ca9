"""Token new: somebody else who is let in by the daemon's port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import UsageError
from core.model import Operation
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import Short
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class New(Verb[Operation]):
    """Make a token that lets in whoever has it by the daemon's port (`vertui daemon start --listen`).

    It is printed this once and kept nowhere: the home has its SHA-256. Whoever has it can do all that you can do with
    this home, but for tokens, the port, and stopping the daemon. `vertui token revoke` takes that back at once.
    """

    name: Annotated[str, Given("What to call it, as after who gets it.", "NAME", kind=Kind.NAME), Short]
    sha256: Annotated[
        str,
        Given("SHA-256 of a token that there is already, in hex: none is made, nor printed.", "HEX"),
        Meta(max_length=64),
    ] = ""

    examples: ClassVar = ("vertui token new laptop", "umask 077 && vertui token new ci > ci.token")
    screen: ClassVar = Absent("the screen of tokens makes them, and shows each once")

    def refuse(self, shown: Shown) -> Refusal | None:
        if len(self.sha256) == 64 and set(self.sha256) <= set("0123456789abcdef"):
            return None
        return Refusal("sha256: give the token's SHA-256, 64 digits of 0-9 and a-f", UsageError)

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import tokens

        return await tokens.add(engine, request_id, self.name, self.sha256)
