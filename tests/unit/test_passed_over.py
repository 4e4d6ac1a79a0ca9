"""What needs something that was removed for good is refused once by undo and redo, which then pass over it."""

from collections.abc import Iterator

import pytest

from core.errors import Conflict
from tests.twins.engine import Twins, twin_engine


@pytest.fixture
def twins() -> Iterator[Twins]:
    with twin_engine() as made:
        yield made


def offered(twins: Twins) -> list[str]:
    """What undo and redo may be asked for, newest first."""
    return [row.summary for row in twins.engine.catalog.operations(20) if row.undoable]


async def test_undo_gets_past_it(twins: Twins) -> None:
    twins.begin()
    try:
        await twins.do("up", "base")
        await twins.do("fork", "main", 2)
        await twins.do("score", "main", 1.0)
        await twins.do("prune", ("b1",), True)
        await twins.do("undo")
        said = "it was removed for good, so this cannot be taken back; the next `vertui undo` passes over"
        with pytest.raises(Conflict, match=rf"{said} 2 \(fork main into b1…b2\)$"):
            await twins.do("undo")
        assert offered(twins) == ["score main 1", "up main from image base"]
        assert (await twins.do("undo")).summary == "undo 1: up main from image base"
        assert [row.name for row in twins.engine.catalog.branches()] == ["b2"]
        with pytest.raises(Conflict, match="there is nothing to undo"):
            await twins.do("undo")
        assert (await twins.do("redo")).summary == "redo 1: up main from image base"
    finally:
        await twins.close()


async def test_redo_gets_past_it(twins: Twins) -> None:
    twins.begin()
    try:
        await twins.do("up", "base")
        await twins.do("fork", "main", 1)
        await twins.do("score", "main", 1.0)
        await twins.do("undo")
        await twins.do("undo")
        await twins.do("trash empty")
        with pytest.raises(Conflict, match=r"the next `vertui redo` passes over 2 \(fork main into b1\)$"):
            await twins.do("redo")
        assert (await twins.do("redo")).summary == "redo 3: score main 1"
    finally:
        await twins.close()


async def test_what_may_be_possible_again_stays_offered(twins: Twins) -> None:
    twins.begin()
    try:
        await twins.do("up", "base")
        await twins.do("rename", "main", "old")
        await twins.do("pause", "old")
        await twins.crash("old")
        for _ in range(2):
            with pytest.raises(Conflict, match=r"branch old has no machine any more$"):
                await twins.do("undo")
        assert offered(twins)[0] == "pause old"
    finally:
        await twins.close()
