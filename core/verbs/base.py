"""What a verb is: a frozen dataclass whose fields are the request, with all that is derived from it.

Request → (Plan →) Change → inverse. A verb's fields say how people give them (`Given`) and what they may be (msgspec's
`Meta`: bounds and lengths). From that one value come the command line, the client's call, the route and its schema, the
form in the UI, the palette's entry, help, "copy as command" and the README's table.
"""

from __future__ import annotations

import shlex
from dataclasses import MISSING, Field, fields
from enum import Enum
from inspect import cleandoc
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)  # fmt: skip

from msgspec import Meta, Struct

from core.model import Operation, Plan
from core.naming import MemoryRoom

if TYPE_CHECKING:
    from core.engine.context import Engine
    from core.verbs.refusal import Refusal
    from core.verbs.shown import Shown

A = TypeVar("A")
MANY = 10_000  # values of one field, where no bound is given
Brought = dict[str, Any]


class Kind(Enum):
    """What a field names: completion offers those there are, and a form of the UI takes the selection for it.

    One that is `UNSEEN` is on no command line: it is typed without being shown, or is standard input. One that is
    `BROUGHT` is asked of nobody (see `Verb.brought`), `INPUT` is all of standard input, as it is. Of one that has
    `LINES`, `@FILE` among its values stands for the lines of a file, which whoever asks people reads
    (`vertui.variants`), and `@@` for `@`; a form asks for that file.
    """

    TEXT = "text"
    NAME = "name"
    BRANCH = "branch"
    REF = "ref"
    COMMIT = "commit"
    IMAGE = "image"
    PRUNED = "pruned"
    SIZE = "size"
    PATH = "path"
    SECRET = "secret"
    UNSEEN = "unseen"
    INPUT = "input"
    BROUGHT = "brought"
    LINES = "lines"


UNTYPED = (Kind.UNSEEN, Kind.INPUT, Kind.BROUGHT)
NODES = (Kind.BRANCH, Kind.REF, Kind.COMMIT)
NAMES = (*NODES, Kind.IMAGE, Kind.PRUNED)


class Given(Struct, frozen=True):
    """How people give a field. One with a default is an option, unless `argument` says otherwise.

    `flags` are an option's names, `--FIELD` without any; of a switch that is on by itself `--FIELD/--no-FIELD`.
    `metavar` stands for the value in help; `default` is shown for a default that says nothing by itself; `env` names a
    variable that gives it. One that is `rare` is in no form, where others have a `label`, their name without any.
    """

    help: str
    metavar: str = ""
    flags: tuple[str, ...] = ()
    kind: Kind = Kind.TEXT
    argument: bool = False
    default: str = ""
    env: str | None = None
    rare: bool = False
    label: str = ""


class Entry(Struct, frozen=True):
    """A verb's place in the UI: its key, its label, a line of help; `footer` shows it at the bottom of the screen.

    `doing` is what is said while it is at work; with `several` it is done to each node that is marked. `variant` is the
    flag of a planned verb that its dialog offers as well, and how that is called; `suggests` are answers that its form
    begins with.
    """

    key: str
    label: str
    help: str
    doing: str
    footer: bool = False
    several: bool = False
    variant: tuple[str, str] | None = None
    suggests: tuple[tuple[str, str], ...] = ()


class Absent(Struct, frozen=True):
    """Why a verb has no place of its own on the UI's main screen."""

    reason: str


class Asked(Struct, frozen=True):
    """A field of a verb: its name, what may be given (as msgspec is told it), how, and its default (MISSING when
    needed). `types` are the plain types there are for one value, `bounds` those of that value, `most` how many values.
    """

    name: str
    hint: Any
    given: Given
    default: Any
    types: tuple[Any, ...]
    bounds: Meta
    most: int | None = None

    @property
    def is_argument(self) -> bool:
        """Stands on a command line by its place?"""
        return self.given.argument or self.is_needed

    @property
    def is_needed(self) -> bool:
        """Has no default?"""
        return self.default is MISSING

    @property
    def takes_many(self) -> bool:
        """Any number of values?"""
        return self.most is not None

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

    examples: ClassVar[tuple[str, ...]]
    each: ClassVar[str] = ""
    """The field that people may give several of, of branches also `--all`: the verb is done to one after the other."""
    screen: ClassVar[Entry | Absent]
    starts: ClassVar[bool] = False
    """Does it start machines, so that whoever asks for it wants to know whether there is room?"""
    lasts: ClassVar[bool] = False
    """Does it take minutes, so that nobody waits for it?"""
    counts: ClassVar[bool] = False
    """Does it do the same to many things, and tell meanwhile how many are done?"""

    def refuse(self, shown: Shown) -> Refusal | None:
        """Why this would be refused now; None when it would not. Pure, and about what `ls` shows."""
        return None

    def is_meant(self, shown: Shown) -> bool:
        """Is this among what `--all` means?"""
        return self.refuse(shown) is None

    def foretell(self, shown: Shown, room: MemoryRoom | None) -> str:
        """What it will make and take, in a line, for a form to show while it is filled in; empty for nothing to say."""
        return ""

    def brought(self) -> Brought:
        """Fields that only the process of who asks knows; they are looked up as the verb is sent."""
        return {}

    async def carry_out(self, engine: Engine, request_id: str) -> A:
        """Do it. On failure nothing has changed."""
        raise NotImplementedError


