"""A fork of many as others' harnesses have it, by their adapters, where their packages are installed."""

import asyncio
import importlib.util
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from report import timed_ms

MINI_SWE_AGENT, INSPECT_AI, HARBOR = "mini-swe-agent", "inspect_ai", "Harbor"
PACKAGES = {MINI_SWE_AGENT: "minisweagent", INSPECT_AI: "inspect_ai", HARBOR: "harbor"}


@dataclass(frozen=True)
class Asked:
    """What is forked: a running branch, or a commit of it, and into how many; `place` is a directory to write in."""

    home: str
    branch: str
    commit: str
    children: int
    place: Path


Fork = Callable[[], Awaitable[dict[str, float]]]
"""Forks once; how long that took, ms, by the name of the way."""


def is_installed(name: str) -> bool:
    """Is a harness's package there?"""
    return importlib.util.find_spec(PACKAGES[name]) is not None


def mini_swe_agent(asked: Asked) -> Fork:
    """An attempt, in so many ways from where it is."""
    from vertui.adapters.mini_swe_agent import VertuiEnvironment

    attempt = VertuiEnvironment(branch=asked.branch, fork=False, home=asked.home)

    async def fork() -> dict[str, float]:
        return {MINI_SWE_AGENT: timed_ms(lambda: attempt.forked(asked.children))}

    return fork


def inspect_ai(asked: Asked) -> Fork:
    """So many samples of one task, which are begun together. The task has its commit by then."""
    from vertui.adapters.inspect_ai import VertuiSandbox, VertuiSandboxConfig

    config = VertuiSandboxConfig(ref=asked.commit, home=asked.home)

    async def fork() -> dict[str, float]:
        await VertuiSandbox.task_init("bench", config)
        began = time.perf_counter()
        samples = [VertuiSandbox.sample_init("bench", config, {}) for _ in range(asked.children)]
        await asyncio.gather(*samples)
        return {INSPECT_AI: (time.perf_counter() - began) * 1000}

    return fork


def harbor(asked: Asked) -> Fork:
    """So many trials that are started together, with nothing mounted."""
    from harbor.models.task.config import EnvironmentConfig, NetworkMode, NetworkPolicy
    from harbor.models.trial.paths import TrialPaths

    from vertui.adapters.harbor import BranchEnvironment

    def trial(number: int) -> BranchEnvironment:
        return BranchEnvironment(
            environment_dir=asked.place,
            environment_name="bench",
            session_id=f"trial-{number}",
            trial_paths=TrialPaths(trial_dir=asked.place / f"trial-{number}"),
            task_env_config=EnvironmentConfig(),
            network_policy=NetworkPolicy(network_mode=NetworkMode.NO_NETWORK),
            ref=asked.commit,
            home=asked.home,
        )

    async def fork() -> dict[str, float]:
        trials = [trial(number) for number in range(asked.children)]
        began = time.perf_counter()
        await asyncio.gather(*(one.start(False) for one in trials))
        return {HARBOR: (time.perf_counter() - began) * 1000}

    return fork


HARNESSES = {MINI_SWE_AGENT: mini_swe_agent, INSPECT_AI: inspect_ai, HARBOR: harbor}
