"""What a shell offers for a word: names from the daemon that runs; none is started for that, and no error is told."""

from core.daemon.client import Client
from core.errors import VertuiError
from core.home import find_home
from core.model import Tree
from core.verbs.base import Kind
from vertui.session import listens
from vertui.text import short

TRUNK = "@trunk"


def names_of(kind: Kind) -> list[str]:
    """The names of a kind that there are."""
    try:
        home = find_home()
        return _names(kind, Client(home).tree()) if listens(home) else []
    except VertuiError:
        return []


def _names(kind: Kind, tree: Tree) -> list[str]:
    branches = [branch.name for branch in tree.branches] + ([TRUNK] if tree.trunk else [])
    commits = [tag for commit in tree.commits for tag in commit.tags]
    commits += [short(commit.id) for commit in tree.commits]
    found = {
        Kind.BRANCH: branches,
        Kind.COMMIT: commits + branches,
        Kind.REF: branches + commits,
        Kind.IMAGE: [image.name for image in tree.images],
    }
    return found.get(kind, [])
