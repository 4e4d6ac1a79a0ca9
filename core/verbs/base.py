"""What a verb is: a frozen dataclass whose fields are the request, with all that is derived from it.

Request → (Plan →) Change → inverse. A verb's fields say how people give them (`Given`) and what they may be (msgspec's
`Meta`: bounds and lengths). From that one value come the command line, the client's call, the route and its schema, the
form in the UI, the palette's entry, help, "copy as command" and the README's table.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, get_args, get_type_hints

from msgspec import Meta

from core.model import Branch, Commit, Image

if TYPE_CHECKING:
    from core.engine.context import Engine

A = TypeVar("A")


class Kind(Enum):
    """What a field names: completion offers those there are, and a form of the UI takes the selection for it."""

    TEXT = "text"
    NAME = "name"
    BRANCH = "branch"
    REF = "ref"
    COMMIT = "commit"
    IMAGE = "image"


@dataclass(frozen=True)
class Given:
    """How people give a field. One with a default is an option, unless `argument` says otherwise.

    `flags` are an option's names, `--FIELD` without any; `metavar` stands for the value in help; `default` is shown for
    a default that says nothing by itself.
    """

    help: str
    metavar: str = ""
    flags: tuple[str, ...] = ()
    kind: Kind = Kind.TEXT
    argument: bool = False
    default: str = ""


@dataclass(frozen=True)
class Entry:
    """A verb's place in the UI: its key, its label, a line of help; `footer` shows it at the bottom of the screen."""

    key: str
    label: str
    help: str
    footer: bool = False


@dataclass(frozen=True)
class Absent:
    """Why a verb has no place in the UI."""

    reason: str


class Shown(Protocol):
    """What `ls` shows, as much of it as a rule asks for."""

    @property
    def trunk(self) -> str | None:
        """The trunk's name."""

    @property
    def branches(self) -> Mapping[str, Branch]:
        """By name."""

    @property
    def images(self) -> Sequence[Image]:
        """Oldest first."""

    @property
    def commits(self) -> Sequence[Commit]:
        """Those outside the trash, each with its nearest kept ancestors as its parents."""

    def branch(self, name: str) -> Branch | None:
        """The branch of that name, `@trunk` being the trunk's."""

    def commit(self, ref: str) -> Commit | None:
        """The commit that a REF names now: a branch stands for its head."""


@dataclass(frozen=True)
class Asked:
    """A field of a verb: its name, its type, how it is given, its bounds, and its default (MISSING when needed)."""

    name: str
    type: Any
    given: Given
    bounds: Meta
    default: Any

    @property
    def is_argument(self) -> bool:
        """Stands on a command line by its place?"""
        return self.given.argument or self.default is MISSING

    @property
    def metavar(self) -> str:
        """What stands for its value in help."""
        return self.given.metavar or self.name.upper().replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """An option's names."""
        return self.given.flags or (f"--{self.name.replace('_', '-')}",)


class Verb(Generic[A]):
    """The base of all verbs; its parameter is the type of the answer."""

    examples: ClassVar[tuple[str, ...]] = ()
    each: ClassVar[str] = ""
    """The field that people may give several of, or `--all`: the verb is then done to one after the other."""
    screen: ClassVar[Entry | Absent] = Absent("nobody has given it one")

    def refuse(self, shown: Shown) -> str | None:
        """Why this would be refused now, in one line that names the way out; None when it would not."""
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> A:
        """Do it. On failure nothing has changed."""
        raise NotImplementedError


def name_of(verb: type[Verb[Any]]) -> str:
    """A verb's name on the command line and in the API: HandOver is `hand-over`."""
    text = "".join(f"-{char.lower()}" if char.isupper() else char for char in verb.__name__)
    return text.removeprefix("-")


def help_of(verb: type[Verb[Any]]) -> str:
    """All that is said of a verb."""
    return cleandoc(verb.__doc__ or "")


def answer_of(verb: type[Verb[Any]]) -> Any:
    """The type of a verb's answer: its class's own parameter."""
    base = next(base for base in getattr(verb, "__orig_bases__", ()) if get_args(base))
    return get_args(base)[0]


def command_line(verb: Verb[Any]) -> str:
    """The command line that asks for the same."""
    words = ["vertui", name_of(type(verb))]
    for field in fields_of(type(verb)):
        words += _words(field, getattr(verb, field.name))
    return shlex.join(words)


def fields_of(verb: type[Verb[Any]]) -> tuple[Asked, ...]:
    """A verb's fields, in order."""
    hints = get_type_hints(verb, include_extras=True)
    return tuple(_field(hints[field.name], field) for field in fields(verb))  # type: ignore[arg-type]


def _words(field: Asked, value: Any) -> list[str]:
    """A field's part of a command line; nothing for a default."""
    if value == field.default or value is None:
        return []
    values = [str(one) for one in (value if isinstance(value, tuple) else (value,))]
    if field.is_argument:
        return values
    flag = field.flags[-1]
    return [flag] if value is True else [word for one in values for word in (flag, one)]


def _field(hint: Any, field: Field[Any]) -> Asked:
    type_, *notes = get_args(hint)
    given = next(note for note in notes if isinstance(note, Given))
    bounds = next((note for note in notes if isinstance(note, Meta)), Meta())
    return Asked(field.name, type_, given, bounds, field.default)
