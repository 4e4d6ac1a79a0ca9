"""A branch is an environment of mini-swe-agent, and where that is installed, its own agent works in it, with a model
that says what it is told to.
"""

import asyncio
import importlib.util
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest

from core.daemon.endpoint import TOKEN, URL
from core.guest.client import AgentClient
from tests.twins.served import open_port
from tests.unit.reached import reached
from tests.unit.test_driven_by_programs import configured
from vertui.adapters import mini_swe_agent
from vertui.adapters.mini_swe_agent import DONE, VertuiEnvironment, VertuiEnvironmentConfig
from vertui.sdk import SyncBranch

ASSETS = Path(__file__).parents[2] / "assets"


async def test_an_environment_is_a_branch(client: AgentClient, tmp_path: Path) -> None:
    def attempt(branch: SyncBranch, lost: SyncBranch) -> None:
        config = VertuiEnvironmentConfig(cwd=str(tmp_path), env={"A": "b"}, timeout=20)
        environment = VertuiEnvironment.of(branch, config)
        ran = environment.execute({"command": "echo $A; pwd; echo no >&2; exit 3"})
        assert ran == {"output": f"b\n{tmp_path}\nno\n", "returncode": 3, "exception_info": ""}
        assert environment.execute({"command": "pwd"}, cwd="/")["output"] == "/\n"
        late = environment.execute({"command": "echo so far; sleep 20"}, timeout=1)
        assert (late["returncode"], late["output"]) == (-1, "so far\n") and "timed out" in late[
            "exception_info"
        ]
        lost.name = "nobody"
        assert (
            "no branch 'nobody'"
            in VertuiEnvironment.of(lost, config).execute({"command": "true"})["exception_info"]
        )
        assert environment.get_template_vars(task="t")["system"] == "Linux"
        assert environment.serialize()["info"]["branch"] == "main"
        [child] = environment.forked(1)
        assert (child.branch.name, child.config) == ("b1", config)

    async with reached(client) as (_, v):
        branches = [await asyncio.to_thread(v.blocking.branch, "main") for _ in range(2)]
        await asyncio.to_thread(attempt, *branches)


async def test_what_is_configured_is_an_attempt_in_a_branch_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    yaml: Any = pytest.importorskip("yaml")
    environments: Any = pytest.importorskip("minisweagent.environments")
    [line] = configured("mini-swe-agent")
    shown = textwrap.dedent((mini_swe_agent.__doc__ or "").split("\n\n")[1])
    told = yaml.safe_load(shown)["environment"]
    assert yaml.safe_load(line).items() <= told.items()
    async with reached() as (_, v):
        [at] = await asyncio.to_thread(open_port, v.blocking.client, "harness")
        monkeypatch.setenv(URL, at.url)
        monkeypatch.setenv(TOKEN, at.token)
        made = await asyncio.to_thread(environments.get_environment, told)
        assert type(made) is VertuiEnvironment and made.branch.name == "b1"
        assert (made.config.branch, made.config.cwd) == ("main", "/root/project")


async def test_its_agent_works_in_a_branch(client: AgentClient, tmp_path: Path) -> None:
    models: Any = pytest.importorskip("minisweagent.models.test_models")
    agents: Any = pytest.importorskip("minisweagent.agents.default")

    def attempt(branch: SyncBranch) -> None:
        environment = VertuiEnvironment.of(branch, VertuiEnvironmentConfig(cwd=str(tmp_path)))
        commands = ("echo 'x = 1' > made.py", f"echo {DONE}; cat made.py")
        outputs = [models.make_output("next", [{"command": command}]) for command in commands]
        model, templates = models.DeterministicModel(outputs=outputs), ("you work", "{{task}} on {{system}}")
        agent = agents.DefaultAgent(
            model, environment, system_template=templates[0], instance_template=templates[1]
        )
        ended = agent.run("make a file")
        assert (ended["exit_status"], ended["submission"]) == ("Submitted", "x = 1\n")
        assert "make a file on Linux" in str(agent.messages)

    async with reached(client) as (_, v):
        await asyncio.to_thread(attempt, await asyncio.to_thread(v.blocking.branch, "main"))


async def test_the_swarm_of_agents_repairs_the_demos_project(client: AgentClient, tmp_path: Path) -> None:
    pytest.importorskip("minisweagent.models.test_models")
    spec = importlib.util.spec_from_file_location("agents", ASSETS / "swarms" / "agents.py")
    assert spec and spec.loader
    agents = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(agents)

    def attempt(branch: SyncBranch, number: int) -> float:
        there = shutil.copytree(ASSETS / "demo", tmp_path / str(number))
        score: float = agents.attempt(branch, number, str(there / "project"))
        return score

    async with reached(client) as (_, v):
        main = await asyncio.to_thread(v.blocking.branch, "main")
        scores = [await asyncio.to_thread(attempt, main, number) for number in (1, 2, 3)]
    assert scores[1] == 1 > max(scores[0], scores[2])
