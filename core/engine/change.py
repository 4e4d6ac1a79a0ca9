"""What verbs change, as a value: the same for doing, undoing and doing again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from core.checkpoints import CheckpointPolicy
from core.links import LinkRow
from core.model import BranchState, Plan
from core.ports import PortRow
from core.reach import Reach


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
    """What to change; branches and commits are named by id. `trunk` is None for "as it is", "" for none at all. Trunk
    and heads are moved from `trunk_from` and `heads_from`, as far as these are known, and from nowhere else.

    `back` takes a branch's machine to a commit in place: name, network and address stay. Afterwards the branch runs, or
    is what `states` says; so does a branch that `restore` takes out of the trash. `lead` maps branches to the head they
    get once they have started. They started from a commit that was made only to keep their state; with the head from
    before, what they had changed counts as not committed again. `keep` are commits that do not go into the trash with
    the branches of `prune` or with what `back` saved, nor does what they come from: they were outside it before.
    `suspend` are machines that are committed and ended, `wake` branches that were suspended so and start again, as what
    `states` says. `idle` is after how many seconds of nothing branches are suspended by themselves.
    `publish` are ports as they were, to be open again as far as their host ports are free; `unpublish` ports by id;
    `link` and `unlink` are links likewise.
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
    reaches: dict[str, Reach] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    policies: dict[str, CheckpointPolicy | None] = field(default_factory=dict)
    pause: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    suspend: tuple[str, ...] = ()
    wake: tuple[str, ...] = ()
    idle: dict[str, int] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    states: dict[str, Was] = field(default_factory=dict)
    lead: dict[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    publish: tuple[PortRow, ...] = ()
    unpublish: tuple[str, ...] = ()
    link: tuple[LinkRow, ...] = ()
    unlink: tuple[str, ...] = ()
    trunk_from: str | None = None
    heads_from: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A plan as the engine keeps it: what is shown, the function that carries it out, and what the log says of that.
    That function returns the inverse, or None when there is none, and raises Conflict when the plan would be another
    one by now.
    """

    plan: Plan
    carry_out: Callable[[], Awaitable[Change | None]]
    summary: str
