"""Every verb from its value to the screen: a place with key, help and command, what of a selection it honours, and that
nothing that changes anything is to be had where the screen may only look.
"""

import shlex
import tempfile
from contextlib import suppress
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from core.daemon.client import Client
from core.errors import VertuiError
from core.home import find_home
from core.verbs import all_verbs
from core.verbs.base import Absent, Entry, Kind, Planned, Verb, command_line, fields_of, identifier, name_of
from tests.stand_in import standing_in
from tests.ui.trees import DEMO
from vertui import asking
from vertui.actions import (
    ACTIONS,
    BY_ID,
    DERIVED,
    GROUPS,
    OF_THE_PAST,
    READ_ONLY,
    Action,
    as_it_was,
    give_keys,
    group_of,
)
from vertui.cli import main
from vertui.commands.group import app
from vertui.selection import NOTHING, Selection

ENTRIES = [verb for verb in all_verbs() if isinstance(verb.screen, Entry)]
LOOKING = {
    "watch", "board", "diff", "open", "images", "log", "journal", "trash", "mark", "range", "unmark", "filter", "trunk",
    "parent", "child", "next_sibling", "previous_sibling", "best", "letters", "fold", "fold_all", "sort", "turn",
    "freeze", "scroll", "view", "menu", "copy", "palette", "themes", "picture", "help", "quit",
    "unread", "words", "tour", "earlier", "later", "ssh", "swarms", "store", "secrets", "tokens",
}  # fmt: skip
"""What changes no machine: all else is a verb, or as one."""

NOT_SENT = {"image_build": "it follows the build's events, which nobody tells here"}
ANSWERS = {"name": "fresh", "score": "0.5", "ports": "3000", "message": "a 'word' of $it"}
PLACEHOLDERS = {"NUMBER": "0.5", "ID": "7", "CMD": "true"}


def branch(name: str) -> Any:
    return next(one for one in DEMO.branches if one.name == name)


def selection_of(verb: type[Verb[Any]]) -> Selection:
    """One of what it is for."""
    commits = any(field.given.kind is Kind.COMMIT for field in fields_of(verb))
    return Selection(DEMO, DEMO.commits[1] if commits else branch("b1"))


def test_every_verb_has_a_place_or_says_why_not() -> None:
    for verb in all_verbs():
        if isinstance(verb.screen, Absent):
            assert verb.screen.reason, verb
            continue
        action = BY_ID[identifier(name_of(verb))]
        assert action.key and action.label and action.help and action.changes
        assert action.command(selection_of(verb)).startswith(f"vertui {name_of(verb)}")
    assert len({action.key for action in ACTIONS}) == len(ACTIONS)


def test_every_action_is_in_one_group() -> None:
    named = [id for ids in GROUPS.values() for id in ids]
    assert len(named) == len({*named}) and {*named} <= {*BY_ID}
    assert all(group_of(action) in GROUPS for action in ACTIONS)
    assert {*BY_ID} - {*DERIVED} <= {*named}, "what is written by hand is put into its group by hand"


TWO = (branch("b1"), branch("b2"))
BOTH = Selection(DEMO, TWO[0], TWO)


@pytest.mark.parametrize(
    "action", [one for one in ACTIONS if one.changes or one.id == "watch"], ids=lambda one: one.id
)
def test_it_honours_what_is_marked_or_says_why_not(action: Action) -> None:
    verb = next((verb for verb in ENTRIES if identifier(name_of(verb)) == action.id), None)
    if action.id in ("start", "cancel_build", "verb_line") or (verb and not asking.takes_nodes(verb)):
        return  # what is selected is nothing to it
    reason, command = action.refuse(BOTH) or "", action.command(BOTH)
    assert "takes one, 2 are marked" in reason or ("b1" in command and "b2" in command)


def test_what_is_said_of_keys_is_true_of_those_that_were_moved() -> None:
    give_keys({"image_build": "f9", "unmark": "f10", "publish": "f11", "mark": "f12"})
    try:
        said = (
            BY_ID["cancel_build"].refuse(Selection(DEMO)), BY_ID["fork"].refuse(BOTH), BY_ID["shell"].refuse(BOTH),
            BY_ID["open"].refuse(Selection(DEMO, TWO[0])), BY_ID["diff"].refuse(Selection(DEMO, DEMO.commits[0])),
        )  # fmt: skip
        wanted = ("f9 builds", "f10 clears", "f10 clears", "f11 publishes", "with f12")
        assert all(key in (reason or "") for key, reason in zip(wanted, said, strict=True)), said
        assert "f10 leads back to now" in as_it_was()
    finally:
        give_keys({})


def test_nothing_that_changes_anything_is_to_be_had_where_one_may_only_look() -> None:
    assert {action.id for action in ACTIONS if not action.changes} == LOOKING > OF_THE_PAST
    for action in ACTIONS:
        for selection in (
            Selection(NOTHING, read_only=True), Selection(DEMO, TWO[0], read_only=True),
            Selection(DEMO, TWO[0], TWO, read_only=True),
        ):  # fmt: skip
            assert not action.changes or action.refuse(selection) == READ_ONLY, action.id
            assert action.changes or action.refuse(selection) != READ_ONLY, action.id


def parse(argv: list[str]) -> None:
    """Have the command line read it to its last word, and do nothing; a typer.TyperException says what is wrong."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("vertui", argv)
    while isinstance(command, TyperGroup):
        name, command, argv = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, argv, parent=context)


@pytest.mark.parametrize("action", [one for one in ACTIONS if one.command(BOTH)], ids=lambda one: one.id)
def test_what_is_copied_is_a_command(action: Action) -> None:
    verb = next((verb for verb in ENTRIES if identifier(name_of(verb)) == action.id), None)
    one = selection_of(verb) if verb else Selection(DEMO, TWO[0])
    for selection in (one, *(() if action.refuse(BOTH) else (BOTH,))):
        for command in action.command(selection).split(" && "):
            first, *argv = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)]
            assert first == "vertui"
            with suppress(typer.Exit):  # --help
                parse(argv)


@pytest.mark.parametrize("verb", ENTRIES, ids=name_of)
def test_a_form_copied_as_command_asks_for_the_same(
    verb: type[Verb[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if identifier(name_of(verb)) in NOT_SENT:
        return
    directory = tempfile.TemporaryDirectory(prefix="vertui-")  # a short way, as sockets need it
    monkeypatch.setenv("VERTUI_HOME", f"{directory.name}/home")
    monkeypatch.setenv("XDG_RUNTIME_DIR", directory.name)
    selection = selection_of(verb)
    asked = {
        one.field.name: ANSWERS.get(one.field.name, one.answer) for one in asking.questions(verb, selection)
    }
    [made] = asking.made(verb, selection, asked)
    bodies: list[bytes] = []
    with standing_in(find_home(), {}, bodies):
        client = Client(find_home(), starts=False)
        with suppress(VertuiError):
            client.plan(made) if isinstance(made, Planned) and made.asks else client.do(made)
        assert main(shlex.split(command_line(made))[1:]) != 0  # nobody answers
    directory.cleanup()
    assert len(bodies) == 2 and bodies[0] == bodies[1]
