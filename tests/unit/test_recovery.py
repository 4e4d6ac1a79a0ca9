"""`recover`: a branch from its last commit and the journal after it, by the real command line on an engine of twins."""

import json
import time
from typing import Any

import pytest

from core.catalog_values import Intent
from core.engine.recover import MACHINE, end_half_replayed, recover
from core.errors import Conflict, GuestFailed
from core.journal.entry import EntryKind, JournalExec, NewEntry
from core.model import BranchState, CommitState
from tests.twins.engine import twin_engine
from tests.twins.guest import Guest
from tests.unit.test_journals import ask, asked
from vertui.cli import main

RAN = NewEntry(EntryKind.EXEC, "built\n", exec=JournalExec(("make", "all"), 3, exit=0))


async def test_lost_branches_come_back_and_what_came_after_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with asked() as (twins, client):
        monkeypatch.setenv("VERTUI_HOME", str(twins.engine.home.root))

        async def run(*argv: str) -> tuple[int, str, str]:
            status = await ask(main, ["recover", *argv])
            said = capsys.readouterr()
            return status, said.out, said.err

        engine = twins.engine
        await twins.do("commit", "main", "works")
        row = engine.branch("main")
        await twins.do("up", None, "other")
        await engine.journals.append(row.id, [NewEntry(EntryKind.MESSAGE, "plan\x1b[2J"), RAN])
        await twins.crash("main")
        status, out, _ = await run("--all", "--replay", "--dry-run")
        assert status == 0 and f"main  would start from {row.head[:8]} works" in out
        assert "plan\\x1b[2J" in out and "make all  to be run again" in out and "other" not in out
        assert engine.branch("main").state is BranchState.LOST
        status, out, err = await run("main", "--replay")
        assert status == GuestFailed.exit_status and "the replay stopped at entry 3: " in err
        assert "there are no programs in this guest" in err, "which is why it could not be run again"
        assert (await run("main", "--output"))[0] == 2
        again = engine.branch("main")
        assert (again.state, again.head) == (BranchState.RUNNING, row.head)
        told = await ask(lambda: list(client.journal("main")))
        assert [entry.tried for entry in told[:3]] == [False, False, True] and told[-1].lost
        assert told[-1].body.startswith(f"replayed on {row.head[:12]}: 0 commands run again, stopped at 3: ")
        await twins.crash("main")
        done = await ask(lambda: client.recover("main", dry_run=True))
        assert not done.steps and [entry.body for entry in done.after][:1] == ["plan\x1b[2J"]
        status, out, _ = await run("--all", "--json")
        assert status == 0 and json.loads(out)[0]["branch"]["state"] == "running"


@pytest.mark.parametrize("replay", [False, True])
async def test_one_that_runs_is_committed_first_and_undo_brings_it_back(replay: bool) -> None:
    async with asked() as (twins, client):
        head = (await twins.do("commit", "main", "works")).commit.id
        twins.machine("main").guest.commands["worked"] = "since"
        done = await ask(lambda: client.recover("main", replay=replay))
        assert not twins.machine("main").guest.commands
        assert done.commit == head == twins.engine.branch("main").head
        [saved] = [one for one in twins.engine.catalog.commits() if one.message == "before restore"]
        assert saved.parents == (head,) and saved.state is CommitState.SEALED
        [operation] = [one for one in twins.engine.catalog.operations() if one.verb == "recover"]
        assert operation.undoable
        await twins.do("undo")
        assert twins.machine("main").guest.commands == {"worked": "since"}
        journal = await ask(lambda: list(client.journal("main")))
        assert [entry.kind for entry in journal][-2:] == ["restore", "restore"]


async def test_one_that_ran_is_replayed_again_when_its_machine_ends_in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = Guest.answer

    def dies(guest: Guest, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] != "exec":
            return answer(guest, request)
        machine = twins.machine("main")
        machine.end()
        twins.held.ended(f"{MACHINE}{machine.id}", -9)
        raise ConnectionResetError

    async with asked() as (twins, client):
        await twins.do("commit", "main", "works")
        await twins.engine.journals.append(twins.engine.branch("main").id, [RAN])
        with monkeypatch.context() as patch:
            patch.setattr(Guest, "answer", dies)
            with pytest.raises(Conflict):
                await ask(lambda: client.recover("main", replay=True))
        assert twins.engine.branch("main").state is BranchState.LOST
        done = await ask(lambda: client.recover("main", replay=True, dry_run=True))
        assert [step.argv for step in done.steps] == [("make", "all")]
        await ask(lambda: client.recover("main"))
        done = await ask(lambda: client.recover("main", replay=True, dry_run=True))
        assert [step.argv for step in done.steps] == [("make", "all")], "nobody has taken it back"


async def test_a_replay_that_the_daemon_died_in_is_begun_again() -> None:
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up", None, "main")
            engine, row = twins.engine, twins.engine.branch("main")
            rows = {f"{MACHINE}{row.machine}": row}
            end_half_replayed(engine, [Intent(replayed=row.id, machine=row.machine)], rows)
            assert rows and engine.branch("main") == row, (
                "it was not taken back yet: it has what nobody committed"
            )
            engine.catalog.begin("r", "recover", "recover main", Intent(replayed=row.id), time.time())
            live = engine.machines.live.pop(row.id)  # this daemon has not adopted it yet
            await recover(engine, lambda _: None)
            found = engine.branch("main")
            assert found.state is BranchState.LOST and "recover --replay main" in found.reason
            assert found.machine is None and row.id not in engine.machines.live
            await live.close()
        finally:
            await twins.close()
