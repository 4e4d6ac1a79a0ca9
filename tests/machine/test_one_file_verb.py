"""A verb is added by one new file: it is everywhere that verbs are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import BranchState, CommitState
from tests.branches import put

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
    screen: ClassVar = Entry("w", "remark", "write a word on the selected branches", "remarking on", several=True)

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
from vertui.actions import BY_ID
from core.verbs.base import command_line
from core.verbs.remark import Remark
print(json.dumps([BY_ID["remark"].key, BY_ID["remark"].label, command_line(Remark("main", "a b"))]))
"""


@pytest.fixture
def extended(idle_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose processes find one verb more."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "remark.py").write_text(REMARK)
    monkeypatch.setenv("VERTUI_VERBS", str(tmp_path / "more"))
    put(idle_home, "main", BranchState.STOPPED, CommitState.SEALED)
    ensure_daemon(idle_home)
    return idle_home


def ran(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, env=os.environ
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
    assert json.loads(ran("-c", PROGRAM)) == ["w", "remark", "vertui remark main 'a b'"]
    newest = client.log(1)[0]
    assert (newest.verb, newest.undoable) == ("remark", True)
    assert client.undo().summary.endswith("remark main the good one")
    assert client.tree().branches[0].note == ""
