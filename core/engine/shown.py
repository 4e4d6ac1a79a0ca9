"""What `ls` shows, read from the catalog as far as a verb's rule asks for it."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from core.engine.context import Engine
from core.errors import VertuiError
from core.model import Branch, Commit, Image


class EngineShown:
    """The tree as rules see it: without what machines take, which costs more than it tells."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def trunk(self) -> str | None:
        """The trunk's name."""
        trunk = self._engine.catalog.setting("trunk")
        return next((row.name for row in self._engine.catalog.branches() if row.id == trunk), None)

    @cached_property
    def branches(self) -> Mapping[str, Branch]:
        """By name."""
        return {row.name: row.shown() for row in self._engine.catalog.branches()}

    @cached_property
    def images(self) -> Sequence[Image]:
        """Oldest first."""
        return self._engine.catalog.images()

    @cached_property
    def commits(self) -> Sequence[Commit]:
        """Those outside the trash, each with its nearest kept ancestors as its parents."""
        return self._engine.commits()

    def branch(self, name: str) -> Branch | None:
        """The branch of that name."""
        if name == "@trunk":
            return self.branches.get(self.trunk or "")
        row = self._engine.catalog.named(name)
        return row.shown() if row else None

    def commit(self, ref: str) -> Commit | None:
        """The commit that a REF names now."""
        try:
            return self._engine.catalog.commit(self._engine.resolve(ref).commit)
        except VertuiError:
            return None
