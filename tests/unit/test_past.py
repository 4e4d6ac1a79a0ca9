"""The past of a long history: a step costs what it changes. That it is as it was, verbs at random prove."""

import asyncio
import time

from msgspec.structs import replace

from core.catalog_values import BranchRow, Intent
from core.daemon.mirror import as_it_was
from core.engine import past
from core.looking_back import Stride
from core.model import BranchState, Commit, CommitState, OperationState
from tests.conftest import full
from tests.twins.engine import Twins, twin_engine
from tests.twins.stood import Stood
from vertui.strands import Strands

COMMITS, BRANCHES = (10_000, 200) if full() else (400, 20)
STEP_MS = 50  # from the key to the tree, drawing aside
STEPS = 20


def lived(twins: Twins) -> Stood:
    """Branches commit in turn, each time by an operation; what they commit is sealed behind it."""
    catalog, image = twins.engine.catalog, twins.engine.catalog.images()[0]
    stood = Stood(twins.engine)
    heads = [image.golden] * BRANCHES
    for number in range(BRANCHES):
        name = f"b{number}"
        catalog.put_branch(
            BranchRow(
                name,
                name,
                BranchState.SUSPENDED,
                "",
                image.id,
                image.golden,
                image.golden,
                None,
                1.0,
                number + 1,
            )
        )
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
