"""How a selection and a form make verbs: which fields the selection gives, what is asked, and what that means."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.model import Commit
from core.verbs.base import NODES, Asked, Entry, Kind, Verb, command_line, fields_of
from core.verbs.bounds import may_be, typed_size, wrong_with
from core.verbs.shown import Shown
from vertui.selection import Node, Selection, ref_of
from vertui.sizes import parse_size
from vertui.text import short
from vertui.variants import lines_of

YES, NO = ("y", "yes"), ("", "n", "no")


@dataclass(frozen=True)
class Question:
    """A field that a form asks for, and the answer it begins with."""

    field: Asked
    answer: str

    def wrong(self, text: str) -> str:
        """Why an answer is none; empty when it is one."""
        try:
            value = meant(self.field, text)
        except UsageError as error:
            told = self.field.given.kind is Kind.LINES or bool in self.field.types
            return str(error) if told else may_be(self.field)
        except ValueError:
            return may_be(self.field)
        return wrong_with(self.field, value).partition(": ")[2]


def questions(verb: type[Verb[Any]], selection: Selection) -> list[Question]:
    """What the selection does not tell. A name that is taken is not suggested."""
    suggested = dict(verb.screen.suggests) if isinstance(verb.screen, Entry) else {}
    found = []
    for field in _left(verb):
        answer = suggested.get(field.name, "" if field.is_needed else _text(field))
        if field.given.kind is Kind.NAME and answer in Shown(selection.tree).branches:
            answer = ""
        found.append(Question(field, answer))
    return found


def made(verb: type[Verb[Any]], selection: Selection, answers: dict[str, str]) -> list[Verb[Any]]:
    """The verbs for a selection, with what a form was told."""
    asked = {field.name: field for field in fields_of(verb)}
    given = {name: meant(asked[name], text) for name, text in answers.items()}
    return [verb(**target, **given) for target in _targets(verb, selection.targets)]


def refuse(verb: type[Verb[Any]], selection: Selection) -> str | None:
    """Why a verb cannot be done to these nodes, whatever a form would be told; that they are too many is not looked at
    (`takes_one`).
    """
    if (field := _node_field(verb)) and (reason := _unfit(field, selection)):
        return reason
    shown = Shown(selection.tree)
    given = {
        field.name: _stand_in(field, shown) for field in _left(verb) if field.is_needed or _names_new(field)
    }
    refusals = (verb(**target, **given).refuse(shown) for target in _targets(verb, selection.targets))
    return next(filter(None, refusals), None)


def command(verb: type[Verb[Any]], selection: Selection) -> str:
    """The command line, or one a target, that does the same; what a form would ask for stands in capitals."""
    given = {field.name: field.metavar for field in _left(verb) if field.is_needed}
    if isinstance(verb.screen, Entry):
        given |= dict(verb.screen.suggests)
    return " && ".join(command_line(verb(**target, **given)) for target in _targets(verb, selection.targets))


def takes_nodes(verb: type[Verb[Any]]) -> bool:
    """Is it done to what is selected?"""
    return _node_field(verb) is not None


def takes_one(verb: type[Verb[Any]]) -> bool:
    """Is it done to one of what is selected, and never to several?"""
    field = _node_field(verb)
    several = verb.each or (isinstance(verb.screen, Entry) and verb.screen.several)
    return field is not None and not field.takes_many and not several


def subject(verb: Verb[Any]) -> str:
    """What a verb is done to, or what it makes."""
    fields = fields_of(type(verb))
    field = _node_field(type(verb)) or next((one for one in fields if one.given.kind is Kind.NAME), None)
    value = getattr(verb, field.name) if field else ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _node_field(verb: type[Verb[Any]]) -> Asked | None:
    """The field that the selection gives."""
    return next((field for field in fields_of(verb) if field.given.kind in NODES), None)


def _left(verb: type[Verb[Any]]) -> Iterator[Asked]:
    """The fields that a form asks for."""
    node = _node_field(verb)
    variant = verb.screen.variant if isinstance(verb.screen, Entry) else None
    for field in fields_of(verb):
        if not field.given.rare and field != node and field.name != (variant or ("",))[0]:
            yield field


def _targets(verb: type[Verb[Any]], nodes: tuple[Node, ...]) -> list[dict[str, Any]]:
    """What the selection gives to each verb to be made."""
    field = _node_field(verb)
    if field is None:
        return [{}]
    refs = tuple(map(ref_of, nodes))
    return [{field.name: refs}] if field.takes_many else [{field.name: ref} for ref in refs]


def _unfit(field: Asked, selection: Selection) -> str | None:
    """Why the selection's nodes are not what the verb is for."""
    if not selection.targets:
        return "nothing is selected"
    for node in selection.targets:
        if field.given.kind is Kind.BRANCH and isinstance(node, Commit):
            return f"{short(node.id)} is a commit, not a branch"
    return None


def meant(field: Asked, text: str) -> Any:
    """The value that a typed text is; UsageError or ValueError for one that is none."""
    text, types = text.strip(), field.types
    if field.given.kind is Kind.LINES:
        return lines_of(Path(text.removeprefix("@"))) if text else ()
    if field.takes_many:
        return tuple(text.split())
    if bool in types:
        if text.lower() not in YES + NO:
            raise UsageError("y or n")
        return text.lower() in YES
    if not text and (type(None) in types or not field.is_needed):
        return field.default
    if field.given.kind is Kind.SIZE:
        return parse_size(text)
    return int(text) if int in types else float(text) if float in types else text


def _text(field: Asked) -> str:
    """A field's default as it is typed."""
    value = field.default
    if field.given.kind is Kind.SIZE:
        return typed_size(value)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None or isinstance(value, bool) else str(value)


def _names_new(field: Asked) -> bool:
    return field.given.kind is Kind.NAME


def _stand_in(field: Asked, shown: Shown) -> Any:
    """A value that no rule can mind, for a field that has not been asked for."""
    if _names_new(field):
        return next(name for name in (f"x{number}" for number in range(10_000)) if name not in shown.branches)
    if field.takes_many:
        return ()
    return field.bounds.ge or 1 if int in field.types or float in field.types else "x"
