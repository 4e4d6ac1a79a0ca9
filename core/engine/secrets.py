"""Secrets of a home: named values in one file, handed to commands and told to nobody.

A command is handed the value itself, or, of a secret that is for some sites alone, a placeholder that the swapper takes
out of what goes there (`core.swap`). No error, log line or event here has a value in it, nor has what the catalog keeps
of these verbs.
"""

import os
import time

from msgspec import Struct
from msgspec.structs import replace

from core.engine.context import Engine
from core.engine.kept_file import KeptFile
from core.engine.operations import operation
from core.errors import NotFound, UsageError
from core.model import Operation, check_variable
from core.sites import Secret, Site, spelled
from core.swap.wire import Swap

SHORTEST = 8  # bytes of a value that is looked for in answers: a shorter one is in many by chance


class KeptSecret(Struct, frozen=True):
    """A value, when it was set, and if it is for some sites alone which these are, what commands are handed in its
    place, and where it is swapped in besides headers.
    """

    value: str
    changed: float
    sites: tuple[Site, ...] = ()
    placeholder: str = ""
    in_url: bool = False
    in_body: bool = False


class Handed(Struct, frozen=True):
    """What variables of a command are to have: values, which only it may see on their way, and placeholders."""

    values: dict[str, str]
    placeholders: dict[str, str]


def names(engine: Engine) -> list[Secret]:
    """Every secret's name, when its value was set, and for which sites it is."""
    return [
        Secret(name, kept.changed, kept.sites, kept.placeholder, kept.in_url, kept.in_body)
        for name, kept in sorted(_file(engine).read().items())
    ]


def swaps(engine: Engine) -> tuple[Swap, ...]:
    """Those that are swapped in."""
    return tuple(
        Swap(name, kept.placeholder, kept.value, kept.sites, kept.in_url, kept.in_body)
        for name, kept in _file(engine).read().items()
        if kept.sites
    )


def handed(engine: Engine, wanted: dict[str, str]) -> Handed:
    """What variables get of the secrets named for them. NotFound when there is none of a name."""
    kept = _file(engine).read() if wanted else {}
    for name in wanted.values():
        if name not in kept:
            raise _none(name)
    found = {variable: kept[name] for variable, name in wanted.items()}
    return Handed(
        {variable: one.value for variable, one in found.items() if not one.sites},
        {variable: one.placeholder for variable, one in found.items() if one.sites},
    )


async def put(
    engine: Engine,
    request_id: str,
    name: str,
    value: str,
    sites: tuple[Site, ...] = (),
    *,
    in_url: bool = False,
    in_body: bool = False,
) -> Operation:
    """Keep a value under a name, for some sites alone if there are any. One that is for some stays so, and without
    others given for the same; its placeholder stays in any case. On failure what was there before stays.
    """
    check_variable(name)
    if "\0" in value or _has_halves(value):
        raise UsageError("a secret is text without zero bytes: a variable can hold nothing else")
    kept = _file(engine).read()
    now, former = KeptSecret(value, time.time(), sites, "", in_url, in_body), kept.get(name)
    if former is not None and former.sites and not sites:
        now = replace(former, value=value, changed=now.changed)
    if now.sites:
        _check_header(value)
        placeholder = former.placeholder if former else ""
        now = replace(now, placeholder=placeholder or f"vertui-{name}-{os.urandom(16).hex()}")
    whom = f" for {' '.join(map(spelled, now.sites))}" if now.sites else ""
    async with operation(engine, request_id, "secret set", f"secret set {name}{whom}") as record:
        _file(engine).write(kept | {name: now})
    engine.tasks.swapper.settle()
    return engine.catalog.operation(record.id).shown()


async def remove(engine: Engine, request_id: str, name: str) -> Operation:
    """Forget a secret. NotFound when there is none; on failure it stays."""
    async with operation(engine, request_id, "secret rm", f"secret rm {name}") as record:
        kept = _file(engine).read()
        if name not in kept:
            raise _none(name)
        del kept[name]
        _file(engine).write(kept)
    engine.tasks.swapper.settle()
    return engine.catalog.operation(record.id).shown()


def _file(engine: Engine) -> KeptFile[KeptSecret]:
    return KeptFile(engine.home.secrets, KeptSecret, "remove it, and set the secrets again")


def _check_header(value: str) -> None:
    """UsageError for what a header cannot hold, or what is too short to be found again in an answer."""
    if len(value.encode()) < SHORTEST or not value.isprintable() or value != value.strip():
        raise UsageError(
            f"a secret for a site is one line of at least {SHORTEST} bytes: it stands in a header of a request"
        )


def _has_halves(value: str) -> bool:
    """Halves of characters, which JSON can hold and no file."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _none(name: str) -> NotFound:
    return NotFound(f"no secret '{name[:40]}': `vertui secret ls` lists those there are")
