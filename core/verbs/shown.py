"""The tree that `ls` shows, as verbs' rules ask it."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from core.errors import VertuiError
from core.graph import resolve
from core.model import Branch, Commit, Image, Tree


class TreeShown:
    """A tree as the daemon sent it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    @property
    def trunk(self) -> str | None:
        """The trunk's name."""
        return self._tree.trunk

    @cached_property
    def branches(self) -> Mapping[str, Branch]:
        """By name."""
        return {branch.name: branch for branch in self._tree.branches}

    @property
    def images(self) -> Sequence[Image]:
        """Oldest first."""
        return self._tree.images

    @property
    def commits(self) -> Sequence[Commit]:
        """Those outside the trash."""
        return self._tree.commits

    def branch(self, name: str) -> Branch | None:
        """The branch of that name, `@trunk` being the trunk's."""
        return self.branches.get((self.trunk or "") if name == "@trunk" else name)

    def commit(self, ref: str) -> Commit | None:
        """The commit that a REF names."""
        heads = {branch.name: branch.head for branch in self._tree.branches}
        try:
            found = resolve(ref, self.commits, heads, self.trunk).commit
        except VertuiError:
            return None
        return next((commit for commit in self.commits if commit.id == found), None)
