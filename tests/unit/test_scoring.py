"""A branch is scored by what its command prints, or another one, however that ends and whichever daemon sees it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.commands import EXIT, PRINTED
from core.engine import scoring
from core.guest.client import AgentClient
from tests.twins.engine import Twins, twin_engine


@asynccontextmanager
async def trunk(client: AgentClient) -> AsyncIterator[Twins]:
    """A trunk whose guest's agent is a real one."""
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up")
        (live,) = twins.engine.machines.live.values()
        own, live._agent = live._agent, client
        try:
            yield twins
        finally:
            live._agent = own
            await twins.close()


async def ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def begun(twins: Twins, client: AgentClient, script: str, rule: str, timeout_s: float | None) -> None:
    """Have a command score the trunk."""
    row = twins.engine.branch("main")
    twins.engine.catalog.change_branch(row.id, score=None, note="")
    started = await client.exec(["sh", "-c", script], timeout_s=timeout_s)
    await started.detach()
    scoring.expect(twins.engine, row.id, started.id, rule)


async def scored(twins: Twins) -> tuple[float | None, str]:
    """What was written, once it was."""
    async with asyncio.timeout(60):
        while twins.engine.branch("main").scoring is not None:
            await asyncio.sleep(0.01)
    row = twins.engine.branch("main")
    return row.score, row.note


async def test_what_is_printed_is_the_score_and_the_note_says_why_there_is_none(client: AgentClient) -> None:
    cases: list[tuple[str, str, float | None, tuple[float | None, str]]] = [
        ("echo 3 of 4; printf 'loss \\033[32m-0.25\\033[0m in b3\\n'", PRINTED, 60, (-0.25, "")),
        ("yes 7 | head -c 200000; echo 1e-3", PRINTED, None, (0.001, "")),
        ("echo 1; exit 3", PRINTED, None, (None, "not scored: its command ended with 3")),
        ("echo b3 of v1.x", PRINTED, None, (None, "not scored: no number was printed")),
        ("echo 1; sleep 60", PRINTED, 0.1, (None, "not scored: its time limit was over")),
        ("echo 1; exit 3", "echo $STATUS", None, (3.0, "")),
        ("echo 1; exit 3", EXIT, None, (0.0, "")),
        ("sleep 60", EXIT, 0.1, (0.0, "")),
        ("true", EXIT, None, (1.0, "")),
        ("echo 5; echo 6", "head -n 1", None, (5.0, "")),
        (
            "true",
            "echo 5; echo broken >&2; exit 2",
            None,
            (None, "not scored: sh failed in the guest: broken"),
        ),
    ]
    async with trunk(client) as twins:
        watching = asyncio.create_task(scoring.watch(twins.engine))
        for script, rule, timeout_s, told in cases:
            await begun(twins, client, script, rule, timeout_s)
            assert await scored(twins) == told, (script, rule)
            (live,) = twins.engine.machines.live.values()
            ran = next(one for one in await client.ps() if one.exit_code is not None)
            assert live.last and (live.last.id, live.last.exit_code) == (ran.id, ran.exit_code)
            assert live.last.lasted_ms == ran.lasted_ms is not None, "how it ended is told with the score"
        operations = [one for one in twins.engine.catalog.operations() if one.verb == "score"]
        assert operations[0].summary == f"main: {cases[-1][3][1]}"
        assert not any(one.undoable for one in operations), "undo takes back what people did"
        await ended(watching)


async def test_the_next_daemon_goes_on_and_a_score_of_somebodys_stays(
    client: AgentClient, tmp_path: Path
) -> None:
    goes = tmp_path / "goes"
    async with trunk(client) as twins:
        watching = asyncio.create_task(scoring.watch(twins.engine))
        await begun(twins, client, "sleep 0.3; echo 7", PRINTED, None)
        await asyncio.sleep(0.1)
        await ended(watching)
        watching = asyncio.create_task(scoring.watch(twins.engine))
        assert await scored(twins) == (7.0, "")
        await begun(twins, client, f"until [ -e {goes} ]; do sleep 0.05; done; echo 8", PRINTED, None)
        await twins.do("score", "main", 0.5, "mine")
        goes.touch()
        await asyncio.sleep(0.4)
        assert await scored(twins) == (0.5, "mine")
        row, journals = twins.engine.branch("main"), twins.engine.journals
        told = [one async for some in journals.show(row.id, 0, 0, whole=False, follow=False) for one in some]
        assert [(one.kind, one.body) for one in told] == [("score", "7"), ("score", "0.5 mine")]
        twins.engine.catalog.change_branch(row.id, score=None, note="")
        scoring.expect(twins.engine, row.id, 99, PRINTED)
        assert await scored(twins) == (None, "not scored: its command is gone")
        await ended(watching)
