"""What branches did since they were last captured, as far as the engine saw it: the signs by which commits are made by
themselves (`core.engine.checkpoints`).

A sign is a number that grows; a capture has seen all up to the number that was there when it began. Nothing here waits
and nothing costs a branch that does nothing.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MOST_TIMES = 3600  # of commits: more an hour than there can be


@dataclass
class Signs:
    """Of one branch: the newest sign; the newest that something was done, and when that came; the one that the last
    capture had seen, and when it was done first after that (monotonic both); when that capture began (Unix time); the
    newest signs that a command has ended and that an agent waits; and when it was committed by itself (Unix time).
    """

    newest: int = 0
    acted: int = 0
    at: float = 0.0
    captured: int = 0
    captured_at: float = 0.0
    changed_at: float = -math.inf
    ended: int = 0
    waits: int = 0
    commits: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_TIMES))

    @property
    def changed(self) -> bool:
        """Has anything been done since the last capture?"""
        return self.acted > self.captured


@dataclass
class Acting:
    """The signs of all branches, by their ids. To be used on the engine's loop."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with each sign."""
    named: set[str] = field(default_factory=set)
    """The branches whose signs are news; whoever takes note of them empties it."""
    thinned: int = 0
    """Commits that were thinned out, and whose room was not freed yet."""
    _signs: dict[str, Signs] = field(default_factory=dict)
    _apart: set[str] = field(default_factory=set)

    def of(self, branch: str) -> Signs:
        """A branch's signs."""
        return self._signs.setdefault(branch, Signs())

    def acts(self, branch: str) -> None:
        """Something was done in it."""
        signs = self.of(branch)
        now = time.monotonic()
        if not signs.changed:
            signs.changed_at = now
        signs.newest, signs.at = signs.newest + 1, now
        signs.acted = signs.newest
        self.tell(branch)

    @contextmanager
    def command(self, branch: str) -> Iterator[None]:
        """A command runs in it in the body."""
        self.acts(branch)
        try:
            yield
        finally:
            self.acts(branch)

    def ends(self, branch: str) -> None:
        """A command has ended in it."""
        self.acts(branch)
        signs = self.of(branch)
        signs.ended = signs.newest

    def waits(self, branch: str) -> None:
        """Its agent says that it waits. That does nothing to the branch."""
        signs = self.of(branch)
        signs.newest += 1
        signs.waits = signs.newest
        self.tell(branch)

    def tell(self, branch: str) -> None:
        """Have somebody look at it."""
        self.named.add(branch)
        self.heard.set()

    def captured(self, branch: str, seen: int, began: float) -> None:
        """It was captured, which `began` then (Unix time); what is known of it since sign `seen` is not in that."""
        signs = self.of(branch)
        signs.captured, signs.captured_at = max(signs.captured, seen), began
        signs.changed_at = signs.at if signs.changed else -math.inf

    def began_anew(self, branch: str) -> None:
        """Its machine is that of a commit."""
        signs = self.of(branch)
        signs.captured, signs.captured_at, signs.changed_at = signs.newest, time.time(), -math.inf

    def keep(self, branches: Collection[str]) -> None:
        """Those of all others are of branches that are no more."""
        self._signs = {branch: signs for branch, signs in self._signs.items() if branch in branches}

    @contextmanager
    def apart(self, branch: str) -> Iterator[None]:
        """No commit of it is made by itself in the body."""
        self._apart.add(branch)
        try:
            yield
        finally:
            self._apart.discard(branch)
            self.acts(branch)

    def is_apart(self, branch: str) -> bool:
        """May none be made now?"""
        return branch in self._apart
