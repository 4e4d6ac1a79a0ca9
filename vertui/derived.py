"""The command of a verb, made of its value: arguments, options, help, and what is printed of its answer."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING
from inspect import Parameter, Signature
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from core.daemon.client import Client
from core.errors import UsageError
from core.model import Tree
from core.verbs.base import Asked, Kind, Verb, fields_of, help_of, name_of
from core.verbs.shown import TreeShown
from vertui.answers import say
from vertui.commands.options import Json
from vertui.commands.several import distinct, each
from vertui.output import say_json
from vertui.session import connect

EVERYTHING = "everything"
All = Annotated[bool, typer.Option("--all", help="Every one that it can be done to.")]


def command_of(verb: type[Verb[Any]]) -> Callable[..., None]:
    """A function for typer: its parameters are the verb's fields, `--json`, and `--all` where it makes sense."""

    def run(*, json: bool, everything: bool = False, **given: Any) -> None:
        taken = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        client = connect()
        if not verb.each:
            _do(client, [verb(**taken)], json)
            return
        names = taken.pop(verb.each) or ()
        if bool(names) == everything:
            raise UsageError(f"name the branches to {name_of(verb)}, or give --all")
        found = list(_every(client.tree(), verb, taken)) if everything else distinct(client, names)
        if everything and not found:
            print(f"there is nothing to {name_of(verb)}")
        else:
            _do(client, [verb(**taken, **{verb.each: name}) for name in found], json, found)

    parameters = list(_parameters(verb))
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = _help(verb)
    return run


def _do(client: Client, verbs: list[Verb[Any]], json: bool, names: Iterable[str] = ("",)) -> None:
    answers: list[object] = []
    waiting = iter(verbs)

    def one(_: str) -> None:
        answers.append(client.do(next(waiting)))
        if not json:
            say(answers[-1])

    try:
        each(list(names), one)
    finally:
        if json and answers:
            say_json(answers if len(verbs) > 1 else answers[0])


def _every(tree: Tree, verb: type[Verb[Any]], given: dict[str, Any]) -> Iterator[str]:
    """The branches it would not be refused for."""
    shown = TreeShown(tree)
    for branch in tree.branches:
        if verb(**given, **{verb.each: branch.name}).refuse(shown) is None:
            yield branch.name


def _parameters(verb: type[Verb[Any]]) -> Iterator[Parameter]:
    for field in sorted(fields_of(verb), key=lambda field: not field.is_argument):
        yield _parameter(field, several=field.name == verb.each)
    if verb.each:
        yield _named(EVERYTHING, All)
    yield _named("json", Json)


def _named(name: str, annotation: Any, default: Any = False) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameter(field: Asked, *, several: bool) -> Parameter:
    given, needed = field.given, field.default is MISSING and not several
    told: dict[str, Any] = {"help": given.help, "show_default": given.default or not needed}
    if given.kind not in (Kind.TEXT, Kind.NAME):
        told["autocompletion"] = _completer(given.kind)
    if field.type is not bool:
        told["metavar"] = f"[{field.metavar}...]" if several else field.metavar
    made = typer.Argument(**told) if field.is_argument else typer.Option(*field.flags, **told)
    type_ = list[str] | None if several else _taken(field.type)
    default = None if several else Parameter.empty if needed else field.default
    return _named(
        field.name, Annotated[type_, made], list(default) if isinstance(default, tuple) else default
    )


def _taken(hint: Any) -> Any:
    """What typer takes for a type: lists for tuples."""
    if get_origin(hint) is tuple:
        return list[get_args(hint)[0]]  # type: ignore[misc]
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(_taken(one) for one in get_args(hint))]  # noqa: UP007
    return hint


def _help(verb: type[Verb[Any]]) -> str:
    if not verb.examples:
        return help_of(verb)
    title = "Example" if len(verb.examples) == 1 else "Examples"
    examples = "\n".join(f"  {example}" for example in verb.examples)
    return f"{help_of(verb)}\n\n\b\n{title}:\n{examples}"


def _completer(kind: Kind) -> Callable[[str], list[str]]:
    """What a shell offers for a field: the names there are that begin like this."""

    def complete(incomplete: str) -> list[str]:
        from vertui.completion import names_of

        return [name for name in names_of(kind) if name.startswith(incomplete)]

    return complete
