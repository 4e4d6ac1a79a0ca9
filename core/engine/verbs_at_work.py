"""The verbs that are being carried out, and the plans of those that are not yet."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.engine.change import Draft
from core.image.recipe import Recipe
from core.model import Image


@dataclass
class Building:
    """The image build that is going on: the name, recipe and accelerator that were asked for, its task, and what tells
    how far it is.
    """

    wanted: tuple[str, Recipe, str | None]
    task: asyncio.Task[Image]
    tell: Callable[[], None] = lambda: None


@dataclass
class VerbsAtWork:
    """By their request ids; lives on the event loop. `ended` is called whenever one has ended."""

    ended: Callable[[], None]
    asked: dict[str, str] = field(default_factory=dict)
    """Which verb each request asks for."""
    answers: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    """What they will be answered."""
    building: Building | None = None
    plans: dict[str, Draft] = field(default_factory=dict)
    """By the plans' ids: shown, and neither carried out nor refused."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who changes what others may change too."""
    since: float = field(default_factory=time.time)
    """When the daemon began to take them."""
    _worked: float = 0.0  # monotonic, when the last one ended

    @contextmanager
    def working(self, request_id: str, asked: str) -> Iterator[None]:
        """A verb at work: the pool is not refilled meanwhile."""
        self.asked[request_id] = asked
        try:
            yield
        finally:
            self.asked.pop(request_id, None)
            self._worked = time.monotonic()
            self.ended()

    def quiet_s(self) -> float:
        """How long no verb has been at work; a build does not count, it takes minutes."""
        building = 1 if self.building is not None else 0
        return 0.0 if len(self.asked) > building else time.monotonic() - self._worked
