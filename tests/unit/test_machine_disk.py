"""A machine's disk, as QEMU describes it to a daemon that adopts the machine, is told apart by ids."""

import json

import pytest

from core.errors import MachineFailed
from core.machine import blocks

COMMIT = "0123456789abcdef" * 4


def described(base: str, *layers: str) -> str:
    """A drive on these files, the lowest first, in QEMU's words."""
    node: blocks.Node = {"driver": "file", "filename": base}
    for layer in layers:
        node = {"driver": "qcow2", "file": {"driver": "file", "filename": layer}, "backing": node}
    return "json:" + json.dumps({"driver": "raw", "file": node})


def test_files_that_were_passed_are_known_by_their_sets() -> None:
    ids = {"/dev/fdset/100": "second", "/dev/fdset/101": COMMIT, "/dev/fdset/103": "first"}
    disk = described("/dev/fdset/101", "/dev/fdset/103", "/dev/fdset/100")
    assert blocks.chain_of(disk, ids) == (COMMIT, ("first", "second"))


def test_files_that_an_older_vertui_named_are_known_by_their_paths() -> None:
    disk = described(f"views/{COMMIT}/disk", "layers/first.qcow2", "layers/second.qcow2")
    assert blocks.chain_of(disk, {}) == (COMMIT, ("first", "second"))


@pytest.mark.parametrize(
    "odd", ["", "json:", "json:[]", 'json:{"file": 7}', "json:" + json.dumps({"file": {}})]
)
def test_what_is_no_disk_of_ours_is_refused(odd: str) -> None:
    with pytest.raises(MachineFailed):
        blocks.chain_of(odd, {})
