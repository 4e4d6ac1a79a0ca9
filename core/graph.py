"""Questions about the commit graph, asked through networkx. Edges point from parent to child."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from core.errors import Ambiguous, NotFound, UsageError
from core.model import HEX, SHORTEST_PREFIX, Commit

REF = re.compile(r"(?P<name>@trunk|[a-z0-9][a-z0-9-]*)(?:~(?P<back>\d{1,6}))?")


@dataclass(frozen=True)
class Ref:
    """What a REF names: a commit, and the branch when it was named by branch and without `~`."""

    commit: str
    branch: str | None = None


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
        found: set[str] = set()
        for head in heads:
            if head not in found:
                found |= self.ancestors(head)
        return found

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

    def back(self, commit: str, steps: int) -> str:
        """The commit `steps` first parents before."""
        for _ in range(steps):
            parents = self._commits[commit].parents if commit in self._commits else ()
            if not parents:
                raise NotFound(f"commit {commit[:12]} has no ancestor that far back")
            commit = parents[0]
        return commit


def kept(commits: Sequence[Commit], deleted: Sequence[Commit]) -> list[tuple[Commit, tuple[str, ...]]]:
    """Each kept commit with its nearest kept ancestors: what the tree shows as its parents."""
    gone = {commit.id: commit.parents for commit in deleted}
    return [(commit, _nearest(commit.parents, gone)) for commit in commits]


def _nearest(parents: tuple[str, ...], gone: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: list[str] = []
    waiting = list(reversed(parents))
    while waiting:
        parent = waiting.pop()
        if parent in gone:
            waiting.extend(reversed(gone[parent]))
        elif parent not in found:
            found.append(parent)
    return tuple(found)


def resolve(text: str, commits: Sequence[Commit], heads: Mapping[str, str], trunk: str | None) -> Ref:
    """What a REF means: branch name, `@trunk`, tag, commit id prefix, each with `~N`. `heads` are by branch name."""
    match = REF.fullmatch(text)
    if not match:
        raise UsageError(
            f"'{text[:40]}' is no REF: give a branch, @trunk, a tag or a commit id, maybe with ~N"
        )
    name = match["name"]
    if name == "@trunk":
        if trunk is None:
            raise NotFound("there is no trunk yet: run `vertui up`")
        name = trunk
    steps = int(match["back"] or 0)
    if name in heads:
        branch = None if match["back"] else name
        return Ref(Graph(commits).back(heads[name], steps) if steps else heads[name], branch)
    return Ref(Graph(commits).back(_commit(name, commits), steps))


def _commit(name: str, commits: Sequence[Commit]) -> str:
    tagged = [commit.id for commit in commits if name in commit.tags]
    if tagged:
        return tagged[-1]
    if not HEX.fullmatch(name):
        raise NotFound(f"no branch or tag '{name}': `vertui ls` lists what there is")
    if len(name) < SHORTEST_PREFIX:
        raise UsageError(f"'{name}' is too short for a commit id: give at least {SHORTEST_PREFIX} digits")
    found = [commit.id for commit in commits if commit.id.startswith(name)]
    if not found:
        raise NotFound(f"no commit {name[:12]}: `vertui tree` shows those there are")
    if len(found) > 1:
        raise Ambiguous(
            f"{name} may be any of {', '.join(commit[:12] for commit in found[:8])}: give more digits"
        )
    return found[0]
