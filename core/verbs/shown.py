"""What `ls` shows, as the rules of verbs ask it: of a tree that the daemon sent, or in the daemon, of its catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from core.errors import NotFound, VertuiError
from core.inward import PublishedPort
from core.model import Branch, Commit, Image, Tree
from core.refs import CRASH, TRUNK, Ref, no_commit, no_crash, resolve
from core.verbs.refusal import Refusal


class Shown:
    """A tree as the daemon sent it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    @property
    def trunk(self) -> str | None:
        """The trunk's name."""
        return self._tree.trunk

    @cached_property
    def branches(self) -> Mapping[str, Branch]:
        """By name, oldest first."""
        return {branch.name: branch for branch in self._tree.branches}

    @property
    def heads(self) -> Mapping[str, str]:
        """The commits that branches stand on, by their names."""
        return {branch.name: branch.head for branch in self.branches.values()}

    @property
    def images(self) -> Sequence[Image]:
        """Oldest first."""
        return self._tree.images

    @property
    def commits(self) -> Sequence[Commit]:
        """Those outside the trash, each with its nearest kept ancestors as its parents."""
        return self._tree.commits

    @property
    def ports(self) -> Sequence[PublishedPort]:
        """The published ports, oldest first."""
        return self._tree.ports

    def branch(self, name: str) -> Branch | None:
        """The branch of that name, `@trunk` being the trunk's."""
        return self.branches.get((self.trunk or "") if name == TRUNK else name)

    def commit(self, ref: str) -> Commit | Refusal:
        """The commit that a REF names now, a branch standing for its head; or why it names none."""
        found = self._resolved(ref)
        if isinstance(found, Refusal):
            return found
        if found.crash:
            return _refused(no_commit(found.branch or ""))
        there = next((commit for commit in self.commits if commit.id == found.commit), None)
        return there or Refusal(f"commit {found.commit[:12]} is in the trash", NotFound)

    def with_crash(self, ref: str) -> Branch | Refusal | None:
        """The branch whose crash disk a REF names, or why there is none; None when it names something else."""
        if not ref.endswith(CRASH):
            return None
        found = self._resolved(ref)
        if isinstance(found, Refusal):
            return found
        branch = self.branches[found.branch or ""]
        return branch if branch.crash else _refused(no_crash(branch.name))

    def _resolved(self, ref: str) -> Ref | Refusal:
        try:
            return resolve(ref, self.commits, self.heads, self.trunk)
        except VertuiError as error:
            return _refused(error)

    def origin(self, ref: str) -> str:
        """The REF that a diff of one REF compares with: a branch's fork point or image, a commit's parent, the commit
        that a crash disk comes from.
        """
        left = self.with_crash(ref)
        if isinstance(left, Refusal):
            raise left.error()
        if left and left.crash:
            return left.crash.head
        branch = self.branch(ref)
        if branch is None:
            base, tilde, steps = ref.rpartition("~")
            return (
                f"{base}~{int(steps) + 1}" if tilde and steps.isdecimal() and len(steps) < 7 else f"{ref}~1"
            )
        goldens = (image.golden for image in self.images if branch.image in (image.id, image.name))
        if found := branch.parent or next(goldens, None):
            return found
        raise NotFound(f"{branch.name} comes from no commit that is still here: name two REFs")


def _refused(error: VertuiError) -> Refusal:
    return Refusal(str(error), type(error))
