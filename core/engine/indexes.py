"""What is known of the paths on disks that are compared again and again."""

from core.diff.filesystem import FINDING, index_of
from core.diff.index import PathIndex
from core.progress import Begin, uncounted
from core.store.protocol import PageStore

MOST_COMMITS = 8  # fork points


class PathIndexes:
    """The indexes of images, by their golden commits, and those of the other commits that were used last.

    Called in several threads without a lock: the interpreter interrupts no single step on the dictionaries.
    """

    def __init__(self, store: PageStore, images: dict[str, PathIndex] | None = None) -> None:
        self._store = store
        self._images = {} if images is None else images
        self._commits: dict[str, PathIndex] = {}

    def of(self, golden: str, commit: str, begin: Begin = uncounted) -> PathIndex:
        """That of a commit of the image; without one, of the image, made once."""
        base = self._images.get(golden)
        if base is None:
            base = self._images[golden] = PathIndex(self._store.disk(golden), begin(FINDING))
        if commit in ("", golden):
            return base
        found = self._commits.pop(commit, None)
        found = found or index_of(self._store.disk(commit), base, begin)
        self._commits[commit] = found
        for one in list(self._commits)[:-MOST_COMMITS]:
            self._commits.pop(one, None)
        return found
