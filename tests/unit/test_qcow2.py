"""Overlays made and written by QEMU's own tools, read by ours."""

import random
import struct
from pathlib import Path

import numpy as np
import pytest

from core.disk.qcow2 import READS_AS_ZERO, ChainDisk, Overlay
from core.errors import Damaged, Unsupported, VertuiError
from tests.unit.diff_images import MIB, make_overlay, run

SIZE = 8 * MIB


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.raw"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def written(path: Path, *commands: str) -> Path:
    make_overlay(path, SIZE)
    run("qemu-io", "-f", "qcow2", path, stdin="\n".join(commands))
    return path


def flattened(base: Path, *overlays: Path) -> bytes:
    """The chain as QEMU reads it."""
    node = f'{{"driver": "raw", "file": {{"driver": "file", "filename": "{base}"}}}}'
    for path in overlays:
        file = f'{{"driver": "file", "filename": "{path}"}}'
        node = f'{{"driver": "qcow2", "file": {file}, "backing": {node}}}'
    out = base.with_name("flat.raw")
    run("qemu-img", "convert", "-O", "raw", f"json:{node}", out)
    return out.read_bytes()


def test_a_chain_reads_as_qemu_reads_it(tmp_path: Path, base: Path) -> None:
    first = written(tmp_path / "1", "write -P 17 4k 12k", "write -P 18 5M 100k", "write -z 64k 8k")
    second = written(tmp_path / "2", "write -P 33 8k 4k", "write -z 5M 4k", "write -P 34 8188k 4k")
    expected = flattened(base, first, second)
    with ChainDisk(base, [first, second]) as disk:
        assert disk.size == SIZE
        assert disk.read(0, SIZE) == expected
        assert disk.read(8190, 4100) == expected[8190:12290]
        picked = np.array([2047, 2, 1280, 0, 2])
        rows = [expected[4096 * at : 4096 * (at + 1)] for at in picked.tolist()]
        assert disk.read_blocks(picked).tobytes() == b"".join(rows)
        with pytest.raises(Damaged, match="beyond its end"):
            disk.read(SIZE - 10, 20)


def test_the_cluster_map_tells_zeros_from_nothing(tmp_path: Path) -> None:
    overlay = Overlay(written(tmp_path / "1", "write -P 1 4k 4k", "write -z 16k 4k"))
    assert overlay.clusters[0] == 0
    assert overlay.clusters[1] > 0
    assert overlay.clusters[4] == READS_AS_ZERO
    assert overlay.allocated.tolist() == [1, 4]
    overlay.close()


def test_changed_blocks_are_exactly_those_that_differ(tmp_path: Path, base: Path) -> None:
    shared = written(tmp_path / "0", "write -P 1 1M 1M")
    left = written(tmp_path / "1", "write -P 1 1M 8k", "write -P 2 2M 4k", "write -P 5 4M 4k")
    right = written(tmp_path / "2", "write -P 3 3M 8k", "write -P 5 4M 4k")
    with ChainDisk(base, [shared, left]) as a, ChainDisk(base, [shared, right]) as b:
        assert a.changed_blocks(b).tolist() == [512, 768, 769]
        assert a.changed_blocks(a).tolist() == []


def test_disks_of_different_bases_are_compared_whole(tmp_path: Path, base: Path) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes(b"x" + base.read_bytes()[1:])
    with ChainDisk(base) as a, ChainDisk(other) as b:
        assert a.changed_blocks(b).tolist() == [0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-o", "cluster_size=64k"], "never writes"),
        (["-o", "compat=0.10,cluster_size=4k"], "version 3"),
        (["-o", "cluster_size=16k,extended_l2=on"], "never writes"),
        (["-o", "cluster_size=4k", "-b", "base.raw", "-F", "raw"], "never writes"),
    ],
)
def test_what_vertui_never_writes_is_refused(
    tmp_path: Path, base: Path, options: list[str], complaint: str
) -> None:
    path = tmp_path / "odd.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", *options, path, str(SIZE))
    with pytest.raises(Damaged, match=complaint) as refused:
        ChainDisk(base, [path])
    assert str(path) in str(refused.value)


def test_compressed_clusters_are_refused(tmp_path: Path, base: Path) -> None:
    path = written(tmp_path / "1", "write -c -P 7 0 4k")
    with pytest.raises(Damaged, match="compressed"):
        ChainDisk(base, [path])


def test_a_snapshot_inside_is_refused(tmp_path: Path, base: Path) -> None:
    path = written(tmp_path / "1", "write -P 7 0 4k")
    run("qemu-img", "snapshot", "-c", "inside", path)
    with pytest.raises(Damaged, match="never writes"):
        ChainDisk(base, [path])


def test_sizes_must_agree_and_files_must_be_there(tmp_path: Path, base: Path) -> None:
    with pytest.raises(Damaged, match="size"):
        ChainDisk(base, [make_overlay(tmp_path / "small", MIB)])
    with pytest.raises(Damaged, match="nothing-here"):
        ChainDisk(base, [tmp_path / "nothing-here"])
    odd = tmp_path / "odd.raw"
    odd.write_bytes(b"x" * 5000)
    with pytest.raises(Unsupported, match="4 KiB"):
        ChainDisk(odd)


def test_a_cut_off_overlay_is_damaged(tmp_path: Path, base: Path) -> None:
    path = written(tmp_path / "1", "write -P 7 0 1M")
    whole = path.read_bytes()
    for length in (0, 3, 100, 4096, 3 * 4096, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(Damaged, match="1"):
            ChainDisk(base, [path])


def test_mutated_overlays_are_refused_or_read(tmp_path: Path, base: Path) -> None:
    """Every byte of the header, then random ones of the tables: an error of ours, or some bytes."""
    path = written(tmp_path / "1", "write -P 7 0 64k", "write -P 8 6M 64k")
    whole = path.read_bytes()
    rng = random.Random(5)
    refused, touched = 0, np.arange(16)
    for at in [*range(112), *(rng.randrange(len(whole) // 4096 * 4096) for _ in range(150))]:
        data = bytearray(whole)
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            with ChainDisk(base, [path]) as disk:
                assert len(disk.read_blocks(touched)) == len(touched)
        except VertuiError:
            refused += 1
    assert refused > 30


def test_a_table_of_enormous_offsets_is_refused(tmp_path: Path, base: Path) -> None:
    path = written(tmp_path / "1", "write -P 7 0 4k")
    data = bytearray(path.read_bytes())
    (l1,) = struct.unpack_from(">Q", data, 40)
    struct.pack_into(">Q", data, l1, (1 << 63) | (1 << 55))
    path.write_bytes(data)
    with pytest.raises(Damaged, match="outside itself"):
        ChainDisk(base, [path])
