"""How far work is, as whoever listens is told: in numbers, and of an image build in steps."""

from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")
SELDOM = 1000  # things between two words about them: of what takes microseconds

Told = Callable[[int, int], object]
"""Is told how many of how many are done, in any thread; of 0 where nobody knows how many there are."""


Begin = Callable[[str], Told]
"""Begins to count what words say: what is told of that from now on."""


def nobody(done: int, total: int) -> None:
    """Is told, and does not listen."""


def uncounted(what: str) -> Told:
    """Begins nothing."""
    return nobody


def along(items: Collection[T], told: Told) -> Iterator[T]:
    """The same things, told of now and then as they are done."""
    for done, item in enumerate(items, 1):
        yield item
        if not done % SELDOM or done == len(items):
            told(done, len(items))


class BuildStep(StrEnum):
    """The steps of a build in their order, in words. The first two are left out where their outcome is still there."""

    INSTALL = "installing Debian"
    UNPACK = "unpacking the kernel"
    DISK = "making the root disk"
    INITRD = "making the initrd"
    BOOT = "booting"
    COMMIT = "making the golden commit"
    LEARN = "learning what a fork touches first"


TellStep = Callable[[BuildStep, float], None]
"""Is told the step at work and how much of it is done, 0…1."""


class BuildProgress(Struct, frozen=True):
    """The step at work, by `number` (from 1) of `steps`; `line` is what happens in it, a tool's or a guest's own words.

    `left_s` is how long the whole will take yet, as earlier builds on this machine took; `guessed` where there was
    none. `note` says what went otherwise than was tried first.
    """

    step: BuildStep
    number: int
    steps: int
    left_s: float
    guessed: bool
    line: str = ""
    note: str = ""
