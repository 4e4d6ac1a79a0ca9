"""Secrets of a home: named values in one file, handed to commands and told to nobody.

No error, log line or event here has a value in it, nor has what the catalog keeps of these verbs.
"""

import json
import time

from msgspec import Struct

from core.codec import decode, encode
from core.engine.context import Engine
from core.engine.operations import operation
from core.errors import Damaged, NotFound, UsageError
from core.files import read_error, write_atomic
from core.model import Operation, Secret, check_variable


class KeptSecret(Struct, frozen=True):
    """A value, and when it was set."""

    value: str
    changed: float


def names(engine: Engine) -> list[Secret]:
    """Every secret's name, and when its value was set."""
    return [Secret(name, kept.changed) for name, kept in sorted(_kept(engine).items())]


def values(engine: Engine, wanted: dict[str, str]) -> dict[str, str]:
    """The values that variables are to have, of the secrets named for them. NotFound when there is none of a name."""
    kept = _kept(engine) if wanted else {}
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
        _write(engine, _kept(engine) | {name: KeptSecret(value, time.time())})
    return engine.catalog.operation(record.id).shown()


async def remove(engine: Engine, request_id: str, name: str) -> Operation:
    """Forget a secret. NotFound when there is none; on failure it stays."""
    async with operation(engine, request_id, "secret rm", f"secret rm {name}") as record:
        kept = _kept(engine)
        if name not in kept:
            raise _none(name)
        del kept[name]
        _write(engine, kept)
    return engine.catalog.operation(record.id).shown()


def sweep(engine: Engine) -> None:
    """Remove what a daemon that was killed left half written."""
    path = engine.home.secrets
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def _kept(engine: Engine) -> dict[str, KeptSecret]:
    path = engine.home.secrets
    try:
        return decode(dict[str, KeptSecret], json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise read_error(error, str(path)) from error
    except ValueError:  # which quotes what it could not read
        raise Damaged(f"{path} is not as it was written: remove it, and set the secrets again") from None


def _write(engine: Engine, kept: dict[str, KeptSecret]) -> None:
    write_atomic(engine.home.secrets, json.dumps(encode(kept)).encode())


def _has_halves(value: str) -> bool:
    """Halves of characters, which JSON can hold and no file."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _none(name: str) -> NotFound:
    return NotFound(f"no secret '{name[:40]}': `vertui secret ls` lists those there are")
