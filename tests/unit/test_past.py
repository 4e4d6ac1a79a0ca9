"""The past of a long history: a step costs what it changes, what is too long ago is forgotten. That all is as it was,
verbs at random prove.
"""

import asyncio
import time
from contextlib import closing

import pytest
from msgspec.structs import replace

from core.catalog import Catalog
from core.catalog_values import BranchRow, Intent
from core.daemon.mirror import as_it_was
from core.engine import past
from core.engine.operations import note
from core.errors import NotFound
from core.looking_back import Stride
from core.model import BranchState, Commit, CommitState, Image, OperationState
from tests.conftest import full
from tests.twins.engine import Twins, twin_engine
from tests.twins.stood import Stood
from vertui.strands import Strands

COMMITS, BRANCHES = (10_000, 200) if full() else (400, 20)
STEP_MS = 50  # from the key to the tree, drawing aside
STEPS = 20


def suspended(name: str, image: Image, number: int) -> BranchRow:
    state = BranchState.SUSPENDED
    return BranchRow(name, name, state, "", image.id, image.golden, image.golden, None, 1.0, number)


def lived(twins: Twins) -> Stood:
    """Branches commit in turn, each time by an operation; what they commit is sealed behind it."""
    catalog, image = twins.engine.catalog, twins.engine.catalog.images()[0]
    stood = Stood(twins.engine)
    heads = [image.golden] * BRANCHES
    for number in range(BRANCHES):
        name = f"b{number}"
        catalog.put_branch(suspended(name, image, number + 1))
    for number in range(COMMITS):
        at = number % BRANCHES
        id, parents = f"{number:064x}"[::-1], (heads[at],)
        made = Commit(id, id, parents, f"b{at}", image.id, "", 10.0 + number, CommitState.HOT, True)
        operation = catalog.begin(f"r{number}", "commit", f"commit b{at}", Intent(), 1.0)
        with catalog.transaction():
            catalog.put_commit(made)
            catalog.change_branch(f"b{at}", head=id)
        catalog.change_operation(operation, state=OperationState.DONE, finished=2.0)
        catalog.put_commit(replace(made, state=CommitState.SEALED))
        heads[at] = id
        if number < COMMITS - 2 * STEPS:
            stood.trees.clear()
    return stood


def test_a_step_in_a_long_history_is_quick_and_right() -> None:
    async def walk(twins: Twins, stood: Stood) -> list[float]:
        now = tree = stood.now()
        strands, took = Strands(tree), list[float]()
        for number in range(2 * STEPS - 1):
            stride = Stride.BACK if number < STEPS else Stride.ON
            began = time.process_time()
            then = await past.step(twins.engine, stride, tree.moment, exact=tree is not now)
            tree = as_it_was(tree, then)
            strands = Strands(tree, strands)
            took.append((time.process_time() - began) * 1000)
            assert then.operation is not None
            expected = stood.trees[then.operation.id]
            assert (tree.branches, tree.commits) == (expected.branches, expected.commits)
        return sorted(took)

    with twin_engine() as twins:
        stood = lived(twins)
        took = asyncio.run(walk(twins, stood))
    print(f"a step: median {took[len(took) // 2]:.1f} ms, most {took[-1]:.1f} ms")
    assert took[len(took) * 9 // 10] <= STEP_MS


def test_what_is_too_long_ago_is_forgotten_and_said_to_be() -> None:
    """Whole moments, the newest never, and nothing of it for who reads meanwhile."""
    with twin_engine() as twins:
        engine, catalog, ended = twins.engine, twins.engine.catalog, list[int]()
        image = catalog.images()[0]
        names = ("b1", "b2", "b3")
        for number, name in enumerate(names, 1):
            catalog.put_branch(suspended(name, image, number))
        first = catalog.moment
        for number in range(8):
            ended.append(catalog.begin(f"r{number}", "rename", "", Intent(), 1.0))
            with catalog.transaction():
                catalog.set_setting("trunk", f"b{number}")
                for name in names:
                    catalog.change_branch(name, name=f"{name}-{number}")
            catalog.change_operation(ended[-1], state=OperationState.DONE, finished=2.0)
        now = catalog.moment
        with closing(catalog.past()) as reader:
            while catalog.forget_past(11):  # of three moments with four rows each one goes before the other
                pass
            assert (reader.rows(first, now)["branches", "b1"] or {})["name"] == "b1"

        async def look() -> None:
            held = now
            for expected in (ended[6], ended[5], ended[4]):
                then = await past.step(engine, Stride.BACK, held, exact=held != now)
                assert then.operation and then.operation.id == expected
                held = then.moment
            assert {branch.name for branch in then.changed.branches} == {"b1-4", "b2-4", "b3-4"}
            for wanted in (
                past.step(engine, Stride.BACK, held, exact=True), past.at(engine, ended[3], now, exact=False),
                past.step(engine, Stride.ON, held - 1, exact=True),
            ):  # fmt: skip
                with pytest.raises(NotFound, match="not kept any more"):
                    await wanted

        asyncio.run(look())
        while catalog.forget_past(1):
            pass
        catalog.close()
        again = Catalog(engine.home.catalog)
        with closing(again.past()) as reader:
            assert len(reader.rows(0, now)) == 4 and (again.moment, again.check()) == (now, [])
        again.close()


def test_of_the_log_there_stays_what_undo_and_steps_into_the_past_need_and_no_more() -> None:
    """Beside the newest: what is at work, what can be undone, and what made the tree as it was at each moment known."""
    newest, undoable, moments = 10, 2, 12

    async def look(twins: Twins) -> None:
        catalog, stood = twins.engine.catalog, Stood(twins.engine)
        at_work = catalog.begin("r", "fork", "", Intent(), 1.0)
        for number in range(moments):
            operation = catalog.begin(f"r{number}", "promote", "", Intent(), 1.0)
            catalog.set_setting("trunk", f"b{number}")
            done = {"state": OperationState.DONE, "undoable": number < 2 * undoable, "finished": 2.0}
            catalog.change_operation(operation, **done)
            for _ in range(5):
                note(twins.engine, "exec", "nothing of the tree")
        ended = catalog.operations(10_000)
        await past.forget(twins.engine, newest, undoable)
        kept = {row.id for row in catalog.operations(10_000)}
        stood.trees = {operation: tree for operation, tree in stood.trees.items() if operation in kept}
        await stood.check()
        assert {row.id for row in ended[:newest]} | {at_work} <= kept and len(kept) <= newest + moments + 2
        assert catalog.check() == []
        while catalog.forget_past(1):
            pass
        await past.forget(twins.engine, newest, undoable)
        assert len(catalog.operations(10_000)) <= newest + undoable + 2
        next_undone = next(row.id for row in ended if row.undoable)
        assert (found := catalog.turnable(OperationState.DONE)) and found.id == next_undone

    with twin_engine() as twins:
        asyncio.run(look(twins))
