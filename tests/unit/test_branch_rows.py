"""What becomes of a branch's row when verbs meet, or a commit cannot be kept."""

import asyncio
from pathlib import Path

import pytest

from core.engine.plans import plan_prune
from core.engine.restore import restore
from core.errors import Conflict
from core.model import BranchState
from tests.unit.engines import GOLDEN, HEAD, engine_of, put


def test_a_branch_that_is_starting_is_left_to_who_starts_it(tmp_path: Path) -> None:
    with engine_of(tmp_path) as engine:
        row = put(engine, "main", BranchState.STARTING)
        with pytest.raises(Conflict, match="main is starting"):
            asyncio.run(restore(engine, "request", "main", None))
        for now in (False, True):
            with pytest.raises(Conflict, match="main is starting"):
                plan_prune(engine, ["main"], now)
        assert engine.catalog.branch("main") == row


def test_a_commit_that_was_the_head_already_is_not_taken_back(tmp_path: Path) -> None:
    with engine_of(tmp_path) as engine:
        put(engine, "main", BranchState.RUNNING, HEAD)
        asyncio.run(engine.tasks.sealer.retract("main", HEAD, HEAD))
        assert engine.catalog.branch("main").head == HEAD
        assert {commit.id for commit in engine.catalog.commits()} == {GOLDEN, HEAD}
        asyncio.run(engine.tasks.sealer.retract("main", HEAD, GOLDEN))
        assert engine.catalog.branch("main").head == GOLDEN
        assert {commit.id for commit in engine.catalog.commits()} == {GOLDEN}
