"""Swarms of a program's: of a command, or of a function of its own that is called with each branch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from core.daemon.endpoint import own
from core.errors import Conflict
from vertui.swarm import record as records
from vertui.swarm.hands import Hands
from vertui.swarm.playing import finish, play
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.spec import make_spec
from vertui.swarm.steps import SilentBoard

if TYPE_CHECKING:
    from core.daemon.client import Client
    from vertui.swarm.work import Called


class SwarmAsked(TypedDict, total=False):
    """What a swarm is to be, as the options of `vertui swarm run` and the fields of a spec are called."""

    base: str
    n: int
    variants: Sequence[str]
    files: dict[str, str]
    prepare: str
    egress: Sequence[str]
    secrets: Sequence[str]
    timeout: float
    within: float
    memory: int
    at_once: int
    score: str
    lowest: bool
    target: float
    stop: Literal["best", "first"]
    rounds: int
    beam: int
    bandit: bool
    crossed: int
    cost: str
    cost_limit: float
    cost_limit_each: float
    diffs: bool
    losers: Literal["keep", "pause", "suspend", "prune"]
    promote: bool
    rebase: bool


def swarm(client: Client, name: str, asked: SwarmAsked, command: str, call: Called | None) -> SwarmOutcome:
    """Play one to its end, of a command or else of a function; see `SyncVertui.swarm`."""
    work = {"called": _told(call)} if call else {"command": command} if command else {}
    spec = make_spec({**asked, **work}, "swarm", Path())
    home, board, hands = own(client.endpoint), SilentBoard(), Hands(client)
    begun = records.begun(home, name)
    try:
        with records.go_on(home, name) if begun else records.begin(home, name, spec) as record:
            if record.spec != spec:
                raise Conflict(f"there is a swarm {name}, and it is of something else: give another name")
            outcome = play(record, hands, board, call=call)
            return finish(record, hands, board, lambda plan: None) or outcome
    finally:
        hands.close()


def _told(call: Called) -> str:
    """Which function it is, for who looks at the swarm's record."""
    return f"{call.__module__}.{getattr(call, '__qualname__', type(call).__name__)}"
