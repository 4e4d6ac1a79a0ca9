"""A branch is an environment of Harbor, which takes Python 3.12: trials that start together are one fork, each held to
its task's policy, and what Harbor's base class does of itself works in it.
"""

import asyncio
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer

from core.daemon.endpoint import TOKEN, URL
from core.errors import NotFound
from core.guest.client import AgentClient
from core.reach import ReachMode
from tests.twins.engine import Twins
from tests.twins.served import open_port
from tests.unit.reached import reached
from tests.unit.test_driven_by_programs import configured

pytest.importorskip("harbor", reason="Harbor is not installed: pip install 'vertui[harbor]', on Python 3.12")

from harbor.cli.jobs import build_job_config
from harbor.cli.main import app
from harbor.environments.factory import EnvironmentFactory
from harbor.models.task.config import EnvironmentConfig, NetworkMode, NetworkPolicy
from harbor.models.trial.paths import TrialPaths

from vertui.adapters.harbor import BranchEnvironment


def environment(place: Path, mode: str = "no-network", **options: Any) -> Any:
    (place / "task").mkdir(exist_ok=True)
    return BranchEnvironment(
        environment_dir=place / "task",
        environment_name="task",
        session_id="trial",
        trial_paths=TrialPaths(trial_dir=place / "trial"),
        task_env_config=EnvironmentConfig(),
        network_policy=NetworkPolicy(network_mode=NetworkMode(mode)),
        **{"ref": "main", "cwd": str(place), **options},
    )


@contextmanager
def programs(twins: Twins, agent: AgentClient) -> Iterator[None]:
    """All guests have the real agent meanwhile."""
    lives = [(live, live._agent) for live in twins.engine.machines.live.values()]
    for live, _ in lives:
        live._agent = agent
    try:
        yield
    finally:
        for live, own in lives:
            live._agent = own


async def test_a_trial_is_a_branch(
    client: AgentClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="say what trials of task are forked from: --ek ref=main"):
        environment(tmp_path, ref=None)
    with pytest.raises(ValueError, match="Unknown option 'reff'"):
        environment(tmp_path, reff="main")
    async with reached(client) as (twins, v):
        [at] = await asyncio.to_thread(open_port, v.blocking.client, "harness")
        monkeypatch.setenv(URL, at.url)
        monkeypatch.setenv(TOKEN, at.token)
        trials = [environment(tmp_path, mode) for mode in ("no-network", "public", "no-network")]
        await asyncio.gather(*(trial.start(False) for trial in trials))
        assert [one.verb for one in await v.log()].count("fork") == 1
        reach = [(await trial.branch.info()).egress.mode for trial in trials]
        assert reach == [ReachMode.OFF, ReachMode.OPEN, ReachMode.OFF]
        allowed = NetworkPolicy(network_mode=NetworkMode.ALLOWLIST, allowed_hosts=["*.example.org"])
        await trials[0].set_network_policy(allowed)
        [rule] = (await trials[0].branch.info()).egress.to
        assert rule.host == "*.example.org"
        with programs(twins, client):
            await work(trials[0], tmp_path)
        await trials[1].stop(delete=False)
        await asyncio.gather(*(trials[at].stop(delete=True) for at in (0, 2)))
        assert [branch.name for branch in await v.branches()] == ["main", trials[1].branch.name]
        unknown = environment(tmp_path, ref="nobody")
        with pytest.raises(NotFound, match="no branch"):
            await unknown.start(False)
        await unknown.stop(delete=True)


def test_the_line_of_the_readme_makes_one(tmp_path: Path) -> None:
    [line] = [code for code in configured("harbor") if code.startswith("harbor ")]
    verb, *words = shlex.split(line.replace("...", f"--path {tmp_path}"))[1:]
    group: Any = typer.main.get_command(app)
    command = group.commands[verb]
    options = {name: option for option in command.params for name in option.opts}
    assert not [word for word in words if word.startswith("-") and options[word].hidden], "it is deprecated"
    asked = build_job_config(**command.make_context(verb, words).params).environment
    given = {
        "environment_dir": tmp_path,
        "environment_name": "task",
        "session_id": "trial",
        "trial_paths": TrialPaths(trial_dir=tmp_path / "trial"),
        "task_env_config": EnvironmentConfig(),
    }
    made = EnvironmentFactory.create_environment_from_config(asked, **given)
    assert type(made) is BranchEnvironment and made.ref == "main"


async def work(trial: Any, place: Path) -> None:
    """What Harbor does with an environment."""
    ran = await trial.exec("echo one; echo no >&2; pwd; echo $A; exit 3", env={"A": "b"})
    assert (ran.stdout, ran.stderr, ran.return_code) == (f"one\n{place}\nb\n", "no\n", 3)
    heard: list[tuple[str, str]] = []

    async def hear(text: str, stream: str) -> None:
        heard.append((stream, text))

    with trial.scoped_output_callback(hear):
        await trial.exec("echo é >&2")
    assert heard == [("stderr", "é\n")]
    with pytest.raises(RuntimeError, match="Command timed out after 1 seconds"):
        await trial.exec("sleep 20", timeout_sec=1)
    here, there = place / "here", str(place / "there" / "below")
    (here / "sub").mkdir(parents=True)
    (here / "sub" / "file").write_text("x")
    await trial.upload_dir(here, there)
    await trial.upload_file(here / "sub" / "file", f"{there}/new/file")
    await trial.download_dir(there, place / "back")
    await trial.download_file(f"{there}/new/file", place / "out" / "file")
    assert (place / "back" / "sub" / "file").read_text() == (place / "out" / "file").read_text() == "x"
    assert await trial.is_dir(there) and not await trial.is_dir(f"{there}/new/file")
    await trial.download_dir_filtered(source_dir=there, target_dir=place / "some", include=["sub/*"])
    assert [path.name for path in (place / "some").rglob("*")] == ["sub", "file"]
    await trial.empty_dirs([there])
    assert (await trial.exec(f"ls {there}")).stdout is None
