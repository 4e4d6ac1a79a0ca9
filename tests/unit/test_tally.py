"""How far a verb is that does much: told by the key of who asked for it, once it takes longer than a moment."""

import asyncio
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.disk.qcow2 import ChainDisk
from core.engine import tally as module
from core.engine.indexes import PathIndexes
from core.engine.tally import REQUEST, DoneCount, in_mebibytes
from core.model import Event, new_key
from core.verbs.fork import Fork
from core.verbs.image.rm import Rm as RemoveImage
from core.verbs.prune import Prune
from core.verbs.store.compact import Compact
from core.verbs.store.gc import Gc
from core.verbs.undo import Undo
from tests.twins.engine import twin_engine
from tests.twins.served import served
from tests.unit.diff_images import copy_sparse, debugfs, make_image
from tests.unit.test_diff_cost import as_overlay
from vertui.progress import Meter, tallied
from vertui.widgets.events import progress_bar

READ = ("reading files", "comparing files", "counting lines")


def taken(queue: "asyncio.Queue[Event | None]") -> list[Event]:
    """The progress that was told since the last look."""
    events = [queue.get_nowait() for _ in range(queue.qsize())]
    return [event for event in events if event is not None and event.kind == "progress"]


def test_it_is_told_late_and_seldom_and_how_long_it_will_take() -> None:
    with twin_engine() as twins:
        queue, now = twins.engine.events.subscribe(), [0.0]
        token = REQUEST.set("key")
        counted = DoneCount(twins.engine, "committing", 10, lambda: now[0])
        for at in (0.3, 0.6, 1.2, 1.3, 1.5, 2.4):
            now[0] = at
            counted.one()
        told = taken(queue)
        assert [event.text for event in told] == [
            "committing: 3 of 10, about 3 s left",
            "committing: 5 of 10, about 2 s left",
            "committing: 6 of 10, about 2 s left",
        ]
        assert {event.subject for event in told} == {"key"} and told[-1].fraction == 0.6
        counted.end()
        assert [event.fraction for event in taken(queue)] == [1.0]
        endless = DoneCount(twins.engine, "reading", clock=lambda: now[0], spell=in_mebibytes)
        now[0] = 9.0
        endless.reach(3 << 30, 0)
        [event] = taken(queue)
        assert (event.text, event.fraction) == ("reading: 3072 MiB", None)
        assert progress_bar(event).plain == event.text
        REQUEST.reset(token)
        endless.end()
        assert taken(queue) == [], "nobody is told of what nobody asked for"


async def test_each_verb_that_counts_tells_who_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0.0)
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up")
        queue = twins.engine.events.subscribe()
        async with served(twins) as client:

            async def all_told(work: Callable[..., object], *given: Any) -> dict[str, list[float]]:
                key = new_key()
                await asyncio.to_thread(work, *given, key)
                events = taken(queue)
                assert {event.subject for event in events} == {key}
                by_text: dict[str, list[float]] = {}
                for event in events:
                    by_text.setdefault(event.text.partition(":")[0], []).append(event.fraction or 0)
                assert all(fractions.pop() == 1 for fractions in by_text.values())
                return by_text

            async def told(work: Callable[..., object], *given: Any) -> tuple[str, list[float]]:
                [(words, fractions)] = (await all_told(work, *given)).items()
                return words, fractions

            assert await told(client.do, Fork("main", 2)) == ("starting b1…b2", [0.25, 0.5, 0.75])
            plan = await asyncio.to_thread(client.plan, Prune(("b1", "b2")))
            assert await told(client.execute, plan) == ("committing what goes", [0.5])
            assert await told(client.do, Undo()) == ("starting what comes back", [0.5])
            assert await told(client.check_store, 0.0) == ("checking the store", [1.0])
            assert await told(client.do, Compact()) == ("rewriting packs", [1.0])
            assert await all_told(client.do, Gc()) == {
                "freeing what nothing needs": [0.5],
                "rewriting packs": [1.0],
            }
            made = await all_told(client.rebuild)
            found = made.pop("finding commits again")
            assert made == {"making the index again": [0.5]} and found[-1] == 1 and found == sorted(found)
            read = await all_told(client.do, Fork("main~1", 1, eager=True))
            assert next(iter(read)).startswith("reading the memory of commit ") and [0.25] in read.values()
            assert (await told(client.suspend_all, False))[0] == "committing what is suspended"
            every = tuple(row.name for row in twins.engine.catalog.branches())
            await asyncio.to_thread(
                client.execute, await asyncio.to_thread(client.plan, Prune(every, now=True))
            )
            taken(queue)
            plan = await asyncio.to_thread(client.plan, RemoveImage("base"))
            assert (await all_told(client.execute, plan))["moving pages out of image base"] == [0.5]
        await twins.close()


async def test_a_diff_tells_what_it_finds_and_reads_and_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0.0)
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    (tmp_path / "tree").mkdir()
    for name in ("one", "two"):
        (tmp_path / "tree" / name).write_text("line\n")
    old = make_image(tmp_path / "old.raw", tmp_path / "tree", 8)
    new = copy_sparse(old, tmp_path / "new.raw")
    (text := tmp_path / "text").write_text("other\nlines\n")
    debugfs(new, "rm one", "rm two", f"write {text} one", f"write {text} two")
    overlay = as_overlay(old, new)
    with twin_engine() as twins:
        twins.engine.indexes = PathIndexes(twins.store)  # other disks than all twins have
        changed = set[str]()
        monkeypatch.setattr(
            twins.store, "disk", lambda asked, layers=(): ChainDisk(old, [overlay] * (asked in changed))
        )
        await twins.do("up")
        commit = (await twins.do("fork", "main", 1)).commit.id
        changed.add(commit)
        queue = twins.engine.events.subscribe()
        async with served(twins) as client:
            diff = await asyncio.to_thread(client.diff, f"{commit}~1", commit, "key", lines=True)
            events = taken(queue)
            assert len(diff.entries) == 2 and {event.subject for event in events} == {"key"}
            words = {event.text.partition(", about")[0] for event in events}
            assert all(any(re.fullmatch(rf"{what}: (\d+) of \1", one) for one in words) for what in READ)
            assert any(
                event.text.startswith("finding files: ") and event.fraction is None for event in events
            )
            assert "counting lines: 1 of 2" in words
        await twins.close()


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_bytes_are_a_bar_on_a_terminal_and_a_script_is_told_the_outcome_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", script := io.StringIO())
    with tallied(None) as key:  # type: ignore[arg-type]
        assert len(key) == 32
    assert list(Meter(8).along([b"half"])) == [b"half"] and script.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    assert list(Meter(8).along([b"half"])) == [b"half"]
    assert "  50% 4B of 8B" in screen.getvalue() and screen.getvalue().endswith("\r\x1b[K")
