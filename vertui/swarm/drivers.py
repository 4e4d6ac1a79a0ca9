"""Swarms that a Python function plays: `def drive(swarm, base): …` in a file. It is given a `Swarm` of
`vertui.swarm.steps`, and the name of a branch of its own: a fork of the swarm's base, with its files in it.

It is played from its beginning whenever the swarm is gone on with, so it must decide by what its steps answered alone:
not by the time, by chance, nor by what it reads elsewhere. What it returns is the swarm's answer, or a `SwarmOutcome`
with a winner.
"""

import traceback
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from core.errors import UsageError, VertuiError
from vertui.swarm.beginning import SwarmOrigin, make_ready
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.steps import Swarm

DRIVE = "drive"
Driver = Callable[[Swarm, str], object]


def play_driver(swarm: Swarm, drive: Driver | None = None) -> SwarmOutcome:
    """What a driver answers: the one of the spec, or a function. An error of its own is a VertuiError that names where
    it happened.
    """
    drive = drive or driver_of(swarm.record.spec.driver, swarm.name)
    ready = make_ready(swarm, own=True)
    try:
        answer = drive(swarm, ready.branch)
    except VertuiError:
        raise
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{at.name} in line {at.lineno}"
        raise VertuiError(f"the driver failed, {where}: {type(error).__name__}: {error}") from error
    origin = swarm.record.answer("origin", SwarmOrigin)
    if isinstance(answer, SwarmOutcome):
        return replace(answer, origin=origin.commit if origin else "")
    return SwarmOutcome(origin=origin.commit if origin else "", answer="" if answer is None else str(answer))


def driver_of(text: str, name: str) -> Driver:
    """The function that a driver's text defines. UsageError where it does not."""
    found: dict[str, Any] = {"__name__": f"swarm {name}"}
    try:
        exec(compile(text, f"swarm {name}", "exec"), found)
    except Exception as error:
        raise UsageError(f"the driver of {name} cannot be read: {type(error).__name__}: {error}") from error
    drive: Driver | None = found.get(DRIVE)
    if not callable(drive):
        raise UsageError(f"the driver of {name} defines no function {DRIVE}(swarm, base)")
    return drive
