"""The SDK: every verb is a method made of its value, children come in order whatever becomes of one, commands and their
streams are as on the command line, and no terminal is needed. On twins, and an agent on this machine.
"""

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict, DaemonUnavailable, GuestFailed, NotFound, UsageError
from core.guest.client import AgentClient
from core.model import BranchState
from core.verbs import load, names
from core.verbs.base import NODES, fields_of, help_of, identifier
from core.verbs.prune import Prune
from tests.unit.reached import OneFails, reached, until
from vertui.sdk import AsyncBranch, AsyncVertui, SyncBranch, SyncVertui, connect
from vertui.sdk.methods import Method
from vertui.sdk.swarming import SwarmAsked
from vertui.swarm.spec import SwarmSpec

OF_TERMINALS = {"textual", "rich", "typer", "click", "termios", "tty", "curses", "getpass", "readline"}
LATE = {
    "asyncio",
    "http.client",
    "ssl",
    "websockets",
    "numpy",
    "pydantic",
}  # what is not paid for before it is used


@pytest.mark.parametrize("name", names())
def test_every_verb_is_a_method_made_of_its_value(name: str) -> None:
    verb = load(name)
    first = next(iter(fields_of(verb)), None)
    of_branch = first is not None and first.given.kind in NODES and not first.takes_many
    homes: list[tuple[type[Any], int]] = [(SyncVertui, 0), (AsyncVertui, 0)]
    branches: list[tuple[type[Any], int]] = [(SyncBranch, 1), (AsyncBranch, 1)] if of_branch else []
    for owner, own in homes + branches:
        method = inspect.getattr_static(owner, identifier(name))
        assert isinstance(method, Method) and method.verb is verb, owner
        assert method.__doc__ == help_of(verb)
        wanted = [field.name for field in fields_of(verb)][own:]
        assert [*method.__signature__.parameters] == wanted


