"""Reading pages: by commit, medium and number, verified. Needs nothing but read access to a home.

A reader may be in another process than the owner. It sees what is sealed after it opened, and finds again what gc or
compaction moved.
"""

import threading
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from core.errors import Damaged, NotFound
from core.files import listed
from core.model import PAGE_BYTES
from core.store import tables
from core.store.hashing import Contents, page_hashes
from core.store.image_pages import ROOT
from core.store.index import NOWHERE, Index, split
from core.store.layout import Found, Layout, look
from core.store.pack import Ids, Pack, Rows
from core.store.record import Record, read_record, record_name
from core.store.shelf import Shelf
from core.store.values import DISK, MEMORY, Manifest

TABLES_BYTES = 64 << 20  # of page tables kept: 8 MiB is one of a 4 GiB disk


class BadPage(Exception):
    """Row `row` of the ids asked for cannot be read; `reason` says why."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row, self.reason = row, reason


def _room_of(table: Ids) -> int:
    """What a kept table counts for. One larger than all the room takes all of it: the latest is always kept."""
    return min(table.nbytes, TABLES_BYTES)


class PageReader:
    """The store of a home, read-only. Threads may share it."""

    def __init__(self, home_root: Path) -> None:
        self.layout = Layout(home_root)
        self.shelf = Shelf(self.layout)
        self.problems: tuple[str, ...] = ()
        self._tables: LRUCache[tuple[str, str], Ids] = LRUCache(TABLES_BYTES, _room_of)
        self._lock = threading.RLock()
        self.index: Index
        self._found: Found | None = None
        self.refresh()

    def refresh(self) -> None:
        """Learn what was sealed, collected or compacted since. The index stays the same one when nothing was."""
        with self._lock:
            before, now = self._found, look(self.layout, self._found)
            if before and (before.stamp, before.packs) == (now.stamp, now.packs):
                return
            self._found = now
            self.shelf.set_paths(now.packs)
            self.index, self.problems = now.index, (*filter(None, [now.lost]), *now.problems)

    def close(self) -> None:
        """Let go of every file."""
        self.shelf.close()

    # -- commits ---------------------------------------------------------------------------------------------

    def record(self, commit: str) -> Record:
        """A commit's record."""
        return read_record(self.layout.commits / record_name(commit))

    def manifest(self, commit: str) -> Manifest:
        """A commit's manifest."""
        return self.record(commit).manifest

    def commits(self) -> list[str]:
        """The ids of all commits on disk."""
        return [path.stem for path in listed(self.layout.commits, "[0-9a-f]*.commit")]

    def table(self, commit: str, medium: str) -> Ids:
        """A commit's page table, not to be written. Damaged when it, or one it leans on, is not what was written."""
        key = (commit, medium)
        with self._lock:
            table = self._tables.get(key)
        if table is None:
            table = self._table(commit, medium)
            table.flags.writeable = False
            with self._lock:
                self._tables[key] = table
        return table

    def _table(self, commit: str, medium: str) -> Ids:
        """A table made whole. If what it leans on was deleted meanwhile, the record is read again: it leans on
        something else then.
        """
        record, lean = self.record(commit), None
        while lean != (stored := record.table(medium)).lean:
            lean = stored.lean
            try:
                return stored.over(self.below(record.manifest.image, lean, medium))
            except (IndexError, NotFound, Damaged) as error:
                failure, record = error, self.record(commit)
        text = f"the {medium} table of commit {commit[:12]} leans on what cannot be read: {failure}"
        raise Damaged(text) from failure

    def verify(self, commit: str) -> None:
        """Damaged when a table of a commit, or one that it leans on, is not what was written. None is made whole."""
        image = self.manifest(commit).image
        for medium in (MEMORY, DISK):
            if self._foot(commit, medium) == tables.ON_IMAGE and (image, ROOT) not in self.shelf.sources():
                raise Damaged(f"{ROOT} of image {image} is not in the store")

    def _foot(self, commit: str, medium: str) -> str:
        """What the lowest table below this one leans on. As in `_table` the record is read again if one below was
        deleted.
        """
        lean, stored = None, self.record(commit).table(medium)
        while lean != stored.lean:
            lean = stored.lean
            if lean in (tables.NOTHING, tables.ON_IMAGE):
                return lean
            try:
                return self._foot(lean, medium)
            except NotFound as error:
                failure, stored = error, self.record(commit).table(medium)
        raise failure

    def below(self, image: str, lean: str, medium: str) -> Ids:
        """The table that `lean` names: nothing, the image's root disk, or the same table of another commit."""
        if lean == tables.NOTHING:
            return np.empty(0, np.uint64)
        return self.image_table(image, ROOT) if lean == tables.ON_IMAGE else self.table(lean, medium)

    def image_table(self, image: str, file: str) -> Ids:
        """The ids of an image's file by place, as long as its last page that is not zero. NotFound when unknown."""
        sources = self.shelf.sources()
        if (image, file) not in sources:
            self.refresh()
            sources = self.shelf.sources()
        if (image, file) not in sources:
            raise NotFound(f"{file} of image {image} is not in the store")
        outline = self.shelf.pack(sources[image, file]).outline
        table = np.zeros(int(outline.places[-1:].sum()) + 1, np.uint64)
        table[outline.places] = outline.ids
        return table

    def forget(self, commit: str) -> None:
        """Drop what is remembered of a commit."""
        with self._lock:
            for key in [key for key in self._tables if key[0] == commit]:
                del self._tables[key]

    # -- pages -----------------------------------------------------------------------------------------------

    def read(self, commit: str, medium: str, first_page: int, count: int) -> bytes:
        """`count` pages from `first_page`; zero pages beyond the end. Damaged names commit, medium and page."""
        table = self.table(commit, medium)
        ids = np.zeros(count, np.uint64)
        part = table[first_page : first_page + count]
        ids[: len(part)] = part
        return self.pages(commit, medium, np.arange(first_page, first_page + count), ids).tobytes()

    def pages(self, commit: str, medium: str, places: Rows, ids: Ids) -> Contents:
        """The pages of these ids, which stand at these places of a commit's medium."""
        try:
            return self.contents(ids)
        except BadPage as bad:
            page = int(places[bad.row])
            raise Damaged(f"page {page} of the {medium} of commit {commit[:12]}: {bad.reason}") from bad

    def contents(self, ids: Ids) -> Contents:
        """The pages of these ids, shape (n, 4096), verified. Raises BadPage."""
        while True:
            index = self.index
            try:
                return self._contents(ids)
            except BadPage:  # it may be newer than the index read, or have been moved to another pack since
                self.refresh()
                if self.index is index:
                    raise

    def _contents(self, ids: Ids) -> Contents:
        out = np.zeros((len(ids), PAGE_BYTES), np.uint8)
        used = np.flatnonzero(ids)
        where = self.index.locate(ids[used])
        if (where == NOWHERE).any():
            row = int(used[np.flatnonzero(where == NOWHERE)[0]])
            raise BadPage(row, "its content is not in the store")
        packs, rows = split(where)
        for number in sorted(set(packs.tolist())):
            mine = packs == number
            out[used[mine]] = self._from_pack(number, rows[mine], ids[used[mine]], used[mine])
        return out

    def _from_pack(self, number: int, rows: Rows, ids: Ids, asked: Rows) -> Contents:
        """Pages of one pack; `asked` are the rows to name when one is bad."""
        try:
            pack = self.shelf.pack(number)  # open from here on, whatever becomes of its file
            outline = pack.outline
            if rows.max() >= len(outline.ids) or (outline.ids[rows] != ids).any():
                raise Damaged(f"pack {pack.path.name} does not hold what the index says")
        except Damaged as error:
            raise BadPage(int(asked[0]), str(error)) from error
        contents = self._stored(pack, rows, asked)
        against = outline.against[rows]
        mixed = np.flatnonzero(against)
        if len(mixed):
            try:
                contents[mixed] ^= self._contents(against[mixed])
            except BadPage as bad:
                raise BadPage(int(asked[mixed[bad.row]]), bad.reason) from bad
        wrong = np.flatnonzero((page_hashes(contents) != self.index.hashes(ids)[0]).any(axis=1))
        if len(wrong):
            raise BadPage(int(asked[wrong[0]]), f"it is not what was written (pack {pack.path.name})")
        return contents

    def _stored(self, pack: Pack, rows: Rows, asked: Rows) -> Contents:
        """Pages as stored; when some cannot be read, the first such page is the one named."""
        try:
            return self.shelf.stored(pack, rows)
        except Damaged as error:
            for row, name in zip(rows, asked, strict=True):
                try:
                    self.shelf.stored(pack, np.array([row]))
                except Damaged as own:
                    raise BadPage(int(name), str(own)) from own
            raise BadPage(int(asked[0]), str(error)) from error
