"""What undo would do is said before it is done, and is what it then does; plans say all in a line, and of what kind."""

import asyncio

from core.engine import plans, told_change
from tests.twins.engine import twin_engine
from tests.twins.served import served


def test_what_is_told_is_what_comes_back() -> None:
    async def scene() -> None:
        twins.begin()
        try:
            await twins.do("up")
            await twins.do("fork", "main", 2)
            await twins.do("commit", "b1", "work")
            await twins.do("commit", "b2", "more")
            plan = plans.plan_prune(twins.engine, ["b1", "b2"], now=False)
            assert plan.head == f"2 branches, 2 machines, {len(plan.commits)} commits"
            assert sum(section.lines for section in plan.sections) == len(plan.lines)
            assert [section.title for section in plan.sections] == ["branches", "commits"]
            pruned = await plans.execute(twins.engine, "r1", plan.id)
            async with served(twins) as client:
                told = await asyncio.to_thread(client.turned, pruned.id)
            assert {"branch b1 comes back", "branch b2 comes back"} <= {*told}
            assert any(line.endswith("comes back: work") for line in told)
            await twins.do("undo")
            assert {"branch b1 goes into the trash"} <= {*told_change.lines_of(twins.engine, pruned.id)}
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(scene())


def test_a_promote_says_from_where_to_where() -> None:
    async def scene() -> None:
        twins.begin()
        try:
            await twins.do("up")
            await twins.do("fork", "main", 3)
            plan = await plans.plan_promote(twins.engine, "b2", prune_losers=True)
            assert plan.head == "the trunk: main → b2, 2 losers pruned"
            assert sum(section.lines for section in plan.sections) == len(plan.lines)
        finally:
            await twins.close()

    with twin_engine() as twins:
        asyncio.run(scene())
