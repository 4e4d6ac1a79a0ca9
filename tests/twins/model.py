"""What the tree, the trunk, names, the trash and undo are to be, whatever verbs come in whatever order. No engine.

A step that can be undone is the world before and after it: undo takes back exactly what differs between the two, redo
does exactly that again. What is shown no more is in the trash, until somebody removes it for good.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from core.checkpoints import CheckpointPolicy

T = TypeVar("T")
MADE_BRANCHES = (
    "fork",
    "up",
)  # steps that go back with their branches, and take along what nothing else needs


@dataclass(frozen=True)
class Branch:
    """As in the catalog; `score` is with its note, `ports` are the published ones of the guest."""

    name: str
    image: str
    head: str
    parent: str | None
    parent_branch: str | None
    fork: int | None
    state: str
    score: tuple[float | None, str] = (None, "")
    ports: frozenset[str] = frozenset()
    egress: str = "off"
    weight: int = 100
    policy: CheckpointPolicy | None = None


@dataclass(frozen=True)
class Commit:
    """As in the catalog, its parents as they were made."""

    parents: tuple[str, ...]
    branch: str
    image: str
    message: str
    quiesced: bool
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """Branches and commits by id, the trunk's id, the published ports that are no branch's own: @trunk's, and which
    branches are linked, also those in the trash.
    """

    branches: dict[str, Branch] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    trunk: str | None = None
    ports: frozenset[str] = frozenset()
    links: frozenset[frozenset[str]] = frozenset()

    def having(self, branches: dict[str, Branch], commits: dict[str, Commit] | None = None) -> "World":
        """With these as well, or instead."""
        return replace(self, branches=self.branches | branches, commits=self.commits | (commits or {}))

    def lacking(self, ids: Collection[str]) -> "World":
        """Without these."""
        branches = {id: branch for id, branch in self.branches.items() if id not in ids}
        commits = {id: commit for id, commit in self.commits.items() if id not in ids}
        trunk = None if self.trunk in ids else self.trunk
        return World(branches, commits, trunk, self.ports, self.links)

    def ancestors(self, commit: str, beside: dict[str, Commit]) -> set[str]:
        """The commit and all it comes from, through others `beside` those shown."""
        known, found, waiting = self.commits | beside, set[str](), [commit]
        while waiting:
            if (one := waiting.pop()) not in found:
                found.add(one)
                waiting += known[one].parents if one in known else ()
        return found


@dataclass
class Step:
    """What undo takes back. It may be refused once something it needs `may_be_gone`: since then machines of these
    branches have ended or begun by themselves, or something was removed for good.
    """

    verb: str
    before: World
    after: World
    ended: set[str] = field(default_factory=set)
    may_be_gone: bool = False

    @property
    def changed(self) -> set[str]:
        """Branches that it left otherwise."""
        return {id for id, one in self.before.branches.items() if self.after.branches.get(id) != one}

    def take_along(self, went: World, *, back: bool) -> None:
        """These went with it, some made or moved since by what stays: as they are now they come back with it."""
        if back:
            self.after = self.after.having(went.branches, went.commits | self.after.commits)
        else:
            self.before = self.before.having(went.branches, went.commits | self.before.commits)


class Model:
    """The world as it is to be shown, the trash with when each came there, and the steps."""

    def __init__(self, world: World, goldens: Iterable[str]) -> None:
        self.world, self.trash = world, World()
        self.goldens = set(goldens)
        self.binned: dict[str, int] = {}
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self.gone: set[str] = set()

    def become(self, world: World, verb: str = "", *, before: World | None = None) -> None:
        """Show another world; as a step if a verb is named."""
        if verb:
            self.done.append(Step(verb, before or self.world, world))
            self.undone.clear()
        now = max(self.binned.values(), default=0) + 1
        left = self.world.branches.keys() - world.branches | self.world.commits.keys() - world.commits
        self.binned |= dict.fromkeys(left, now)
        all_ = self.trash.having(self.world.branches, self.world.commits)
        left_over = all_.lacking({*world.branches, *world.commits})
        self.trash = World(left_over.branches, left_over.commits)
        self.world = world

    def orphans(self, without: Collection[str], world: World | None = None) -> set[str]:
        """The commits shown that only these branches need."""
        return self._needed((), world or self.world) - self._needed(without, world or self.world)

    def remove(self, ids: Collection[str]) -> None:
        """For good: children of commits hang on what those came from."""
        parents = {i: c.parents for i, c in {**self.world.commits, **self.trash.commits}.items()}
        links = frozenset(link for link in self.world.links if link.isdisjoint(ids))

        def left(world: World) -> World:  # another one: steps have the one there was
            kept = world.lacking(ids)
            hung = {
                key: replace(commit, parents=tuple(_beyond(commit.parents, ids, parents)))
                for key, commit in kept.commits.items()
            }
            return replace(kept, commits=hung)

        self.world, self.trash = replace(left(self.world), links=links), left(self.trash)
        self.gone |= set(ids)
        for step in (*self.done, *self.undone):
            step.may_be_gone = True

    def ended(self, branch: str) -> None:
        """A branch's machine ended, or began, and that is no step."""
        for step in (*self.done, *self.undone):
            step.ended.add(branch)

    def turned(self, step: Step, *, back: bool) -> World:
        """The world with a step taken back, or made again. Heads and trunks that moved on since stay where they are."""
        a, b = (step.after, step.before) if back else (step.before, step.after)
        goes = a.branches.keys() - b.branches
        world = self.world.having(_turned_all(self.world.branches, a.branches, b.branches))
        commits = self.orphans(goes, world) - b.commits.keys() if goes else set()
        if step.verb not in MADE_BRANCHES:
            commits |= a.commits.keys() - b.commits
        world = world.lacking(goes | commits)
        known = self.trash.commits | self.world.commits
        shown = {k: known.get(k, b.commits[k]) for k in b.commits.keys() - a.commits}
        world = world.having({k: b.branches[k] for k in b.branches.keys() - a.branches}, shown)
        world = world.having({}, _turned_all(world.commits, a.commits, b.commits))
        ports = b.ports if a.ports != b.ports else world.ports
        links = world.links - (a.links - b.links) | (b.links - a.links)
        moves = a.trunk != b.trunk and self.world.trunk in (a.trunk, None)
        trunk = b.trunk if moves else world.trunk
        return replace(world, trunk=trunk, ports=ports, links=links)

    def shown_parents(self, commit: str) -> tuple[str, ...]:
        """The nearest ancestors that are shown."""
        parents = {i: c.parents for i, c in self.trash.commits.items()}
        return tuple(_beyond(self.world.commits[commit].parents, self.trash.commits, parents))

    def _needed(self, without: Collection[str], world: World) -> set[str]:
        roots = {b.head for id, b in world.branches.items() if id not in without} | self.goldens
        roots |= {id for id, commit in world.commits.items() if commit.tags}
        found = [world.ancestors(root, self.trash.commits) for root in roots]
        return set().union(*found) & world.commits.keys()


def _turned_all(now: dict[str, T], a: dict[str, T], b: dict[str, T]) -> dict[str, T]:
    """What differs between two values of one id, in the present one."""
    return {key: _turned(now[key], a[key], b[key]) for key in now if key in a and key in b}


def _turned(now: T, a: T, b: T) -> T:
    pairs = {f.name: (getattr(a, f.name), getattr(b, f.name)) for f in fields(b)}  # type: ignore[arg-type]
    stays = {"head"} if getattr(now, "head", None) != getattr(a, "head", None) else set()
    new = {name: new for name, (old, new) in pairs.items() if old != new and name not in stays}
    return replace(now, **new)  # type: ignore[type-var]


def _beyond(parents: Iterable[str], over: Collection[str], known: dict[str, tuple[str, ...]]) -> list[str]:
    """Parents, or for those that are passed over theirs."""
    found: dict[str, None] = {}
    for parent in parents:
        found |= dict.fromkeys(_beyond(known[parent], over, known) if parent in over else [parent])
    return list(found)
