"""step.py SEED STEPS: take random steps downhill from where the last ones led, and print how low that is.

The function is Rosenbrock's, of six numbers: a bent valley with 0 at (1, 1, 1, 1, 1, 1).
"""

import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).with_name("here.json")


def height(point):
    return sum(100 * (after - one * one) ** 2 + (1 - one) ** 2 for one, after in zip(point, point[1:]))


def descend(point, size, dice, steps):
    """Where so many steps lead, and how large they are by then: what helps makes them larger, what does not smaller."""
    lowest = height(point)
    for _ in range(steps):
        there = [one + dice.gauss(0, size) for one in point]
        if (found := height(there)) < lowest:
            point, lowest, size = there, found, size * 1.5
        else:
            size = max(size * 0.9, 1e-6)
    return point, size


if __name__ == "__main__":
    point, size = json.loads(HERE.read_text()) if HERE.exists() else ([-1.0] * 6, 0.5)
    dice = random.Random(
        f"{sys.argv[1]} {point}"
    )  # other steps in each round, the same whenever it is run again
    point, size = descend(point, size, dice, int(sys.argv[2]))
    HERE.write_text(json.dumps([point, size]))
    print(height(point))
