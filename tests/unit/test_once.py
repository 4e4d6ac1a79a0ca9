"""A request happens once: sent again it gets the same answer, and no other request's. One that was refused has not
happened, and what a daemon's death ended may have.
"""

import asyncio
from pathlib import Path

import pytest

from core.catalog_values import Intent
from core.engine.operations import once, operation
from core.errors import Conflict, NotFound, VertuiError
from core.model import OperationState
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


async def test_a_request_that_was_refused_is_carried_out_once_nothing_refuses_it(tmp_path: Path) -> None:
    there, done = list[str](), list[int]()
    with engine_of(tmp_path) as engine:

        async def run() -> list[int]:
            async with operation(engine, "r", "score", "score b1") as record:
                if not there:
                    raise NotFound("no branch 'b1'")
                done.append(record.id)
                return [7]

        for _ in range(2):
            with pytest.raises(NotFound, match="no branch 'b1'"):
                await once(engine, "r", "score", run)
        there.append("b1")
        assert await once(engine, "r", "score", run) == await once(engine, "r", "score", run) == [7]
        told = [(row.id, row.error) for row in engine.catalog.operations()]
    assert told == [(done[0], ""), *((done[0] - ago, "no branch 'b1'") for ago in (1, 2))] and len(done) == 1


async def test_a_request_that_something_else_ended_is_not_carried_out_again(tmp_path: Path) -> None:
    """What a daemon left at its death, or an error that is none of ours, may have happened."""
    with engine_of(tmp_path) as engine:

        async def run() -> None:
            async with operation(engine, "r", "score", "score b1"):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await once(engine, "r", "score", run)
        left = engine.catalog.begin("s", "score", "score b2", Intent(), 1.0)
        engine.catalog.change_operation(left, state=OperationState.FAILED, error="the daemon ended")
        for request, reason in (("r", "ZeroDivisionError"), ("s", "the daemon ended")):
            with pytest.raises(VertuiError, match=reason):
                await once(engine, request, "score", run)
        assert len(engine.catalog.operations()) == 2
