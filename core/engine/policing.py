"""Policy: when a branch is committed by itself, said and shown with what that costs."""

import time
from collections.abc import Iterable, Sequence

from core.checkpoints import CheckpointPolicy, Policed, Price, Trigger
from core.engine import marks
from core.engine.change import Change
from core.engine.checkpoints import policy_of
from core.engine.context import Engine
from core.engine.thinning import made_by_itself
from core.model import Commit

LOOKED_AT = 50  # of a branch's newest commits
LEAST_S = 60.0  # after which their number tells how many there are an hour
HOUR_S = 3600.0


async def change(engine: Engine, request_id: str, name: str, policy: CheckpointPolicy | None) -> None:
    """Have a branch committed by itself as this says from now on, with None as the home says."""
    row = engine.branch(name)
    changed = Change(policies={row.id: policy})
    await marks.changed(engine, request_id, "policy", f"policy of {row.name}", changed)


def policed(engine: Engine, name: str) -> Policed:
    """The policy that a branch has, and its price."""
    row = engine.branch(name)
    made = [c for c in made_by_itself(engine, row) if c.checkpoint is not Trigger.SUSPEND][:LOOKED_AT]
    price = price_of(made, engine.acting.of(row.id).commits, time.time(), engine.verbs.since)
    return Policed(row.name, policy_of(engine, row), row.policy is not None, price)


def price_of(made: Sequence[Commit], times: Iterable[float], now: float, started: float) -> Price:
    """Of the commits that were made by themselves and are kept. How many there are in an hour tell the `times` at which
    any was made since the daemon `started`.
    """
    since = max(started, now - HOUR_S)
    an_hour = sum(at > since for at in times) * HOUR_S / max(LEAST_S, now - since)
    count = max(1, len(made))
    felt_ms = sum(commit.felt_pause_ms for commit in made) / count
    stored = sum(commit.stored_bytes for commit in made) // count
    return Price(len(made), round(felt_ms, 2), stored, round(an_hour, 1))
