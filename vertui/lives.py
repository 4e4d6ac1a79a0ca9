"""What branches did of late, gathered from the trees as they come: pure but for the clock that it is given.

Of each machine the last measurements, as bars; whether it printed something or ended since it was looked at; and which
nodes another tree shows differently, so that they can be drawn so for a moment. What did not change costs nothing.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from core.commands import LastCommand
from core.model import Branch, Tree
from vertui.guest_text import clean
from vertui.selection import NOTHING, key_of
from vertui.text import printable

SAMPLES = 6  # bars of a machine
BARS = "▁▂▃▄▅▆▇█"
LEAST_CHANGED = 64 << 10  # bytes between two measurements for the second bar; each further one is twice that
MOST_PULSES = 64  # nodes that change at once: more are another tree, and nobody could follow
OF_WORK = ("score", "bar", "exit")  # columns of what somebody gave or did
Seen = tuple[int, int, int | None]


@dataclass
class Life:
    """One branch's last measurements: `cpu` in percent of a core, `changed` in bytes since the measurement before.
    `read` is how far its newest command was looked at.
    """

    branch: Branch
    read: Seen | None
    cpu: deque[int] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    changed: deque[int] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    @property
    def unread(self) -> bool:
        """Has it printed something, or ended, since it was looked at?"""
        return _seen(self.branch.last) != self.read

    def measure(self, branch: Branch) -> None:
        """Take in what is known now."""
        before, self.branch = self.branch, branch
        if branch.pid is None:
            self.cpu.clear()
            self.changed.clear()
        elif _measured(branch) != _measured(before):
            self.cpu.append(branch.cpu_percent)
            if before.pid == branch.pid:
                self.changed.append(max(0, branch.changed_bytes - before.changed_bytes))


class Lives:
    """The lives of all branches of a tree."""

    def __init__(self) -> None:
        self._lives: dict[str, Life] = {}
        self._tree = NOTHING
        self.scores: tuple[float, float] | None = None  # the least and the best
        self.empty: tuple[str, ...] = OF_WORK  # columns in which no branch has anything

    def follow(self, tree: Tree) -> set[str]:
        """Take another tree in; the keys of the nodes that it shows differently in more than measurements."""
        before, self._tree = self._tree, tree
        changed = {key_of(branch) for branch in self._followed(tree.branches)}
        if _newest(tree) != _newest(before):
            known = {commit.id for commit in before.commits}
            changed |= {key_of(commit) for commit in tree.commits if commit.id not in known}
        if len(self._lives) > len(tree.branches):
            there = {branch.id for branch in tree.branches}
            self._lives = {id: life for id, life in self._lives.items() if id in there}
        return set() if before is NOTHING or len(changed) > MOST_PULSES else changed

    def of(self, branch: Branch) -> Life | None:
        """The life of a branch; None for one that no tree had."""
        return self._lives.get(branch.id)

    def read(self, branch: Branch) -> bool:
        """It is being looked at; whether there was anything unread."""
        life = self._lives.get(branch.id)
        unread = life is not None and life.unread
        if life is not None:
            life.read = _seen(life.branch.last)
        return unread

    def next_unread(self, branches: Iterable[Branch], here: str) -> Branch | None:
        """Of these branches in their order, the first unread one behind the one with that id, around the end."""
        order = list(branches)
        place = next((place for place, branch in enumerate(order) if branch.id == here), -1)
        found = (branch for branch in order[place + 1 :] + order[: place + 1] if self._is_unread(branch))
        return next(found, None)

    def _is_unread(self, branch: Branch) -> bool:
        life = self._lives.get(branch.id)
        return life is not None and life.unread

    def _followed(self, branches: Iterable[Branch]) -> Iterator[Branch]:
        """The branches that are new or do something else than before."""
        scores, worked = [], False
        for branch in branches:
            worked = worked or branch.last is not None
            if branch.score is not None:
                scores.append(branch.score)
            life = self._lives.get(branch.id)
            if life is None:
                self._lives[branch.id] = life = Life(branch, _seen(branch.last))
                if branch.pid is not None:
                    life.cpu.append(branch.cpu_percent)
                yield branch
            elif life.branch is not branch:
                other = _told(life.branch) != _told(branch)
                life.measure(branch)
                if other:
                    yield branch
        self.scores = (min(scores), max(scores)) if scores else None
        self.empty = (() if scores else OF_WORK[:2]) + (() if worked else OF_WORK[2:])


def _newest(tree: Tree) -> tuple[int, str]:
    """Another one with each commit that is added. To look through ten thousand at each that is only tagged costs."""
    return len(tree.commits), tree.commits[-1].id if tree.commits else ""


def _seen(last: LastCommand | None) -> Seen | None:
    return (last.id, last.printed_bytes, last.exit_code) if last else None


def _measured(branch: Branch) -> tuple[int, ...]:
    """All alike are the same look, told again; or nothing happened."""
    return branch.cpu_percent, branch.changed_bytes, branch.memory_bytes, branch.disk_bytes


def _told(branch: Branch) -> tuple[object, ...]:
    """What is worth a moment's notice."""
    last = (branch.last.id, branch.last.exit_code) if branch.last else None
    return branch.name, branch.state, branch.reason, branch.pid, branch.head, branch.trunk, branch.score, last


def cpu_bars(life: Life) -> str:
    """How busy it was, of one core."""
    return "".join(BARS[min(percent * len(BARS) // 100, len(BARS) - 1)] for percent in life.cpu)


def changed_bars(life: Life) -> str:
    """How much memory it changed: each bar twice what the one below it stands for."""
    return "".join(BARS[min((size // LEAST_CHANGED).bit_length(), len(BARS) - 1)] for size in life.changed)


def score_bar(score: float, scores: tuple[float, float], cells: int) -> str:
    """A score between nothing, or the least where that is below, and the best."""
    low, best = min(0.0, scores[0]), scores[1]
    share = (score - low) / (best - low) if best > low else 1.0
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return f"{'█' * full}{('', *'▏▎▍▌▋▊▉')[rest]}"


def said(last: LastCommand) -> str:
    """The last line of its output; without any, the command itself."""
    return clean(last.line).strip() or printable(last.words)
