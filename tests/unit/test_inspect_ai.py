"""A branch is a sandbox of inspect_ai: it passes inspect_ai's own checks, and samples are forked from one commit."""

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from typing import Any

import pytest

from core.daemon.endpoint import TOKEN, URL
from core.guest.client import AgentClient
from tests.twins.served import open_port
from tests.unit.reached import reached
from tests.unit.test_driven_by_programs import configured

pytest.importorskip("inspect_ai", reason="inspect_ai is not installed: pip install 'vertui[inspect-ai]'")

from inspect_ai import Task
from inspect_ai._cli.eval import eval_command
from inspect_ai._cli.util import parse_sandbox
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import Sample
from inspect_ai.util._sandbox.environment import SandboxUnavailableError
from inspect_ai.util._sandbox.limits import OutputLimitExceededError, override_max_exec_output_size
from inspect_ai.util._sandbox.registry import registry_find_sandboxenv
from inspect_ai.util._sandbox.self_check import *  # noqa: F403

from vertui.adapters.inspect_ai import VertuiSandbox, VertuiSandboxConfig

OF_THIS_HOST = {"test_exec_as_user"}  # adds a user to it
ORDINARY = "nobody"


@pytest.fixture
async def sandbox_env(client: AgentClient, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """What inspect_ai's checks are made on: an ordinary user's, as no permission is refused to root."""
    if request.node.originalname in OF_THIS_HOST:
        pytest.skip("it is for a machine")
    directory = tempfile.mkdtemp()
    if is_root := os.geteuid() == 0:
        shutil.chown(directory, ORDINARY)
    config = VertuiSandboxConfig(cwd=directory, user=ORDINARY if is_root else None)
    try:
        async with reached(client) as (_, v):
            yield VertuiSandbox(await v.branch("main"), config)
    finally:
        shutil.rmtree(directory)


async def test_what_its_checks_leave_out(sandbox_env: VertuiSandbox) -> None:
    ran = await sandbox_env.exec(["pwd"], cwd="/")
    assert (ran.success, ran.stdout) == (True, "/\n")
    assert (await sandbox_env.exec(["no such program"])).returncode == 127
    assert (await sandbox_env.exec(["true"], cwd="/no/where")).returncode == 127
    with override_max_exec_output_size(1000), pytest.raises(OutputLimitExceededError) as told:
        await sandbox_env.exec(["yes"], timeout=60)
    assert told.value.truncated_output == "y\n" * 500
    await sandbox_env.write_file("crlf", "a\r\nb")
    assert await sandbox_env.read_file("crlf") == "a\r\nb"
    await sandbox_env.write_file("crlf", b"\xff")
    with pytest.raises(UnicodeDecodeError):
        await sandbox_env.read_file("crlf")
    with pytest.raises(NotADirectoryError):
        await sandbox_env.read_file("crlf/below")
    ran_there = [entry async for entry in sandbox_env.branch.journal() if entry.exec]
    assert len(ran_there) == 4, "a file that is read or written is no command of the agent's"
    assert (await sandbox_env.connection()).command == "vertui shell main"
    assert (await sandbox_env.connection(user="a b")).command == "vertui exec -it -u 'a b' main -- bash -l"
    sandbox_env.branch._blocking.name = "nobody"
    with pytest.raises(ConnectionError):
        await sandbox_env.connection()
    with pytest.raises(SandboxUnavailableError, match="no branch 'nobody'"):
        await sandbox_env.exec(["true"])
    with pytest.raises(SandboxUnavailableError, match="no branch 'nobody'"):
        await sandbox_env.read_file("crlf")


def test_what_the_readme_configures_is_a_branch() -> None:
    asked, line = configured("inspect-ai")
    task = eval(asked.replace("...", "dataset"), {"Task": Task, "dataset": [Sample(input="x")]})
    words = shlex.split(line)
    assert words[:2] == ["inspect", "eval"]
    typed = parse_sandbox(eval_command.make_context("eval", words[2:]).params["sandbox"])
    assert task.sandbox == typed and (typed.type, typed.config) == ("vertui", "main")
    assert VertuiSandboxConfig.of(typed.config).ref == "main"


async def test_samples_come_from_one_commit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind: Any = registry_find_sandboxenv("vertui")
    [point] = entry_points(group="inspect_ai", name="vertui")  # by which it is found, whatever is imported
    assert kind is VertuiSandbox and point.load().VertuiSandbox is kind
    config = VertuiSandboxConfig(ref="main")
    assert kind.config_deserialize(config.model_dump()) == config
    async with reached() as (_, v):
        [at] = await asyncio.to_thread(open_port, v.blocking.client, "harness")
        monkeypatch.setenv(URL, at.url)
        monkeypatch.setenv(TOKEN, at.token)
        await kind.task_init("startup", config)
        made = await asyncio.gather(*(kind.sample_init("task", config, {}) for _ in range(3)))
        first, second, third = (one["default"].branch for one in made)
        assert [one.verb for one in await v.log()].count("fork") == 1
        await kind.sample_cleanup("task", config, made[0], False)
        await kind.sample_cleanup("task", config, made[1], True)  # interrupted: it goes at the end
        assert {branch.name for branch in await v.branches()} == {"main", second.name, third.name}
        await kind.task_cleanup("shutdown", config, True)
        await kind.task_cleanup("shutdown", config, True)
        assert [branch.name for branch in await v.branches()] == ["main"]

        made = [await kind.sample_init("task", "main", {})]  # of a sample's own, that no task began
        name = made[0]["default"].branch.name
        assert (await v.branch(name)).name.startswith("inspect-") and name != first.name
        await kind.task_cleanup("shutdown", "main", False)
        assert f"`vertui prune {name}` removes them" in capsys.readouterr().out
        await kind.cli_cleanup("main")
        assert len(await v.branches()) == 2
        await kind.cli_cleanup(None)
        assert [branch.name for branch in await v.branches()] == ["main"]

        with pytest.raises(PrerequisiteError) as told:
            await kind.sample_init("task", "nobody", {})
        assert "vertui: no " in told.value.message and not VertuiSandbox._begun
        with pytest.raises(PrerequisiteError) as told:
            await kind.task_init("startup", VertuiSandboxConfig(ref="main", setup="make"))
        assert "there are no programs in this guest" in told.value.message
        assert [branch.name for branch in await v.branches()] == ["main"], "what was set up is not left"
