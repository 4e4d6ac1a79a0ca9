"""Deadlines on a host slower than any they were chosen on: VERTUI_SLOW=20 makes each twenty times as long.

It is read once, when a process starts: a daemon keeps what it was started with.
"""

import os

from core.errors import UsageError

SLOW = "VERTUI_SLOW"
SLOWEST = 1000.0


def patient(deadline_s: float) -> float:
    """How long to wait here for what should take `deadline_s` at most."""
    return deadline_s * _FACTOR


def check_slow() -> None:
    """UsageError when VERTUI_SLOW is no factor; processes that never ask go by 1 then."""
    if _factor(os.environ.get(SLOW)) is None:
        raise UsageError(f"{SLOW}={os.environ[SLOW][:40]} is no factor: a number from 1 to {SLOWEST:g}")


def _factor(text: str | None) -> float | None:
    try:
        factor = float(text or 1)
    except ValueError:
        return None
    return factor if 1 <= factor <= SLOWEST else None


_FACTOR = _factor(os.environ.get(SLOW)) or 1.0
