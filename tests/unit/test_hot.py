"""A hot commit's copy says what went in; disk chains are cut where a commit's layers end."""

import asyncio
import os
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from core.engine.bases import merged_layers
from core.engine.context import Engine
from core.engine.hot import Hot, commit_of, copied, key_of, read_copy
from core.engine.sealing import Sealer
from core.errors import DaemonUnavailable
from core.model import MachineSpec
from core.store.values import Captured, Label
from tests.guests import SOON_S

SPEC = MachineSpec("pc-q35-7.2", "Nehalem-v1", "tcg", 1 << 29, 1, 1 << 30)


def hot(pages: int) -> Hot:
    random = np.random.default_rng(pages)
    table = random.integers(0, 255, (pages, 4096), np.uint8)
    places = np.sort(random.choice(100_000, pages, replace=False)).astype(np.uint32)
    captured = Captured("base-1", "ab" * 20, None, SPEC, places, table, b"devices", ("one", "two"), True)
    return Hot("cd" * 20, ("ef" * 20,), captured, Label("main", "words", 1.5))


@pytest.mark.parametrize("pages", [0, 1, 700])
def test_a_copy_is_what_was_copied(pages: int) -> None:
    made = hot(pages)
    with copied(made) as descriptor:
        found = read_copy(descriptor)
    assert (found.id, found.parents, found.label) == (made.id, made.parents, made.label)
    for name in ("image", "base", "disk_base", "spec", "devices", "layers", "quiesced"):
        assert getattr(found.captured, name) == getattr(made.captured, name), name
    assert np.array_equal(found.captured.pages, made.captured.pages)
    assert np.array_equal(found.captured.table, made.captured.table)


def test_a_copy_cut_short_is_refused() -> None:
    with copied(hot(3)) as descriptor:
        size = os.fstat(descriptor).st_size
        for length in (0, 4, 100, size - 1):
            os.ftruncate(descriptor, length)
            with pytest.raises(ValueError):
                read_copy(descriptor)


def test_keys() -> None:
    assert commit_of(key_of("ab" * 20)) == "ab" * 20
    assert commit_of("net:3") is None


@pytest.mark.parametrize(
    ("chain", "layers", "merged"),
    [
        (("a", "b"), ("a",), ("a",)),
        (("a", "b", "c"), ("a", "b"), ("a", "b")),
        (("b", "c"), ("a", "b"), ("b",)),
        (("x", "c"), ("a", "b"), ()),
        (("a", "c"), ("a", "b"), ()),
        (("a",), ("a",), ()),
        ((), ("a",), ()),
    ],
)
def test_a_chain_is_cut_where_it_lies_on_the_commit(
    chain: tuple[str, ...], layers: tuple[str, ...], merged: tuple[str, ...]
) -> None:
    assert merged_layers(chain, layers) == merged


class AtOnce(Sealer):
    """Whose sealing is done at once."""

    async def _seal(self, waiting: Any) -> None:
        await asyncio.sleep(0)


async def test_a_holder_that_does_not_answer_keeps_nobody_waiting() -> None:
    def drop(_: str) -> None:
        raise DaemonUnavailable("the holder does not answer")

    sealer = AtOnce(cast(Engine, SimpleNamespace(held=SimpleNamespace(drop=drop))))
    made = hot(1)
    sealer._enqueue(made, None)
    async with asyncio.timeout(SOON_S):
        await sealer.sealed(made.id)
    assert sealer.hot(made.id) is None
    await sealer.stop()
