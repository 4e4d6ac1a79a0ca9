"""What commits alone decide of a tree: by id, the first parent of each, how often each is one.

Mostly a commit is added or taken away, or changes without being linked otherwise, and ten thousand others are not
looked at again.
"""

from collections import Counter
from itertools import compress
from operator import is_not

from core.model import Commit

Commits = tuple[Commit, ...]


class Ancestry:
    """`parents` are "" for none, or one that is not shown; `uses` tell how often each is one. `firm` are the commits
    that have a tag, two parents or none. `touched` are the ids of which any of this is not as it was before, None
    where all may be otherwise.
    """

    nodes: dict[str, Commit]
    parents: dict[str, str]
    uses: dict[str, int]
    firm: set[str]
    touched: set[str] | None
    _missing: set[str]

    def __init__(self, commits: Commits, before: "Ancestry | None" = None) -> None:
        self._commits = commits
        found = before._changed(commits) if before else None
        if before is None or found is None:
            self._link_all(commits)
        else:
            self.touched = set()
            self._missing = before._missing
            self.nodes, self.parents, self.uses, self.firm = (
                before.nodes,
                before.parents,
                before.uses,
                before.firm,
            )
            if any(found):
                self._follow(*found)

    def _link_all(self, commits: Commits) -> None:
        self.touched = None
        self.nodes = {commit.id: commit for commit in commits}
        self.parents = {commit.id: _parent(commit) for commit in commits}
        self._missing = set(self.parents.values()) - self.nodes.keys() - {""}
        if self._missing:
            shown = self.nodes.keys() | {""}
            self.parents = {key: parent if parent in shown else "" for key, parent in self.parents.items()}
        self.uses = dict(Counter(self.parents.values()))
        self.firm = {commit.id for commit in commits if _is_firm(commit)}

    def _changed(self, commits: Commits) -> tuple[list[Commit], set[str]] | None:
        """Those that are new or not as they are here, and the ids of those that are gone; None where that is not all
        that is otherwise.
        """
        here = self._commits
        if commits is here:
            return [], set()
        places = [*compress(range(len(here)), map(is_not, here, commits))]
        if len(commits) >= len(here) and all(here[place].id == commits[place].id for place in places):
            changed, gone = [*map(commits.__getitem__, places), *commits[len(here) :]], set[str]()
        else:
            changed = [commit for commit in commits if self.nodes.get(commit.id) is not commit]
            gone = self.nodes.keys() - {commit.id for commit in commits}
        return None if self._is_linked_otherwise(changed, gone) else (changed, gone)

    def _is_linked_otherwise(self, changed: list[Commit], gone: set[str]) -> bool:
        """Is a commit that stays linked otherwise than here, or a new one so that others are for its sake?"""
        added = {commit.id for commit in changed if commit.id not in self.nodes}
        lost = Counter(self.parents[id] for id in gone)
        return (
            bool(added & self._missing)
            or any(self.uses.get(id, 0) > lost[id] for id in gone)
            or any(
                self.nodes[one.id].parents != one.parents if one.id in self.nodes
                else _parent(one) not in added and (_parent(one) not in self.nodes or _parent(one) in gone)
                for one in changed
            )
        )  # fmt: skip

    def _follow(self, changed: list[Commit], gone: set[str]) -> None:
        assert self.touched is not None
        self.nodes, self.parents = self.nodes.copy(), self.parents.copy()
        self.uses, self.firm = self.uses.copy(), self.firm - gone
        for id in gone:
            self.uses[parent := self.parents.pop(id)] -= 1
            self.touched |= {id, parent}
            del self.nodes[id]
        for commit in changed:
            if commit.id not in self.nodes:
                parent = _parent(commit)
                self.parents[commit.id] = parent
                self.uses[parent] = self.uses.get(parent, 0) + 1
                self.touched |= {commit.id, parent}
            if _is_firm(commit) != (commit.id in self.firm):
                self.firm ^= {commit.id}
                self.touched.add(commit.id)
            self.nodes[commit.id] = commit


def _parent(commit: Commit) -> str:
    return commit.parents[0] if commit.parents else ""


def _is_firm(commit: Commit) -> bool:
    return bool(commit.tags) or len(commit.parents) != 1
