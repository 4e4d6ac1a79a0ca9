"""Every verb, each one value in a module of its own.

Glossary
    verb      what a user asks for: a frozen dataclass; its fields are the request
    refusal   why it would not be done now, in one line that names the way out; a pure rule on what `ls` shows
    plan      what a verb that destroys would do, exactly; shown before it is carried out, once
    change    what a verb, its undo and its redo have in common: applying one gives the one that takes it back
    answer    what came of it, a value

To add a verb: write one module here with its class, named as the verb is (`hand_over.py` for `hand-over`,
`trash/restore.py` for `trash restore`). The command line, the client, the API and its schema, the UI's keys, palette
and forms, help and completion find it by themselves. Modules of other people's in the directories that VERTUI_VERBS
names (separated by colons) are found as well.
"""

import os
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from inspect import isclass
from typing import Any

from core.errors import NotFound
from core.verbs.base import Verb

EXTRA = "VERTUI_VERBS"
PARTS = ("base", "bounds", "fields", "refusal", "shown")  # of this package, that are no verbs

__path__ += [part for part in os.environ.get(EXTRA, "").split(os.pathsep) if part]


@cache
def names() -> tuple[str, ...]:
    """Every verb's name. Nothing is imported for that."""
    return tuple(sorted(set(_found(__path__)) - set(PARTS)))


@cache
def load(name: str) -> type[Verb[Any]]:
    """The verb of that name; NotFound when there is none."""
    if name not in names():
        raise NotFound(f"there is no verb '{name[:40]}': `vertui --help` lists them")
    module = import_module(f"{__name__}.{name.replace('-', '_').replace(' ', '.')}")
    return next(
        value
        for value in vars(module).values()
        if isclass(value) and issubclass(value, Verb) and value.__module__ == module.__name__
    )


def all_verbs() -> Iterator[type[Verb[Any]]]:
    """Every verb."""
    return map(load, names())


def _found(directories: list[str]) -> Iterator[str]:
    for directory in directories:
        for module in pkgutil.iter_modules([directory]):
            name = module.name.replace("_", "-")
            if module.ispkg:
                yield from (f"{name} {inner}" for inner in _found([os.path.join(directory, module.name)]))  # noqa: PTH118
            else:
                yield name
