"""A verb is added by one new file: it is everywhere that verbs are."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.home import Home, find_home
from core.model import BranchState
from tests.unit.engines import engine_of, put

ROOT = Path(__file__).parents[2]

REMARK = '''"""Remark: a word on a branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import Branch
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, Message, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Remark(Verb[Branch]):
    """Write a word on a branch."""

    branch: BranchName
    text: Annotated[str, Given("The word.", "TEXT"), Message]

    examples: ClassVar = ("vertui remark main 'the good one'",)
    screen: ClassVar = Entry("f9", "remark", "write a word on the selected branches", "remarking on", several=True)

    def refuse(self, shown: Shown) -> Refusal | None:
        return None if shown.branch(self.branch) else no_branch(self.branch)

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import inspect, marks
        from core.engine.change import Change, Judgement

        row = engine.branch(self.branch)
        change = Change(scores={row.id: Judgement(row.score, self.text)})
        await marks.changed(engine, request_id, "remark", f"remark {row.name} {self.text}", change)
        return await inspect.branch(engine, engine.branch(row.name))
'''
PROGRAM = """
import json
from core.daemon.client import Client
from core.verbs.base import command_line
from core.verbs.remark import Remark
from vertui.actions import BY_ID
told = Client(starts=False).remark("main", "by the client").note
print(json.dumps([BY_ID["remark"].key, command_line(Remark("main", "a b")), told]))
"""
SCREEN = """
import asyncio
from core.home import find_home
from tests.ui.looks import until, until_seen
from vertui.ui import VertuiApp

async def seen() -> None:
    app = VertuiApp(find_home())
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: bool(app.main.shown.branches))
        for opens in ("question_mark", "colon"):
            await pilot.press(opens, *"remark")
            await until_seen(pilot, "write a word on the selected branches")
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)
        await pilot.press("at", "f9", *"by a key", "enter")
        await until_seen(pilot, "by a key")

asyncio.run(seen())
"""


@pytest.fixture
def extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose processes find one verb more."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "remark.py").write_text(REMARK)
    monkeypatch.setenv("VERTUI_VERBS", str(tmp_path / "more"))
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    with engine_of(tmp_path) as engine:
        put(engine, "main", BranchState.STOPPED)
        engine.catalog.set_setting("trunk", "main")
    home = find_home()
    ensure_daemon(home)
    yield home
    end_all(home)
    shutil.rmtree(home.runtime, ignore_errors=True)


def ran(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, env=os.environ, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_file_is_a_verb(extended: Home) -> None:
    client = Client(extended)
    assert "remark" in ran("-m", "vertui", "--help")
    assert "The word." in ran("-m", "vertui", "remark", "--help")
    assert "stopped" in ran("-m", "vertui", "remark", "main", "the good one")
    [branch] = client.tree().branches
    assert branch.note == "the good one"
    document = json.loads(client._ask("GET", "/openapi.json"))
    assert document["paths"]["/v1/remark"]["post"]["description"] == "Write a word on a branch."
    assert document["components"]["schemas"]["Remark"]["required"] == ["branch", "text"]
    newest = client.log(1)[0]
    assert (newest.verb, newest.undoable) == ("remark", True)
    assert client.undo().summary.endswith("remark main the good one")
    assert client.tree().branches[0].note == ""
    assert json.loads(ran("-c", PROGRAM)) == ["f9", "vertui remark main 'a b'", "by the client"]
    ran("-c", SCREEN)
    assert client.tree().branches[0].note == "by a key"
