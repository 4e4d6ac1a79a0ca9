"""What a node changed since what it came from: the question, and the answers that are known. Pure."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from core.model import Branch, BranchState, Commit, CommitState
from vertui.selection import Node, parent_of

MOST_PATHS = 16  # of which answers are kept: each letter of one that is typed is another


class Since(NamedTuple):
    """From the commit `before` to the REF `after`, at `path` and below, or everywhere. A branch's `stamp` is another
    once it has another head, or another of its commands has begun or ended.
    """

    before: str
    after: str
    stamp: Hashable = None
    path: str = ""


def since(node: Node, path: str = "", *, past: bool = False) -> Since | None:
    """What is to be asked of a node; None where there is nothing to compare. Of a branch of the past it is its head of
    then: its disk of then is no more.
    """
    parent = parent_of(node)
    if parent is None or not _comparable(node):
        return None
    if isinstance(node, Commit):
        return Since(parent, node.id, None, path)
    return Since(parent, node.head if past else node.name, _stamp(node, past), path)


def _comparable(node: Node) -> bool:
    if isinstance(node, Commit):
        return bool(node.parents) and node.state is not CommitState.GONE
    return node.state is not BranchState.STARTING


def _stamp(branch: Branch, past: bool) -> Hashable:
    if past:
        return branch.id, branch.head
    last = (branch.last.id, branch.last.exit_code) if branch.last else None
    return branch.id, branch.head, branch.state, last


@dataclass
class Differing:
    """Which nodes differ at which paths. `wanted` are those that were asked about and nobody knows of, in the order in
    which they were, since it was emptied. Thousands are asked about at each letter of a filter. `past`: nodes are as
    they were.
    """

    past: bool = False
    wanted: list[tuple[str, Node]] = field(default_factory=list)
    _known: dict[str, dict[Hashable, bool]] = field(default_factory=dict)  # by path, and by node

    def of(self, path: str, node: Node) -> bool | None:
        """Does it? None while nobody knows; no where nobody can say."""
        if not _comparable(node):
            return False
        key = node.id if isinstance(node, Commit) else _stamp(node, self.past)
        known = self._known.get(path)
        if known is None or (answer := known.get(key)) is None:
            self.wanted.append((path, node))
            return None
        return answer

    def questions(self) -> Iterator[Since]:
        """What is to be asked for all that is wanted."""
        wanted: Iterable[tuple[str, Node]] = self.wanted
        return (
            question for path, node in wanted if (question := since(node, path, past=self.past)) is not None
        )

    def learn(self, answers: Mapping[Since, bool | None]) -> None:
        """Keep answers, of the paths that were asked about last."""
        for question, answer in answers.items():
            self._known.setdefault(question.path, {})[question.stamp or question.after] = answer or False
        for path in list(self._known)[:-MOST_PATHS]:
            del self._known[path]
