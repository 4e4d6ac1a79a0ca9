"""What the daemon does for ever beside what it is asked: one part that fails is told of, and holds up no other."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from core.daemon import server
from core.engine import trash
from core.engine.unattended import UnattendedCommand
from core.errors import NoRoom
from core.journal.entry import JournalExec
from tests.unit.test_crash_disks import home

SOON_S = 20.0


def raising(error: Exception) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


async def test_what_was_thinned_out_is_freed_whatever_else_cannot_be_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with home() as twins:
        acting = twins.engine.acting
        acting.thinned = 2
        with monkeypatch.context() as patch:
            patch.setattr(twins.store, "gc", raising(NoRoom("the disk is full")))
            with pytest.raises(NoRoom):
                await trash.free_thinned(twins.engine)
        assert acting.thinned == 2, "it is tried again"
        monkeypatch.setattr(twins.engine.catalog, "past", raising(sqlite3.Error("disk I/O error")))
        tidying = asyncio.create_task(server._tidy(twins.engine))
        async with asyncio.timeout(SOON_S):
            while acting.thinned:
                await asyncio.sleep(0.01)
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)


async def test_work_that_was_to_go_on_for_ever_does_not_end_unheard(caplog: pytest.LogCaptureFixture) -> None:
    async def watch() -> None:
        raise KeyError("branch")

    task = asyncio.create_task(watch())
    task.add_done_callback(server.told_of)
    with caplog.at_level(logging.ERROR):
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
    assert "watch" in caplog.text and "KeyError: 'branch'" in caplog.text


async def test_nothing_is_kept_of_a_branch_that_is_gone_for_good() -> None:
    async with home() as twins:
        engine = twins.engine
        await twins.do("fork", "main", 1, "b")
        row = engine.branch("b")
        engine.unattended.add(UnattendedCommand(row.id, JournalExec(("true",), 1), "planner", "c0ffee", 0))
        await twins.do("prune", ("b",), now=True)
        engine.acting.acts(row.id)  # as whoever followed a command there does
        await trash.free(engine)
        assert row.id not in engine.acting._signs
        assert not any(engine.unattended.all())
