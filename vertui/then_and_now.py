"""A tree as it was beside the tree as it is: what came since, what went, what is otherwise. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from core.model import Branch, Commit, Tree
from core.reach import in_words
from vertui.selection import Node, key_of
from vertui.text import number, short

WENT, MOVED, CAME = "−", "≠", "+"


@dataclass(frozen=True)
class ThenAndNow:
    """From `then` to `now`. What `trash` has, by id, went there, and can come back; all else that went is gone."""

    then: Tree
    now: Tree
    trash: frozenset[str] = frozenset()

    @cached_property
    def came(self) -> tuple[Branch, ...]:
        """Branches that were not there."""
        there = {branch.id for branch in self.then.branches}
        return tuple(branch for branch in self.now.branches if branch.id not in there)

    @cached_property
    def went(self) -> tuple[Branch, ...]:
        """Branches that are there no more, as they were."""
        return tuple(branch for branch in self.then.branches if branch.id not in self.branches)

    @cached_property
    def moved(self) -> tuple[tuple[Branch, Branch], ...]:
        """Those that are otherwise now: as they were, and as they are."""
        both = ((branch, self.branches.get(branch.id)) for branch in self.then.branches)
        return tuple((was, now) for was, now in both if now and any(unlike(was, now)))

    @cached_property
    def commits_came(self) -> tuple[Commit, ...]:
        """Commits that were not there, newest first."""
        there = {commit.id for commit in self.then.commits}
        return tuple(commit for commit in reversed(self.now.commits) if commit.id not in there)

    @cached_property
    def commits_went(self) -> tuple[Commit, ...]:
        """Commits that are there no more, newest first."""
        return tuple(commit for commit in reversed(self.then.commits) if commit.id not in self.commits)

    @cached_property
    def branches(self) -> Mapping[str, Branch]:
        """Those of now, by their ids."""
        return {branch.id: branch for branch in self.now.branches}

    @cached_property
    def commits(self) -> frozenset[str]:
        """The ids of those of now."""
        return frozenset(commit.id for commit in self.now.commits)

    @cached_property
    def gone(self) -> frozenset[str]:
        """The ids of all that is there no more."""
        nodes: tuple[Node, ...] = (*self.went, *self.commits_went)
        return frozenset(node.id for node in nodes)

    @cached_property
    def marks(self) -> Mapping[str, str]:
        """A sign for each node of then that is otherwise now, by its key."""
        nodes: tuple[Node, ...] = (*self.went, *self.commits_went)
        went = dict.fromkeys(map(key_of, nodes), WENT)
        return went | {key_of(was): MOVED for was, _ in self.moved}

    @property
    def summary(self) -> str:
        """How many of each, in a few words."""
        branches = _counted({CAME: self.came, WENT: self.went, MOVED: self.moved})
        commits = _counted({CAME: self.commits_came, WENT: self.commits_went})
        parts = (f"branches {branches}" if branches else "", f"commits {commits}" if commits else "")
        return ", ".join(filter(None, parts)) or "all is as it was"

    def fate(self, node: Node) -> str:
        """What became of a node of then, in words; empty when it is as it was."""
        if isinstance(node, Commit):
            return "" if node.id in self.commits else self._where(node)
        now = self.branches.get(node.id)
        return self._where(node) if now is None else ", ".join(unlike(node, now))

    def _where(self, node: Node) -> str:
        return "in the trash" if node.id in self.trash else "gone for good"


def _counted(parts: Mapping[str, Sequence[object]]) -> str:
    return " ".join(f"{sign}{len(nodes)}" for sign, nodes in parts.items() if nodes)


def unlike(was: Branch, now: Branch) -> Iterator[str]:
    """What of a branch is otherwise, a word or two each; nothing of what a machine takes."""
    if was is now:
        return
    if was.name != now.name:
        yield f"called {now.name}"
    if was.state != now.state:
        yield f"{was.state} → {now.state}"
    if was.head != now.head:
        yield f"head {short(was.head)} → {short(now.head)}"
    if was.trunk != now.trunk:
        yield "the trunk" if now.trunk else "the trunk no more"
    if was.score != now.score:
        yield f"score {number(was.score) or 'none'} → {number(now.score) or 'none'}"
    if was.note != now.note:
        yield "another note"
    if was.egress != now.egress:
        yield f"reaches {in_words(now.egress)}"
    if was.weight != now.weight:
        yield f"weight {was.weight} → {now.weight}"
    if was.idle_s != now.idle_s:
        yield f"suspended when idle for {now.idle_s} s" if now.idle_s else "suspended by itself no more"
    if was.links != now.links:
        yield f"linked with {' '.join(now.links) or 'none'}"
