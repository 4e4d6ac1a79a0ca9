"""Journal append: what was said or done in a branch, written down for good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from core.codec import decode
from core.errors import UsageError
from core.journal.entry import EntryKind, JournalEntry, NewEntry
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import LONGEST_GIVEN, BranchName, Short, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

LONGEST_BODY = 1 << 20  # characters
MOST_LINES = 1000  # as many as a request that is sent again is known by
EntryKindName = Literal[
    "message", "tool_call", "tool_result", "exec", "commit", "fork", "promote", "note", "score", "wait"
]


class EntryLine(Struct, frozen=True):
    """A line of JSONL; what else it has is passed over, so that it may come from `journal export`."""

    body: str
    kind: EntryKindName | None = None
    author: Annotated[str, Meta(max_length=LONGEST_GIVEN)] | None = None


@dataclass(frozen=True)
class Append(Verb[JournalEntry]):
    """Append to a branch's journal: an entry, all of standard input, or with --jsonl an entry a line.

    Answers once all is on disk, with the last entry. It takes a million characters, or a thousand lines: objects with
    "body", and "kind" and "author" where they are others than asked for.

    A journal only grows: no verb changes or removes an entry, `undo` neither. It goes into the trash with its branch,
    and comes back with it. A fork's children go on from their parent's entries. `exec`, `commit`, `fork`, `score`,
    `promote` and `restore` write an entry by themselves. --kind wait says that the agent waits, for a person or for a
    model: a policy may commit its branch then.
    """

    branch: BranchName
    body: Annotated[str, Given("What was said or done.", kind=Kind.INPUT), Meta(max_length=LONGEST_BODY)]
    kind: Annotated[
        EntryKindName,
        Given("message, tool_call, tool_result, note, wait; or exec, commit, fork, promote, score.", "KIND"),
    ] = "message"
    author: Annotated[str, Given("Who says or did it.", env="VERTUI_AUTHOR"), Short] = ""
    lines: Annotated[bool, Given("Each line is an entry, as JSON.", flags=("--jsonl",))] = False

    examples: ClassVar = (
        "vertui journal append b2 --author planner < answer.txt",
        "vertui journal append b2 --kind tool_call --author planner < call.json",
        "vertui journal append b2 --jsonl < session.jsonl",
    )
    screen: ClassVar = Absent("programs write it, from their output")

    def refuse(self, shown: Shown) -> Refusal | None:
        return None if shown.branch(self.branch) else no_branch(shown, self.branch)

    async def carry_out(self, engine: Engine, request_id: str) -> JournalEntry:
        row = engine.branch(self.branch)
        wanted = [
            NewEntry(kind, body, author, row.head, f"{request_id}.{number}" if number else request_id)
            for number, (kind, body, author) in enumerate(self._said())
        ]
        made = await engine.journals.append(row.id, wanted)
        if any(new.kind == EntryKind.WAIT for new in wanted):
            engine.acting.waits(row.id)
        return made

    def _said(self) -> list[tuple[str, str, str]]:
        """Kind, body and author of each entry; UsageError when there is none, or one cannot be read."""
        if not self.lines:
            return [(self.kind, self.body, self.author)]
        said: list[tuple[str, str, str]] = [
            (line.kind or self.kind, line.body, self.author if line.author is None else line.author)
            for line in map(_read, _numbered(self.body))
        ]
        if not 0 < len(said) <= MOST_LINES:
            raise UsageError(f"--jsonl takes 1 to {MOST_LINES} lines at once, these are {len(said)}")
        return said


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number."""
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _read(numbered: tuple[int, str]) -> EntryLine:
    number, line = numbered
    try:
        told: Any = json.loads(line)
        return decode(EntryLine, told)
    except (ValueError, RecursionError) as error:
        raise UsageError(f'line {number} is no entry: {error}; write {{"body": "…"}}') from error
