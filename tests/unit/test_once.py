"""A request is carried out once: sent again it gets the same answer or refusal, and no other request's."""

import asyncio
from pathlib import Path

import pytest

from core.engine.operations import once, operation
from core.errors import Conflict, NotFound
from tests.unit.engines import engine_of


async def test_a_request_sent_again_gets_its_first_answer_and_another_with_its_id_none(
    tmp_path: Path,
) -> None:
    done = []
    with engine_of(tmp_path) as engine:

        async def run() -> list[int]:
            async with operation(engine, "r", "score", "score b1"):
                done.append(1)
                return [7]

        assert await once(engine, "r", "score", run) == await once(engine, "r", "score", run) == [7]
        with pytest.raises(Conflict, match="score b1"):
            await once(engine, "r", "tag", run)
    assert done == [1]


async def test_a_request_sent_again_while_it_is_at_work_gets_the_same_answer(tmp_path: Path) -> None:
    done, go = [], asyncio.Event()
    with engine_of(tmp_path) as engine:

        async def run() -> list[int]:
            done.append(1)
            await go.wait()
            return [7]

        both = [asyncio.create_task(once(engine, "r", "score", run)) for _ in range(2)]
        while not done:
            await asyncio.sleep(0)
        with pytest.raises(Conflict, match="that of a score at work"):
            await once(engine, "r", "tag", run)
        go.set()
        assert await asyncio.gather(*both) == [[7], [7]]
    assert done == [1]


async def test_a_request_sent_again_is_refused_as_it_was(tmp_path: Path) -> None:
    with engine_of(tmp_path) as engine:

        async def run() -> None:
            async with operation(engine, "r", "score", "score b1"):
                raise NotFound("no branch 'b1'")

        for _ in range(2):
            with pytest.raises(NotFound, match="no branch 'b1'"):
                await once(engine, "r", "score", run)
