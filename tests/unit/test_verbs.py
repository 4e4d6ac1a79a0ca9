"""Every verb, as a value: what is derived of it is there, whole, and means the same everywhere."""

import shlex
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codec import decode, encode
from core.model import Tree
from core.verbs import all_verbs, load, names
from core.verbs.base import (
    Absent,
    Asked,
    Entry,
    Kind,
    Planned,
    Verb,
    answer_of,
    command_line,
    fields_of,
    help_of,
    name_of,
    path_of,
)
from core.verbs.bounds import wrong
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown
from tests.ui.trees import DEMO, EMPTY
from vertui.actions import ACTIONS
from vertui.commands.group import app
from vertui.derived import READ, command_of

VERBS = tuple(all_verbs())
IDS = [name_of(verb) for verb in VERBS]
each_verb = pytest.mark.parametrize("verb", VERBS, ids=IDS)


def value_of(field: Asked) -> st.SearchStrategy[Any]:
    """Values that a field may have."""
    if field.given.kind is Kind.NAME:
        one: st.SearchStrategy[Any] = st.sampled_from(["b1", "try", "x-1"])
    elif field.given.kind is Kind.SECRET:
        one = st.sampled_from(["TOKEN", "_x1"])
    else:
        one = st.one_of(*(_of_type(type_, field) for type_ in field.types))
    return st.lists(one, min_size=1, max_size=3).map(tuple) if field.takes_many else one


def _of_type(type_: Any, field: Asked) -> st.SearchStrategy[Any]:
    if get_origin(type_) is not None:
        return st.sampled_from(get_args(type_))
    if type_ is int:
        return st.integers(int(field.bounds.ge or 0), int(field.bounds.le or 1000))
    if type_ is float:
        least, most = field.bounds.gt, field.bounds.le
        beyond = least is not None
        least = least if beyond else field.bounds.ge
        return st.floats(least, most, exclude_min=beyond, allow_nan=False, allow_infinity=False)
    if type_ is bool:
        return st.booleans()
    if type_ is not str:
        return st.none()
    least, most = field.bounds.min_length or 0, min(field.bounds.max_length or 20, 20)
    return st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=least, max_size=most)


def made(verb: type[Verb[Any]]) -> st.SearchStrategy[Verb[Any]]:
    """Requests of a verb."""
    return st.builds(verb, **{field.name: value_of(field) for field in fields_of(verb)})


@each_verb
def test_a_verb_says_what_it_is(verb: type[Verb[Any]]) -> None:
    assert help_of(verb).endswith(".") and load(name_of(verb)) is verb
    assert verb.examples and all(shlex.split(one)[: len(name_of(verb).split()) + 1] for one in verb.examples)
    assert all(one.startswith(f"vertui {name_of(verb)}") or " && vertui " in one for one in verb.examples)
    assert isinstance(verb.screen, Entry) or (isinstance(verb.screen, Absent) and verb.screen.reason)
    assert answer_of(verb) is not None and path_of(verb) == f"/v1/{name_of(verb).replace(' ', '/')}"
    assert all(field.given.help.endswith(".") for field in fields_of(verb))
    msgspec.json.schema_components([verb, answer_of(verb)])


def test_no_key_is_given_twice_and_every_place_is_taken() -> None:
    assert len({action.key for action in ACTIONS}) == len(ACTIONS)
    keys = {verb.screen.key for verb in VERBS if isinstance(verb.screen, Entry)}
    assert keys <= {action.key for action in ACTIONS}


@each_verb
def test_a_request_comes_through_as_it_was_made(verb: type[Verb[Any]]) -> None:
    @settings(deadline=None)
    @given(made(verb))
    def comes_through(request: Verb[Any]) -> None:
        assert decode(verb, encode(request)) == request
        assert wrong(verb, encode(request)) == ""

    comes_through()