class Planned(Verb[A]):
    """A verb that destroys or moves much: what it would do is shown first, exactly, and carried out once.

    One that does not ask shows it only where it is asked to.
    """

    asks: ClassVar[bool] = True

    async def plan(self, engine: Engine) -> Plan:
        """What it would do; the engine remembers it until it is carried out."""
        raise NotImplementedError


class Settled(Planned[Operation]):
    """A planned verb that is carried out by its plan, which the engine keeps."""

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        """Do what it would do now, unseen."""
        from core.engine import plans

        return await plans.execute(engine, request_id, (await self.plan(engine)).id)


def name_of(verb: type[Verb[Any]]) -> str:
    """A verb's name, which is its module's: `core.verbs.trash.restore` has `trash restore`."""
    module = verb.__module__.removeprefix(f"{__package__}.")
    return module.replace("_", "-").replace(".", " ")


def identifier(name: str) -> str:
    """A verb's name as one of Python's: `trash restore` is trash_restore."""
    return name.replace("-", "_").replace(" ", "_")


def path_of(verb: type[Verb[Any]]) -> str:
    """Where a verb is in the API."""
    return f"/v1/{name_of(verb).replace(' ', '/')}"


def help_of(verb: type[Verb[Any]]) -> str:
    """All that is said of a verb."""
    return cleandoc(verb.__doc__ or "")


def answer_of(verb: type[Verb[Any]]) -> Any:
    """The type of a verb's answer: its class's own parameter."""
    for cls in verb.__mro__:
        for base in cls.__dict__.get("__orig_bases__", ()):
            if not isinstance(get_args(base)[0], TypeVar):
                return get_args(base)[0]
    raise TypeError(f"{verb} does not say what it answers")


def command_line(verb: Verb[Any]) -> str:
    """The command line that asks for the same."""
    words = ["vertui", *name_of(type(verb)).split()]
    for field in sorted(fields_of(type(verb)), key=lambda field: not field.is_argument):
        words += _words(field, getattr(verb, field.name))
    return shlex.join(words)


_FIELDS: dict[
    type[Any], tuple[Asked, ...]
] = {}  # to read types takes a millisecond, and each drawing asks for them


def fields_of(verb: type[Verb[Any]]) -> tuple[Asked, ...]:
    """A verb's fields, in order."""
    if (found := _FIELDS.get(verb)) is None:
        hints = get_type_hints(verb, include_extras=True)
        found = tuple(_field(hints[field.name], field) for field in fields(verb))  # type: ignore[arg-type]
        _FIELDS[verb] = found
    return found


def _words(field: Asked, value: Any) -> list[str]:
    """A field's part of a command line; nothing for a default."""
    if value is None or value == field.default or field.given.kind in UNTYPED:
        return []
    values = [_word(one) for one in (value if isinstance(value, tuple) else (value,))]
    if field.given.kind is Kind.LINES:
        values = [f"@{one}" if one.startswith("@") else one for one in values]
    if field.is_argument:
        return values
    on, _, off = field.flags[-1].partition("/")
    if isinstance(value, bool):
        return [on if value else off]
    return [word for one in values for word in (on, one)]


def _word(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _field(hint: Any, field: Field[Any]) -> Asked:
    given = next(note for note in get_args(hint)[1:] if isinstance(note, Given))
    plain, bounds = _unwrapped(hint)
    if get_origin(plain) is tuple:
        (one, *_), most = get_args(plain), bounds.max_length or MANY
        plain, bounds = _unwrapped(one)
        return Asked(field.name, hint, given, field.default, (plain,), bounds, most)
    types = []
    for part in get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,):
        type_, inner = _unwrapped(part)
        types.append(type_)
        bounds = bounds if inner == Meta() else inner
    return Asked(field.name, hint, given, field.default, tuple(types), bounds)


def _unwrapped(hint: Any) -> tuple[Any, Meta]:
    """A type without its notes, and the bounds among them."""
    if get_origin(hint) is not Annotated:
        return hint, Meta()
    type_, *notes = get_args(hint)
    return type_, next((note for note in notes if isinstance(note, Meta)), Meta())
