"""Secret set: a value that commands in branches may be given, or that is swapped in for some sites alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import UsageError
from core.model import LONGEST_SECRET, Operation
from core.sites import MOST_SITES, site
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import SecretName, Short
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Set(Verb[Operation]):
    """Keep a secret value under a name, in place of what had that name.

    The value is all of standard input, without one newline at its end; at a terminal it is typed unseen. It lies in the
    clear in a file of the home that only you can read; no verb, log or answer shows it again.
    `vertui exec --secret NAME` gives it to a command. Nothing brings back a value that was replaced.

    With --for no branch ever has the value. `exec --secret` gives a placeholder, a random word, and what the command
    sends to one of these sites has the value in its place: in headers, Basic credentials included. --in-url and
    --in-body swap in the address and in the body as well (a body of up to 1 MiB, or one sent in chunks, and not
    compressed); leave them out where a server may show to others what it was sent. A SITE is HOST[:PORT] or
    *.HOST[:PORT], reached by TLS, or http://HOST[:PORT] in the clear. What the branch may reach is for `vertui egress`
    to say, as ever.

    A new value without --for is for the same sites, and the placeholder stays what it was: `secret rm` begins anew.
    """

    name: SecretName
    value: Annotated[
        str, Given("The value.", kind=Kind.UNSEEN), Meta(min_length=1, max_length=LONGEST_SECRET)
    ] = field(repr=False)
    sites: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("A site that alone is sent the value; may be repeated.", "SITE", ("--for",)),
        Meta(max_length=MOST_SITES),
    ] = ()
    in_url: Annotated[bool, Given("Swap it in the address, too.")] = False
    in_body: Annotated[bool, Given("Swap it in the body, too.")] = False

    examples: ClassVar = (
        "vertui secret set TOKEN < token",
        "vertui secret set TOKEN",
        "vertui secret set GH_TOKEN --for api.github.com --for github.com < token",
    )
    screen: ClassVar = Absent("the screen of secrets sets them")

    def refuse(self, shown: Shown) -> Refusal | None:
        try:
            tuple(map(site, self.sites))
        except UsageError as error:
            return Refusal(str(error), UsageError)
        if (self.in_url or self.in_body) and not self.sites:
            return Refusal("where it is swapped in is said with its sites: give --for SITE, too", UsageError)
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import secrets

        sites = tuple(dict.fromkeys(map(site, self.sites)))
        where = {"in_url": self.in_url, "in_body": self.in_body}
        return await secrets.put(engine, request_id, self.name, self.value, sites, **where)
