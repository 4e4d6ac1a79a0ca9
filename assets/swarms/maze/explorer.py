"""explorer.py SIZE SEED: stand in a maze, and walk as told.

A way (n, e, s, w) that comes by one pipe is walked until it forks, ends or leads out, and another pipe tells which:
"on" with the ways that go on from there, "dead", or "out" with all that was walked. "look" walks nowhere.
"""

import random
import sys
from pathlib import Path

GO, TOLD = Path("/dev/shm/go"), Path("/dev/shm/told")
STEPS = {"n": (0, -1), "e": (1, 0), "s": (0, 1), "w": (-1, 0)}
BACK = {"n": "s", "e": "w", "s": "n", "w": "e"}
START, OUTS = (0, 0), 3


def step(cell, way):
    return cell[0] + STEPS[way][0], cell[1] + STEPS[way][1]


class Maze:
    """Cells, each with the ways that are open; there is one way between any two. Some dead ends lead out."""

    def __init__(self, size, seed):
        dice = random.Random(seed)
        self.ways = {(x, y): set() for x in range(size) for y in range(size)}
        group = {cell: cell for cell in self.ways}

        def root(cell):
            while group[cell] != cell:
                group[cell] = group[group[cell]]
                cell = group[cell]
            return cell

        walls = [(cell, way) for cell in self.ways for way in "es" if step(cell, way) in self.ways]
        dice.shuffle(walls)
        for cell, way in walls:
            there = step(cell, way)
            if root(cell) != root(there):
                group[root(cell)] = root(there)
                self.ways[cell].add(way)
                self.ways[there].add(BACK[way])
        ends = [cell for cell, ways in self.ways.items() if len(ways) == 1 and cell != START]
        self.outs = set(dice.sample(ends, OUTS))


class Explorer:
    """Where somebody stands, and how they came there."""

    def __init__(self, maze):
        self.maze, self.cell, self.walked = maze, START, ""

    def on(self):
        """The ways that do not lead back."""
        back = BACK[self.walked[-1]] if self.walked else ""
        return "".join(sorted(self.maze.ways[self.cell] - {back}))

    def walk(self, way):
        """What the pipe tells."""
        while way:
            self.cell, self.walked = step(self.cell, way), self.walked + way
            if self.cell in self.maze.outs:
                return f"out {self.walked}"
            way = self.on() if len(self.on()) == 1 else ""
        return f"on {self.on()}" if self.on() else "dead"


def main():
    explorer = Explorer(Maze(int(sys.argv[1]), int(sys.argv[2])))
    while True:
        way = GO.read_text().strip()
        TOLD.write_text(explorer.walk("" if way == "look" else way) + "\n")


if __name__ == "__main__":
    main()
