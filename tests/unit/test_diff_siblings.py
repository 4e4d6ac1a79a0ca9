"""Siblings against what they come from, or against a state that is named; and long answers read in parts."""

import asyncio
import json
from pathlib import Path

import pytest

from core.codec import decode_long, encode
from core.diff.entry import DiffKind
from core.diff.multi import matrix
from core.diff.result import Diff, FileDiff, SiblingChange
from core.diff.select import ALL_FILES
from core.disk.qcow2 import ChainDisk
from core.engine.compare import EVERYTHING, diff_siblings
from core.errors import UsageError
from tests.diffs import diff_of, file_diff, state
from tests.twins.engine import Twins, twin_engine
from tests.unit.diff_images import copy_sparse, debugfs, make_image


def test_a_cell_says_what_became_of_a_file_and_by_how_much_it_grew(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "text").write_text("three")
    base = make_image(tmp_path / "base.raw", tree, 16)
    siblings = [copy_sparse(base, tmp_path / name) for name in ("a.raw", "b.raw", "c.raw")]
    source = tmp_path / "source"
    source.write_text("longer")
    for sibling in siblings[:2]:
        debugfs(sibling, "rm text", f"write {source} text", "sif text mode 0100644")
    debugfs(siblings[2], "rm text")
    disks = [ChainDisk(path) for path in (base, *siblings)]
    (row,) = matrix(disks[0], disks[1:], None, ALL_FILES)
    longer = SiblingChange(DiffKind.MODIFIED, 1, 1)
    assert (row.path, row.cells) == ("/text", (longer, longer, SiblingChange(DiffKind.REMOVED, 2, -5)))
    for disk in disks:
        disk.close()


def test_states_are_compared_with_the_one_that_is_named() -> None:
    async def run(twins: Twins) -> None:
        twins.begin()
        try:
            await twins.do("up")
            await twins.do("fork", "main", n=2)
            with pytest.raises(UsageError, match="at least two"):
                await diff_siblings(twins.engine, ["b1"], EVERYTHING)
            found = await diff_siblings(twins.engine, ["b1"], EVERYTHING, "b2")
            assert (found.base, found.refs, found.rows) == ("b2", ("b1",), ())
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(run(twins))


def test_a_long_answer_is_what_it_is_at_once() -> None:
    told = diff_of(file_diff("/a", state(), state(size=9), lines=(1, 2)), file_diff("/b", None, state()))
    sent = json.dumps(encode(told)).encode()
    assert decode_long(Diff, sent, "entries", FileDiff) == told
    odd = sent.replace(b'"/b"', b'"\\ud800"')
    assert decode_long(Diff, odd, "entries", FileDiff).entries[1].path == "\ud800"
    for wrong in (b"[]", b"{", sent.replace(b'"entries"', b'"others"'), sent.replace(b"[1, 2]", b'"x"')):
        with pytest.raises(ValueError):
            decode_long(Diff, wrong, "entries", FileDiff)
