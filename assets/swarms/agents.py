"""Agents at once on the demo's project, each in a branch of its own: mini-swe-agent, with a model that says what it is
told to, so no network is needed. `python3 assets/swarms/agents.py`; it takes `pip install 'vertui[mini-swe-agent]'`.
"""

import json
from pathlib import Path

from minisweagent.agents.default import DefaultAgent
from minisweagent.models.test_models import DeterministicModel, make_output
from vertui.adapters.mini_swe_agent import DONE, VertuiEnvironment, VertuiEnvironmentConfig
from vertui.sdk import SyncBranch, connect

DEMO = Path(__file__).parents[1] / "demo"
PROJECT = "/root/demo/project"
TEST = "python3 -B ../score.py"
IDEAS = ("half", "right", "wrong")  # the patch that each agent comes to


def attempt(branch: SyncBranch, number: int, project: str = PROJECT) -> float:
    """Have an agent repair the project in a branch; the share of its tests that pass then."""
    script = (
        ("What fails?", TEST),
        ("The fault is in here.", "cat slots/calendar.py"),
        ("It may be this.", f"git apply ../patches/{IDEAS[number - 1]}.patch"),
        ("Does that help?", TEST),
        ("That is what I can do.", f"echo {DONE}; cat slots/calendar.py"),
    )
    model = DeterministicModel(
        outputs=[make_output(said, [{"command": command}]) for said, command in script]
    )
    environment = VertuiEnvironment.of(branch, VertuiEnvironmentConfig(cwd=project))
    agent = DefaultAgent(
        model, environment, system_template="You repair projects.", instance_template="{{task}}"
    )
    agent.run("The project's tests fail: repair it.")
    told = json.loads(branch.exec(TEST, cwd=project).stdout.strip().rpartition("\n")[2])
    return float(told["passed"] / told["total"])


def main() -> None:
    """The best of them is left; `vertui swarm show agents` tells of all."""
    with connect(author="mini-swe-agent") as v:
        done = v.swarm("agents", attempt, n=len(IDEAS), files={str(DEMO): "/root/demo"}, losers="prune")
    for one in done.results:
        print(one.branch, one.note if one.score is None else one.score)
    print(f"{done.winner} won: `vertui diff {done.forked[:8]} {done.winner}`" if done.winner else done.why)


if __name__ == "__main__":
    main()
