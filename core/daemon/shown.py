"""What `ls` shows, read from the catalog as far as a verb's rule asks for it."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from msgspec.structs import replace

from core.engine import links
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
        linked = links.shown(self._engine)
        rows = self._engine.catalog.branches()
        return {row.name: replace(row.shown(), links=linked.get(row.id, ())) for row in rows}

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
        return self._engine.tasks.ports.shown()
