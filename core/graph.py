"""Questions about the commit graph, asked through networkx. Edges point from parent to child."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import networkx as nx
from msgspec.structs import replace

from core.model import Commit


class Graph:
    """The commits given, as a DAG; of a parent that is not among them nothing but its id is known (see `kept`)."""

    def __init__(self, commits: Iterable[Commit]) -> None:
        self._commits = {commit.id: commit for commit in commits}
        self._dag: Any = nx.DiGraph()
        self._dag.add_nodes_from(self._commits)
        self._dag.add_edges_from(
            (parent, commit.id) for commit in self._commits.values() for parent in commit.parents
        )

    def ancestors(self, commit: str) -> set[str]:
        """The commit and all it comes from."""
        return {commit, *nx.ancestors(self._dag, commit)} if commit in self._dag else {commit}

    def reachable(self, heads: Iterable[str]) -> set[str]:
        """All commits some head comes from, heads included."""
        reached: set[str] = set()
        for head in heads:
            if head not in reached:
                reached |= self.ancestors(head)
        return reached

    def merge_base(self, a: str, b: str) -> str | None:
        """The nearest commit both come from: the newest of their common ancestors."""
        common = [
            self._commits[commit]
            for commit in self.ancestors(a) & self.ancestors(b)
            if commit in self._commits
        ]
        return (
            max(common, key=lambda commit: (len(self.ancestors(commit.id)), commit.created)).id
            if common
            else None
        )

    def between(self, base: str, head: str) -> list[Commit]:
        """What `head` has and `base` lacks, oldest first."""
        missing = self.ancestors(head) - self.ancestors(base)
        return sorted(
            (self._commits[c] for c in missing if c in self._commits), key=lambda commit: commit.created
        )


def kept(commits: Sequence[Commit], deleted: Sequence[Commit]) -> list[Commit]:
    """Each kept commit with its nearest kept ancestors as its parents, as the tree shows it."""
    gone = {commit.id: commit.parents for commit in deleted}
    return [_shown(commit, gone) for commit in commits] if gone else [*commits]


def touched(
    ids: Collection[str], commits: Sequence[Commit], deleted: Sequence[Commit]
) -> tuple[list[Commit], list[str]]:
    """What the tree shows differently when the rows of these commits were written: kept commits with their nearest kept
    ancestors, and the ids of those that are not kept. Where one may have come into the trash, or left it, the kept
    commits that hang on it by way of others there are among them.
    """
    gone = {commit.id: commit.parents for commit in deleted}
    through = _below(ids, deleted)  # commits in the trash that come from one of these
    moved = through.union(ids)
    shown = [
        _shown(commit, gone) for commit in commits if commit.id in ids or not moved.isdisjoint(commit.parents)
    ]
    return shown, [*set(ids).difference(commit.id for commit in shown)]


def _below(ids: Collection[str], deleted: Sequence[Commit]) -> set[str]:
    """Of some commits those that come from one of `ids` by each other."""
    children: dict[str, list[str]] = {}
    for commit in deleted:
        for parent in commit.parents:
            children.setdefault(parent, []).append(commit.id)
    below: set[str] = set()
    waiting = list(ids)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in below:
                below.add(child)
                waiting.append(child)
    return below


def _shown(commit: Commit, gone: Mapping[str, tuple[str, ...]]) -> Commit:
    if gone.keys().isdisjoint(commit.parents):
        return commit
    return replace(commit, parents=_nearest(commit.parents, gone))


def _nearest(parents: tuple[str, ...], gone: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    nearest: list[str] = []
    waiting = list(reversed(parents))
    while waiting:
        parent = waiting.pop()
        if parent in gone:
            waiting.extend(reversed(gone[parent]))
        elif parent not in nearest:
            nearest.append(parent)
    return tuple(nearest)
