"""Links: pairs of branches that may talk to each other, as the catalog has them and as verbs tell of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct


@dataclass(frozen=True)
class LinkRow:
    """Two branches, by their ids, that may talk to each other: not while one of them is in the trash."""

    id: str
    one: str
    other: str
    created: float

    @property
    def ends(self) -> frozenset[str]:
        """Both."""
        return frozenset((self.one, self.other))


class Linked(Struct, frozen=True):
    """Pairs of branches, by name, that reach each other from now on, or, if they are not `open`, did until now."""

    pairs: tuple[tuple[str, str], ...]
    operation: int
    open: bool = True


def peers(links: Iterable[LinkRow]) -> dict[str, set[str]]:
    """The ids of the branches that each is linked with, by its own."""
    found: dict[str, set[str]] = {}
    for link in links:
        found.setdefault(link.one, set()).add(link.other)
        found.setdefault(link.other, set()).add(link.one)
    return found


def ends_of(links: Iterable[LinkRow]) -> set[str]:
    """The ids of all branches that these links are of."""
    return {end for link in links for end in link.ends}
