"""How far an image build is, in words."""

import math

from core.progress import BuildProgress

ROUND_S = 5  # the time left is told in steps of so many seconds: nobody foretells it better


def place_of(progress: BuildProgress) -> str:
    """Which step of how many."""
    return f"step {progress.number} of {progress.steps}"


def left_of(progress: BuildProgress) -> str:
    """How long it will take yet, and on what that rests if on nothing much."""
    seconds = max(1, math.ceil(progress.left_s / ROUND_S)) * ROUND_S
    left = f"{seconds} s" if seconds < 60 else f"{math.ceil(seconds / 60)} min"
    return f"some {left} left, a first guess" if progress.guessed else f"about {left} left"