@each_verb
def test_its_command_line_asks_for_the_same(verb: type[Verb[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What "copy as command" gives is read by the command that is made of the same value."""
    import typer

    asked: list[Verb[Any]] = []

    def carry(client: object, request: Verb[Any]) -> None:
        asked.append(request)

    class Listening:
        """Takes requests instead of a client."""

        def do(self, request: Verb[Any], key: str | None = None) -> None:
            asked.append(request)

        def plan(self, request: Planned[Any]) -> None:
            asked.append(request)
            raise typer.Exit

        def tree(self) -> Tree:
            return DEMO

    monkeypatch.delenv("VERTUI_MIRRORS")
    monkeypatch.setattr("vertui.derived.connect", Listening)
    typed: dict[str, str] = {}
    monkeypatch.setattr("vertui.derived.READ", dict.fromkeys(READ, typed.get))
    monkeypatch.setattr("vertui.derived.say", lambda answer: None)
    monkeypatch.setattr("vertui.several.TRUNK", "")
    group = typer.Typer()
    group.command("it", context_settings={"ignore_unknown_options": True})(command_of(name_of(verb), carry))
    group.callback()(lambda: None)
    command = typer.main.get_command(group)

    @settings(deadline=None)
    @given(made(verb))
    def the_same(request: Verb[Any]) -> None:
        request = _typeable(request)
        words = shlex.split(command_line(request))[1 + len(name_of(verb).split()) :]
        asked.clear()
        typed.update({field.name: getattr(request, field.name) for field in fields_of(verb)})
        command.main(["it", *words], standalone_mode=False)
        assert asked == [request], words

    the_same()


def _typeable(request: Verb[Any]) -> Verb[Any]:
    """The request without what no command line can say: an argument that reads as an option, or is empty."""
    for field in fields_of(type(request)):
        value = getattr(request, field.name)
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(text, str) and (text.startswith("-") or not text.strip()) for text in texts):
            good = ("x",) if field.takes_many else "x" if field.is_needed else field.default
            request = replace(request, **{field.name: good})  # type: ignore[type-var]
    return request


def _good(field: Asked) -> Any:
    choices = [get_args(one) for one in field.types if get_origin(one) is Literal]
    return choices[0][0] if choices else "x" if str in field.types else 1


@each_verb
def test_what_is_wrong_names_the_field(verb: type[Verb[Any]]) -> None:
    good: dict[str, Any] = {
        field.name: ["x"] if field.takes_many else _good(field)
        for field in fields_of(verb)
        if field.is_needed
    }
    for field in fields_of(verb):
        bad = good | {field.name: {"odd": 1}}
        assert wrong(verb, bad).startswith(f"{field.name}: ")
        with pytest.raises(ValueError, match=field.name):
            decode(verb, bad)
    for name in good:
        lacking = {key: value for key, value in good.items() if key != name}
        assert wrong(verb, lacking).startswith(f"{name}: it is needed")


@each_verb
def test_a_refusal_names_a_way(verb: type[Verb[Any]]) -> None:
    """Whatever is asked of whatever tree: nothing, or a reason."""
    branches = st.sampled_from([branch.name for branch in DEMO.branches] + ["@trunk", "nobody", "main~1"])

    @settings(deadline=None)
    @given(made(verb), branches, st.sampled_from([DEMO, EMPTY]))
    def refused(request: Verb[Any], name: str, tree: Tree) -> None:
        for field in fields_of(verb):
            if field.given.kind in (Kind.BRANCH, Kind.REF, Kind.COMMIT):
                request = replace(request, **{field.name: (name,) if field.takes_many else name})  # type: ignore[type-var]
        refusal = request.refuse(Shown(tree))
        assert refusal is None or (isinstance(refusal, Refusal) and len(refusal) > 5)

    refused()


def test_the_command_line_has_every_verb() -> None:
    import typer

    group = typer.main.get_group(app)
    with group.make_context("vertui", [], resilient_parsing=True) as context:
        listed = set(group.list_commands(context))
        for name in names():
            first, _, rest = name.partition(" ")
            command = group.get_command(context, first)
            assert first in listed and command
            assert not rest or rest in command.commands  # type: ignore[attr-defined]
