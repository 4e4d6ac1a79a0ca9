"""Secrets of a home: named values in one file, handed to commands and told to nobody.

No error, log line or event here has a value in it, nor has what the catalog keeps of these verbs.
"""

import time

from msgspec import Struct

from core.engine.context import Engine
from core.engine.kept_file import KeptFile
from core.engine.operations import operation
from core.errors import NotFound, UsageError
from core.model import Operation, Secret, check_variable


class KeptSecret(Struct, frozen=True):
    """A value, and when it was set."""

    value: str
    changed: float


def names(engine: Engine) -> list[Secret]:
    """Every secret's name, and when its value was set."""
    return [Secret(name, kept.changed) for name, kept in sorted(_file(engine).read().items())]


def values(engine: Engine, wanted: dict[str, str]) -> dict[str, str]:
    """The values that variables are to have, of the secrets named for them. NotFound when there is none of a name."""
    kept = _file(engine).read() if wanted else {}
    for name in wanted.values():
        if name not in kept:
            raise _none(name)
    return {variable: kept[name].value for variable, name in wanted.items()}


async def put(engine: Engine, request_id: str, name: str, value: str) -> Operation:
    """Keep a value under a name. On failure what was there before stays."""
    check_variable(name)
    if "\0" in value or _has_halves(value):
        raise UsageError("a secret is text without zero bytes: a variable can hold nothing else")
    async with operation(engine, request_id, "secret set", f"secret set {name}") as record:
        _file(engine).write(_file(engine).read() | {name: KeptSecret(value, time.time())})
    return engine.catalog.operation(record.id).shown()


async def remove(engine: Engine, request_id: str, name: str) -> Operation:
    """Forget a secret. NotFound when there is none; on failure it stays."""
    async with operation(engine, request_id, "secret rm", f"secret rm {name}") as record:
        kept = _file(engine).read()
        if name not in kept:
            raise _none(name)
        del kept[name]
        _file(engine).write(kept)
    return engine.catalog.operation(record.id).shown()


def sweep(engine: Engine) -> None:
    """Remove what a daemon that was killed left half written."""
    _file(engine).sweep()


def _file(engine: Engine) -> KeptFile[KeptSecret]:
    return KeptFile(engine.home.secrets, KeptSecret, "remove it, and set the secrets again")


def _has_halves(value: str) -> bool:
    """Halves of characters, which JSON can hold and no file."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _none(name: str) -> NotFound:
    return NotFound(f"no secret '{name[:40]}': `vertui secret ls` lists those there are")
