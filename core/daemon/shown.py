"""What `ls` shows, read from the catalog as far as a verb's rule asks for it."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from core.engine.context import Engine
from core.inward import PublishedPort
from core.model import Branch, Commit, Image
from core.verbs.shown import Shown


class EngineShown(Shown):
    """The tree as rules see it: without what machines take, which costs more than it tells."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def trunk(self) -> str | None:
        """The trunk's name."""
        return self._engine.catalog.name_of(self._engine.catalog.setting("trunk"))

    @cached_property
    def branches(self) -> Mapping[str, Branch]:
        """By name, oldest first."""
        return {row.name: row.shown() for row in self._engine.catalog.branches()}

    @cached_property
    def images(self) -> Sequence[Image]:
        """Oldest first."""
        return self._engine.catalog.images()

    @cached_property
    def commits(self) -> Sequence[Commit]:
        """Those outside the trash, each with its nearest kept ancestors as its parents."""
        return self._engine.commits()

    @cached_property
    def ports(self) -> Sequence[PublishedPort]:
        """The published ports, oldest first."""
        return self._engine.ports.shown()
