"""Verbs as tools: the fields that a form would ask for are the schema, and what is wrong with one is told in a line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from core.codec import decode
from core.errors import UsageError
from core.verbs import load
from core.verbs.base import Asked, Kind, Planned, Verb, fields_of, help_of, identifier, name_of
from core.verbs.bounds import wrong
from vertui.mcp.desk import Desk, Report

Schema = dict[str, Any]  # JSON's, of 2020-12
Given = dict[str, Any]

CARRIED_OUT = (
    "up",
    "fork",
    "commit",
    "restore",
    "apply",
    "score",
    "pause",
    "resume",
    "undo",
    "journal append",
)
PLANNED = ("promote", "prune")
FOR_PEOPLE = frozenset(("egress", "publish"))
"""Fields that no agent is offered: they open ways out of a machine, and into it."""

DESTROYS = frozenset(("restore", "undo"))
THEN_CONFIRM = (
    "\n\nAnswers with the plan, exactly, and a token: `confirm` with that token carries it out, once."
)


@dataclass(frozen=True)
class AgentTool:
    """One tool. `run` gives an answer that JSON has; what it refuses it raises."""

    name: str
    description: str
    properties: Schema
    required: tuple[str, ...]
    run: Callable[[Desk, Given, Report], Awaitable[Any]]
    reads: bool = False
    destroys: bool = False

    @property
    def schema(self) -> Schema:
        """Of its arguments."""
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }

    def check(self, given: Given) -> None:
        """UsageError for an argument that there is not, or that is needed and missing."""
        if unknown := next((name for name in given if name not in self.properties), None):
            raise UsageError(f"{self.name} takes no '{unknown[:40]}': give {', '.join(self.properties)}")
        if missing := next((name for name in self.required if name not in given), None):
            raise UsageError(f"{self.name} needs '{missing}': {self.properties[missing]['description']}")


def of_verb(name: str) -> AgentTool:
    """A verb that is carried out at once."""
    verb = load(name)

    async def run(desk: Desk, given: Given, report: Report) -> Any:
        return await desk.carried_out(_made(verb, given), report)

    return _tool(verb, run, help_of(verb), destroys=name in DESTROYS)


def of_planned(name: str) -> AgentTool:
    """A verb whose plan is shown first."""
    verb: Any = load(name)

    async def run(desk: Desk, given: Given, report: Report) -> Any:
        planned: Planned[Any] = _made(verb, given)
        return await desk.planned(planned)

    return _tool(verb, run, help_of(verb) + THEN_CONFIRM, destroys=False)


def _tool(verb: type[Verb[Any]], run: Any, description: str, *, destroys: bool) -> AgentTool:
    offered = [field for field in fields_of(verb) if _is_offered(field)]
    properties = {field.name: _schema(field) for field in offered}
    required = tuple(field.name for field in offered if field.is_needed)
    return AgentTool(identifier(name_of(verb)), description, properties, required, run, destroys=destroys)


def _is_offered(field: Asked) -> bool:
    return not (field.given.rare or field.given.kind is Kind.BROUGHT or field.name in FOR_PEOPLE)


def _schema(field: Asked) -> Schema:
    told: Schema = msgspec.json.schema(field.hint)
    told["description"] = field.given.help
    if not field.is_needed and field.default is not None:
        told["default"] = msgspec.to_builtins(field.default)
    return told


def _made(verb: type[Verb[Any]], given: Given) -> Any:
    """The verb with these fields; UsageError names one that is not what it may be."""
    if reason := wrong(verb, given):
        raise UsageError(f"{name_of(verb)}: {reason}")
    try:
        return decode(verb, given)
    except ValueError as error:
        raise UsageError(f"{name_of(verb)}: {error}") from error
