"""inspect_ai over machines: an evaluation of its own, by a model that says what it is told to, and its checks of what a
sandbox is.
"""

from pathlib import Path
from typing import Any

import pytest

from core.daemon.client import Client
from tests.guests import Guest

pytest.importorskip("inspect_ai", reason="inspect_ai is not installed: pip install 'vertui[inspect-ai]'")

from inspect_ai import Task, eval_async
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash
from inspect_ai.util import SandboxEnvironmentSpec
from inspect_ai.util._sandbox import self_check

from vertui.adapters.inspect_ai import VertuiSandbox, VertuiSandboxConfig
from vertui.sdk import connect

pytestmark = pytest.mark.filterwarnings("default")
"""What its libraries have deprecated, and leave open until it is collected in a later test, is their own."""

SAMPLES = 3
REFUSED = {  # to others than root
    "test_read_file_not_allowed",
    "test_write_text_file_without_permissions",
    "test_write_binary_file_without_permissions",
}


def scripted(told: list[Any], *_: Any) -> ModelOutput:
    """A model that has a command run, and then says what that printed. It says what it cost: to count that takes a file
    from elsewhere.
    """
    if told[-1].role == "tool":
        output = ModelOutput.from_content("mockllm", told[-1].text)
    else:
        command = f"echo {told[-1].text} > mine; cat warm mine"
        output = ModelOutput.for_tool_call("mockllm", "bash", {"command": command})
    output.usage = ModelUsage()
    return output


async def test_an_evaluation(client: Client, main: Guest, tmp_path: Path) -> None:
    config = VertuiSandboxConfig(ref="main", setup="echo warm > warm", home=str(client.home.root))
    names = [f"sample-{number}" for number in range(SAMPLES)]
    task = Task(
        dataset=[Sample(input=name, target=f"warm\n{name}") for name in names],
        solver=[use_tools(bash(timeout=120)), generate()],
        scorer=includes(),
        sandbox=SandboxEnvironmentSpec("vertui", config),
    )
    model = get_model("mockllm/model", custom_outputs=scripted)
    [log] = await eval_async(task, model=model, log_dir=str(tmp_path), fail_on_error=True)
    assert log.status == "success" and log.results
    assert log.results.scores[0].metrics["accuracy"].value == 1.0
    forks = [one.summary for one in client.log() if one.verb == "fork"]
    assert len(forks) == 2, "one for the setup, one for all samples"
    assert [branch.name for branch in client.tree().branches] == ["main"]
    assert main.run("cat warm").code != 0


@pytest.mark.parametrize("user", [None, "nobody"])
async def test_its_checks(client: Client, main: Guest, user: str | None) -> None:
    async with connect(client.home) as v:
        sandbox = VertuiSandbox(await v.branch("main"), VertuiSandboxConfig(cwd="/tmp", user=user))
        failed: dict[str, BaseException] = {}
        for name in self_check.__all__:
            if user is None and name in REFUSED:
                continue
            try:
                await getattr(self_check, name)(sandbox)
            except Exception as error:
                failed[name] = error
        assert not failed
