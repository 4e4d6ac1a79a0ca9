"""The verbs about tokens. No token is ever here, only what it is known by."""

import time

from core.engine.admission import KeptToken
from core.engine.context import Engine
from core.engine.operations import operation
from core.errors import Conflict, NotFound
from core.model import Operation, check_name
from core.tokens import Token


def tokens(engine: Engine) -> list[Token]:
    """Every token's name, when it was made, and how many are in by it."""
    inside = engine.admission.connections()
    known = engine.admission.tokens.read()
    return [Token(name, kept.created, inside[name]) for name, kept in sorted(known.items())]


async def add(engine: Engine, request_id: str, name: str, sha256: str) -> Operation:
    """Let in whoever has the token of this digest. Conflict when the name is taken."""
    check_name(name)
    async with operation(engine, request_id, "token new", f"token new {name}") as record:
        known = engine.admission.tokens.read()
        if name in known:
            raise Conflict(
                f"there is a token '{name}' already: `vertui token revoke {name}`, or take another"
            )
        engine.admission.tokens.write(known | {name: KeptToken(sha256, time.time())})
    return engine.catalog.operation(record.id).shown()


async def revoke(engine: Engine, request_id: str, name: str) -> Operation:
    """Let nobody in by it any more, and hang up on whoever is in. NotFound when there is none; on failure it stays."""
    async with operation(engine, request_id, "token revoke", f"token revoke {name}") as record:
        known = engine.admission.tokens.read()
        if name not in known:
            raise NotFound(f"no token '{name[:40]}': `vertui token ls` lists those there are")
        del known[name]
        engine.admission.tokens.write(known)
        engine.admission.turn_out(name)
    return engine.catalog.operation(record.id).shown()
