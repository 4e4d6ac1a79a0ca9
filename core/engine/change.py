"""What verbs change, as a value: the same for doing, undoing and doing again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from core.model import BranchState, Plan


class Judgement(NamedTuple):
    """What is written on a branch."""

    score: float | None
    note: str


class Was(NamedTuple):
    """The state that a branch had, and why."""

    state: BranchState
    reason: str


@dataclass(frozen=True)
class Change:
    """What to change; branches and commits by id. `trunk` is None for "as it is", "" for none at all.

    `back` takes a branch's machine to a commit in place: same name, network and address. The branch then runs, or is
    what `states` says, and so is one that `restore` takes out of the trash. `lead` gives branches that started from one
    commit another as their head: what they have changed since counts as not committed, as it did before the first was
    made to keep it.
    """

    trunk: str | None = None
    prune: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    heads: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    scores: dict[str, Judgement] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pause: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    back: dict[str, str] = field(default_factory=dict)
    states: dict[str, Was] = field(default_factory=dict)
    lead: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A plan as the engine keeps it: what is shown, and what carries it out. That answers with what takes it back,
    None when nothing does, and raises Conflict when it would be another plan by now.
    """

    plan: Plan
    carry_out: Callable[[], Awaitable[Change | None]]
