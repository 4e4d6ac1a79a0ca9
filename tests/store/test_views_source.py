"""The store as a source of views."""

from pathlib import Path

import pytest

from core.errors import Damaged
from core.model import PAGE_BYTES
from core.store.views.source import StoredPages
from tests.store.states import PAGES, Bench, content


def test_any_range_of_a_stored_commit(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    pages = {3: content(3), 4: content(4), 9: content(9)}
    commit = bench.commit(pages, {5: content(5)})
    source = StoredPages(tmp_path / "home")
    assert source.size_bytes(commit, "memory") == source.size_bytes(commit, "disk") == PAGES * PAGE_BYTES
    assert source.size_bytes("f" * 40, "memory") is None
    whole = b"".join(pages.get(page, bytes(PAGE_BYTES)) for page in range(PAGES))
    for offset, length in ((0, len(whole)), (3 * PAGE_BYTES, PAGE_BYTES), (14000, 9000), (len(whole) - 1, 1)):
        assert source.read(commit, "memory", offset, length) == whole[offset : offset + length]
    assert source.read(commit, "disk", 5 * PAGE_BYTES, PAGE_BYTES) == content(5)


def test_damage_names_the_page(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    commit = bench.commit({7: content(7)}, {})
    source = StoredPages(tmp_path / "home")
    for pack in (tmp_path / "home").rglob("*.pack"):
        data = bytearray(pack.read_bytes())
        data[: len(data) // 2] = bytes(len(data) // 2)
        pack.write_bytes(data)
    with pytest.raises(Damaged, match=r"page 7 .*memory"):
        source.read(commit, "memory", 0, PAGES * PAGE_BYTES)
