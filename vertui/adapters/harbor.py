"""An environment of Harbor that is a branch: trials that start together are one fork of a machine that is ready.

    harbor run … --env vertui.adapters.harbor:BranchEnvironment --ek ref=main

The protocol is `harbor.environments.base.BaseEnvironment` of 0.26, for Python 3.12. No Dockerfile is built: what
a task's environment is to be, `ref` is already.
"""

from __future__ import annotations

import asyncio
import codecs
import shlex
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

from harbor.environments.base import BaseEnvironment, ExecResult, OutputStream
from harbor.environments.capabilities import EnvironmentCapabilities
from harbor.environments.definition import COMPOSE_FILE_NAME
from harbor.environments.options import EnvironmentOptions
from harbor.models.task.config import NetworkMode, NetworkPolicy

from core.verbs.egress import Mode
from vertui.adapters.starts import Starts, pruned, warm
from vertui.sdk import AsyncChild, AsyncRunning, ExecOptions, connect

PREFIX = "harbor-"  # of branches
MODES: dict[NetworkMode, Mode] = {
    NetworkMode.PUBLIC: "open",
    NetworkMode.NO_NETWORK: "off",
    NetworkMode.ALLOWLIST: "allow",
}


class BranchOptions(EnvironmentOptions):
    """`ref` is what trials are forked from: a branch, which is committed once, or a commit. `refs` are others, by the
    name of a task's environment. `cwd` is where commands run where a task does not say.
    """

    ref: str | None = None
    refs: Mapping[str, str] = {}
    cwd: str = "/root"
    home: str | None = None
    author: str = "harbor"


class BranchEnvironment(BaseEnvironment):
    """A branch for one trial. `branch` is its handle: `await environment.branch.diff()`."""

    options_model = BranchOptions
    options: BranchOptions
    branch: AsyncChild

    @staticmethod
    def type() -> str:
        """Its name."""
        return "vertui"

    @property
    def capabilities(self) -> EnvironmentCapabilities:
        """What a branch's egress holds a task to, at any time."""
        return EnvironmentCapabilities(
            disable_internet=True,
            network_allowlist=True,
            network_allowlist_hostnames=True,
            network_allowlist_wildcard_hostnames=True,
            network_allowlist_ipv4_addresses=True,
            network_allowlist_ipv4_cidrs=True,
            dynamic_network_policy=True,
        )

    @property
    def ref(self) -> str:
        """What this task's trials come from; empty where nobody said."""
        return self.options.refs.get(self.environment_name) or self.options.ref or ""

    def _validate_definition(self) -> None:
        if not self.ref:
            raise ValueError(f"say what trials of {self.environment_name} are forked from: --ek ref=main")
        if (self.environment_dir / COMPOSE_FILE_NAME).exists():
            raise ValueError(f"{self.environment_name} takes several containers, and a branch is one machine")

    async def start(self, force_build: bool) -> None:
        """Fork it, with all that start meanwhile. It reaches nothing before the task's policy lets it."""
        if force_build:
            raise ValueError(f"nothing is built here: {self.ref} is what trials are forked from")
        self.branch = await (await _starts(self.options, self.ref)).child()
        try:
            if self.network_policy.network_mode is not NetworkMode.NO_NETWORK:
                await self._apply_network_policy(self.network_policy)
            await self.ensure_dirs(self._mount_targets(writable_only=True))
            await self._upload_environment_dir_after_start()
        except BaseException:
            await self.stop(delete=True)
            raise

    async def stop(self, delete: bool) -> None:
        """Remove it for good, or have it stay. Harbor asks for it also where there was none to start from."""
        if delete and "branch" in vars(self):
            await pruned(self.branch.vertui, [self.branch])

    async def exec(
        self,
        command: str,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_sec: int | None = None,
        user: str | int | None = None,
    ) -> ExecResult:
        """Run a line of bash."""
        who = self._resolve_user(user)
        options: ExecOptions = {
            "cwd": cwd or self.task_env_config.workdir or self.options.cwd,
            "env": self._merge_env(env) or {},
            "user": "root" if who is None else str(who),
        }
        if timeout_sec:
            options["timeout_s"] = timeout_sec
        return await self._followed(self.branch.run(["bash", "-c", command], **options), timeout_sec)

    async def upload_file(self, source_path: Path | str, target_path: str) -> None:
        """Copy a file in."""
        await self._make_directory(str(Path(target_path).parent))
        await self.branch.upload(source_path, target_path)

    async def upload_dir(self, source_dir: Path | str, target_dir: str) -> None:
        """Copy in what a directory holds."""
        await self._make_directory(target_dir)
        await self.branch.upload(f"{source_dir}/.", target_dir)

    async def download_file(self, source_path: str, target_path: Path | str) -> None:
        """Copy a file out."""
        Path(target_path).parent.mkdir(parents=True, exist_ok=True)
        await self.branch.download(source_path, target_path)

    async def download_dir(self, source_dir: str, target_dir: Path | str) -> None:
        """Copy out what a directory holds."""
        Path(target_dir).mkdir(parents=True, exist_ok=True)
        await self.branch.download(f"{source_dir}/.", target_dir)

    async def _apply_network_policy(self, network_policy: NetworkPolicy) -> None:
        mode, rules = MODES[network_policy.network_mode], tuple(network_policy.allowed_hosts)
        if mode != "allow":
            await self.branch.egress(mode)
        else:
            await self.branch.egress("allow" if rules else "off", rules)

    async def _make_directory(self, path: str) -> None:
        made = await self.exec(f"mkdir -p -- {shlex.quote(path)}", user="root")
        if made.return_code:
            raise RuntimeError(f"{self.branch.name} has no directory {path}: {made.stderr}")

    async def _followed(self, running: AsyncRunning, limit: int | None) -> ExecResult:
        """All that a command prints, told as it comes to whoever listens."""
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        texts: dict[OutputStream, list[str]] = {"stdout": [], "stderr": []}
        tell = self._output_callback()
        async with running:
            async for printed in running:
                name: OutputStream = "stderr" if printed.is_error else "stdout"
                texts[name].append(decoders[name].decode(printed.data))
                if tell and texts[name][-1]:
                    await tell(texts[name][-1], name)
            ended = await running.wait()
        if ended.timed_out:
            raise RuntimeError(f"Command timed out after {limit} seconds")
        out, err = ("".join(texts[name]) + decoders[name].decode(b"", True) for name in texts)
        return ExecResult(stdout=out or None, stderr=err or None, return_code=ended.exit)


_STARTS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str | None, str], asyncio.Task[Starts]]]
_STARTS = WeakKeyDictionary()  # what trials come from, by home and REF: all of a job from one state


async def _starts(options: BranchOptions, ref: str) -> Starts:
    """Begun by whoever needs them first."""
    begun = _STARTS.setdefault(asyncio.get_running_loop(), {})
    key = (options.home, ref)
    if key not in begun:
        begun[key] = asyncio.create_task(_begun(options, ref))
    try:
        return await asyncio.shield(begun[key])
    except Exception:
        begun.pop(key, None)
        raise


async def _begun(options: BranchOptions, ref: str) -> Starts:
    v = await connect(options.home, author=options.author)
    return Starts(v, await warm(v, ref, "harbor"), PREFIX, ("off",))