def test_no_terminal_is_needed_and_little_is_paid_for() -> None:
    program = (
        "import sys, vertui.sdk\nbefore = set(sys.modules)\n"
        "import vertui.sdk.files, vertui.sdk.running\nprint(*before, '|', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = (set(part.split()) for part in done.stdout.split("|"))
    assert not before & (OF_TERMINALS | LATE) and not after & OF_TERMINALS


async def test_children_come_in_order_and_one_that_fails_keeps_its_siblings() -> None:
    async with reached() as (twins, v):
        base = await v.branch("@trunk")
        twins.engine.hypervisor = OneFails(twins.hypervisor)
        kids = await base.fork(3, "k")
        assert [kid.name for kid in kids] == ["k1", "k2", "k3"] and [kid.ok for kid in kids].count(False) == 1
        failed = next(kid for kid in kids if not kid.ok)
        assert "QEMU ended at once" in failed.reason
        with pytest.raises(Conflict, match=f"{failed.name} did not start: .*QEMU ended at once"):
            await failed.pause()
        others = [kid for kid in kids if kid.ok]
        assert {(await kid.info()).state for kid in others} == {BranchState.RUNNING}
        assert {(await kid.info()).head for kid in others} == {kids[0].commit_id}


async def test_verbs_plans_and_refusals() -> None:
    async with reached() as (_, v):
        base = await v.branch("main")
        [kid] = await base.fork(prefix="kid")
        scored = await kid.score(0.5, note="half")
        assert (scored.score, scored.note) == (0.5, "half") and repr(kid) == "<AsyncChild kid>"
        made = await base.commit("as it is", wait=False)
        assert made.commit.message == "as it is" and (await v.tree()).trunk == "main"
        await kid.rename("better")
        assert kid.name == "better" and (await v.branch("better")).name == "better"
        plan = await v.plan(Prune(("better",)))
        assert plan.branches == ("better",)
        await v.execute(plan)
        with pytest.raises(NotFound, match="no branch 'better'"):
            await kid.info()
        await v.undo()
        assert [branch.name for branch in await v.branches()] == ["main", "better"]
        assert await v.read("better", "/root/state") == b"1\n"
        started = await v.up(name="second")
        assert started.name == "second" and (await started.diff()).entries == ()
        said = await base.journal_append("done", kind="note")
        told = [entry async for entry in base.journal(count=1)]
        assert [(one.seq, one.body, one.author) for one in told] == [(said.seq, "done", "tester")]


async def test_commands_and_files(client: AgentClient, tmp_path: Path) -> None:
    async with reached(client) as (_, v):
        base = await v.branch("main")
        done = await base.exec(
            "cat; echo $A; pwd >&2; exit 3", input="in ", env={"A": "b"}, cwd=str(tmp_path)
        )
        assert (done.exit, done.stdout, done.stderr) == (3, "in b\n", f"{tmp_path}\n")
        assert (await base.exec(["printf", "%s", "$A b"])).stdout == "$A b"
        assert (await base.exec("echo|wc")).exit == 0 and (
            await base.exec("sleep 60", timeout_s=0.1)
        ).timed_out
        where = str(tmp_path / "new" / "file")
        await base.write(where, bytes(range(256)) * 4096)
        assert await base.read(where) == bytes(range(256)) * 4096
        with pytest.raises(GuestFailed, match=r"no/where: .*No such file"):
            await base.read("no/where")
        await base.upload(where, str(tmp_path / "copy"))
        assert (tmp_path / "copy").stat().st_size == 256 * 4096
        listed = [one for one in await v.log() if one.verb == "exec"]
        assert len(listed) == len(await base.ps()) == 4, "files go by no command of anybody's"
        told = [entry async for entry in base.journal() if entry.exec]
        assert [entry.exec.exit for entry in told if entry.exec] == [3, 0, 0, 124]
        assert {entry.author for entry in told} == {"tester"}


async def test_output_is_read_as_it_comes(client: AgentClient) -> None:
    async with reached(client) as (_, v):
        base = await v.branch("main")
        async with base.run("echo ready; read x; echo got $x; exec sleep 60", stdin=True) as running:
            seen = b""
            async for printed in running:
                seen += printed.data
                if seen == b"ready\n":
                    await running.write(b"it\n")
                if seen == b"ready\ngot it\n":
                    running.signal(15)
            ended = await running.wait()
            assert (seen, ended.exit, ended.command) == (b"ready\ngot it\n", 143, running.command)
        async with base.run("yes | head -c 2000000; echo end >&2") as running:
            assert (await running.wait()).stderr == "end\n"  # nobody reads, and it ends all the same


async def test_a_command_hangs_up_with_its_task_or_is_left(client: AgentClient) -> None:
    async with reached(client) as (_, v):
        base = await v.branch("main")

        async def runs(count: int) -> bool:
            return [command.exit_code for command in await base.ps()].count(None) == count

        task = asyncio.create_task(base.exec("sleep 300"))
        await until(lambda: runs(1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: runs(0))
        early = (await asyncio.to_thread(v.blocking.branch, "main")).execution("sleep 300", {})
        early.close()  # before there is a connection to be closed
        with pytest.raises(DaemonUnavailable, match="nobody follows"):
            await asyncio.to_thread(early.outcome)
        await until(lambda: runs(0))
        async with base.run("sleep 300") as running:
            await until(lambda: runs(1))
            number = await running.leave()
        assert await runs(1)
        async with base.attach(number) as again:
            await until(lambda: asyncio.sleep(0, again.command == number))
            again.signal(9)
            assert (await again.wait()).exit == 137


async def test_the_same_without_a_loop() -> None:
    def program(home: Any) -> None:
        with connect(home, author="me") as v:
            base = v.branch("main")
            kids = base.fork(2)
            assert [kid.name for kid in kids] == ["b1", "b2"] and kids[0].diff(since="main").entries == ()
            kids[1].journal_append("said", kind="note")
            assert [entry.author for entry in kids[1].journal(count=1)] == ["me"]
            kids[1].prune(now=True)
            assert [branch.name for branch in v.branches()] == ["main", "b1"]
            with pytest.raises(GuestFailed, match="no programs"):
                base.exec("true")

    async with reached() as (_, v):
        await asyncio.to_thread(program, v.blocking.client.home)


async def test_a_swarm_calls_a_function_of_the_program_for_each_branch() -> None:
    async with reached() as (_, v):

        async def tried(branch: AsyncBranch, number: int) -> float | None:
            info = await branch.info()
            return number * 2.0 if info.state is BranchState.RUNNING else None

        outcome = await v.swarm("tries", tried, base="main", n=3, losers="prune")
        assert [(one.branch, one.score) for one in outcome.results] == [
            ("tries-3", 6), ("tries-2", 4), ("tries-1", 2)
        ]  # fmt: skip
        assert {branch.name for branch in await v.branches()} == {"main", "tries-3"}
        assert await v.swarm("tries", tried, base="main", n=3, losers="prune") == outcome
        with pytest.raises(Conflict, match="it is of something else: give another name"):
            await v.swarm("tries", tried, base="main", n=4)
        with pytest.raises(UsageError, match="score is of a command, and a function is called here"):
            await v.swarm("other", tried, score="printed")
    asked = {"command", "driver", "called"} | {*SwarmAsked.__annotations__}
    assert asked == {*SwarmSpec.__struct_fields__}, "what a spec has can be asked for"
