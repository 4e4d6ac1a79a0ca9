"""What a shell offers for a word: names from the daemon that runs; none is started for that, and no error is told."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from core.daemon.endpoint import find_endpoint, listens
from core.errors import VertuiError
from core.model import Tree
from core.refs import CRASH, TRUNK
from core.verbs.base import Kind
from vertui.text import short

if TYPE_CHECKING:
    from core.daemon.client import Client

MOST = 500  # nobody reads more of them; what is older is offered once some of it is typed

Find = Callable[["Client"], Iterable[str]]
Offer = Callable[[str], list[str]]


def offer(find: Find) -> Offer:
    """What typer asks for the words that may stand where one begins like this."""

    def begun(incomplete: str) -> list[str]:
        return [name for name in _found(find) if name.startswith(incomplete)][:MOST]

    return begun


def offer_names(kind: Kind) -> Offer:
    """The names of a kind that there are."""
    if kind is Kind.PRUNED:
        return offer(lambda client: (entry.name for entry in client.trash() if entry.kind == "branch"))
    return offer(lambda client: names_in(client.tree(), kind))


def offer_places(incomplete: str) -> list[str]:
    """A branch, and the colon that a path in it stands behind."""
    return [f"{name}:" for name in offer_names(Kind.BRANCH)(incomplete)]


def names_in(tree: Tree, kind: Kind) -> list[str]:
    """The names of a kind, the newest commits first."""
    branches = [branch.name for branch in tree.branches] + ([TRUNK] if tree.trunk else [])
    newest = tree.commits[::-1]
    commits = [tag for commit in newest for tag in commit.tags] + [short(commit.id) for commit in newest]
    found = {
        Kind.BRANCH: branches,
        Kind.COMMIT: commits + branches,
        Kind.REF: branches + commits + [f"{branch.name}{CRASH}" for branch in tree.branches if branch.crash],
        Kind.IMAGE: [image.name for image in tree.images],
    }
    return found[kind]


def _found(find: Find) -> list[str]:
    try:
        endpoint = find_endpoint()
        if not listens(endpoint):
            return []
        from core.daemon.client import Client

        return list(find(Client(endpoint, starts=False)))
    except VertuiError:
        return []
