"""The command of a verb, made of its value: arguments, options, help, and what is printed of its answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_origin

import typer

from core.errors import UsageError, VertuiError
from core.model import Operation, Plan, Tree
from core.verbs import load
from core.verbs.base import NAMES, UNTYPED, Asked, Kind, Planned, Verb, fields_of, help_of, name_of
from core.verbs.bounds import wrong_with
from core.verbs.shown import Shown
from vertui.answers import check, say, say_done
from vertui.completion import offer_names
from vertui.options import All, DryRun, Json, Yes
from vertui.output import say_json
from vertui.session import agree, all_input, connect, show_plan, unseen
from vertui.several import Refused, check_named, distinct, each
from vertui.sizes import parse_size
from vertui.variants import values_of

if TYPE_CHECKING:
    from core.daemon.client import Client

EVERYTHING = "everything"
READ = {Kind.UNSEEN: unseen, Kind.INPUT: all_input}  # what is on no command line, and is asked for by name
Carry = Callable[..., Any]
"""Takes a client and a verb, and as keywords the options that are the command line's own."""


def command_of(name: str, carry: Carry | None = None, own: Sequence[Parameter] = ()) -> Callable[..., None]:
    """A function for typer: its parameters are the verb's fields, `--json`, and what else there is for such a verb.

    `carry` has it carried out, where that is more than one request, and takes the options that are its `own`.
    """
    verb = load(name)

    def run(*, json: bool, **given: Any) -> None:
        given |= {
            field.name: READ[field.given.kind](field.name)
            for field in fields_of(verb)
            if field.given.kind in READ
        }
        if issubclass(verb, Planned):
            options = {option: given.pop(option, False) for option in ("yes", "dry_run")}
            _planned(_made(verb, **given), json=json, **options)
        elif verb.each:
            _several(verb, json=json, **given)
        else:
            more = {option.name: given.pop(option.name) for option in own}
            made = _made(verb, **given)  # before the daemon is looked for
            client = connect()
            _tell(carry(client, made, **more) if carry else _done(client, made), json=json)

    parameters = [*_parameters(verb), *own]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = _help(verb)
    return run


def _made(verb: type[Verb[Any]], /, **given: Any) -> Any:
    """The verb with what was given; UsageError names a field that is not what it may be."""
    for field in fields_of(verb):
        value = given.get(field.name)
        given[field.name] = value = tuple(value) if isinstance(value, list) else value
        if field.given.kind is Kind.LINES and value:
            given[field.name] = value = values_of(value)
        if field.given.kind is Kind.SIZE and isinstance(value, str):
            given[field.name] = value = parse_size(value)
        if value is None:
            given[field.name] = value = () if field.is_needed and field.takes_many else field.default
        if reason := wrong_with(field, value):
            raise UsageError(reason)
    return verb(**given)


def _done(client: "Client", verb: Verb[Any]) -> Any:
    if not verb.counts:
        return client.do(verb)
    from vertui.progress import tallied

    with tallied(client) as key:
        return client.do(verb, key)


def _executed(client: "Client", verb: Planned[Any], plan: Plan) -> Operation:
    if not verb.counts:
        return client.execute(plan)
    from vertui.progress import tallied

    with tallied(client) as key:
        return client.execute(plan, key)


def _tell(answer: object, *, json: bool) -> None:
    (say_json if json else say)(answer)
    check(answer)


def _planned(verb: Planned[Any], *, json: bool, yes: bool, dry_run: bool) -> None:
    if not verb.asks and not dry_run:
        _tell(_done(connect(), verb), json=json)
        return
    if json and not dry_run and not yes:
        raise UsageError("--json asks nothing: add --yes or --dry-run")
    client = connect()
    plan = client.plan(verb)
    if json:
        say_json(plan if dry_run else _executed(client, verb, plan))
        return
    show_plan(plan)
    if not dry_run:
        if not yes:
            agree(plan)
        say_done(plan, _executed(client, verb, plan))


def _several(verb: type[Verb[Any]], /, *, json: bool, **given: Any) -> None:
    everything, named = given.pop(EVERYTHING, False), given.pop(verb.each) or ()
    check_named(name_of(verb), named, everything)

    def made(name: str) -> Verb[Any]:
        verb_: Verb[Any] = _made(verb, **given, **{verb.each: name})
        return verb_

    for name in named:
        made(name)
    client = connect()
    wanted = list(_every(client.tree(), made)) if everything else distinct(client, named)
    if not wanted and not json:
        print(f"there is nothing to {name_of(verb)}")
    answers: list[object] = []

    def one(name: str) -> None:
        try:
            answers.append(_done(client, made(name)))
        except VertuiError as error:
            answers.append(Refused(name, error.kind, str(error)))
            raise
        if not json:
            say(answers[-1])
        check(answers[-1])

    try:
        each(wanted, one)
    finally:
        if json and (answers or everything):
            say_json(answers if everything or len(wanted) > 1 else answers[0])


def _every(tree: Tree, made: Callable[[str], Verb[Any]]) -> Iterable[str]:
    """The branches that are meant by all."""
    shown = Shown(tree)
    return (branch.name for branch in tree.branches if made(branch.name).is_meant(shown))


# -- what typer is told --------------------------------------------------------------------------------------


def _parameters(verb: type[Verb[Any]]) -> Iterator[Parameter]:
    seen = (field for field in fields_of(verb) if field.given.kind not in UNTYPED)
    for field in sorted(seen, key=lambda field: not field.is_argument):
        several = field.name == verb.each
        yield _parameter(field, several=several)
        if several and field.given.kind is Kind.BRANCH:
            yield named(EVERYTHING, All)
    if issubclass(verb, Planned):
        yield from (named("yes", Yes),) if verb.asks else ()
        yield named("dry_run", DryRun)
    yield named("json", Json)


def named(name: str, annotation: Any, default: Any = False) -> Parameter:
    """A keyword of a command, of a type that typer is told."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameter(field: Asked, *, several: bool) -> Parameter:
    given = field.given
    needed = field.is_needed and not (several and given.kind is Kind.BRANCH)  # which may all be meant
    many, type_ = several or field.takes_many, _taken(field)
    told: dict[str, Any] = {
        "help": given.help,
        "show_default": given.default or not (field.is_needed or several),
    }
    if given.kind in NAMES:
        told["autocompletion"] = offer_names(given.kind)
    if type_ is not bool:
        told["metavar"] = f"{field.metavar}..." if many and field.is_argument else field.metavar
    if given.env:
        told["envvar"] = given.env
    default = Parameter.empty if needed else None if many or given.kind is Kind.SIZE else field.default
    made = typer.Argument(**told) if field.is_argument else typer.Option(*field.flags, **told)
    if many:
        type_ = list[type_] if needed else list[type_] | None  # type: ignore[valid-type]
    return named(field.name, Annotated[type_, made], default)


def _taken(field: Asked) -> Any:
    """What typer takes for a field, one of them where it takes many: bounds and choices are ours to check."""
    if field.given.kind is Kind.SIZE:
        return str | None
    return Union[tuple(str if get_origin(part) is Literal else part for part in field.types)]  # noqa: UP007


def _help(verb: type[Verb[Any]]) -> str:
    title = "Example" if len(verb.examples) == 1 else "Examples"
    examples = "\n".join(f"  {example}" for example in verb.examples)
    return f"{help_of(verb)}\n\n\b\n{title}:\n{examples}"
