"""An `Environment` of mini-swe-agent that is a branch: each attempt has a child of its own, forked from a warm machine.

    environment:
      environment_class: vertui.adapters.mini_swe_agent.VertuiEnvironment
      branch: main
      cwd: /root/project

The protocol is `minisweagent.Environment` of 2.x: `execute` gives output, returncode and exception_info, and raises
Submitted when the agent says that it is done.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import BaseModel

from core.errors import VertuiError
from vertui.sdk import SyncBranch, connect

DONE = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
Told = dict[str, Any]  # as the protocol has it


class VertuiEnvironmentConfig(BaseModel):
    """`branch` is forked for this attempt, unless `fork` is False: then it is worked in itself. `cwd` and `env` are the
    commands', `timeout` is seconds. `keep` leaves the child there at the end; else it goes into the trash.
    """

    branch: str = "@trunk"
    fork: bool = True
    cwd: str = "/root"
    env: dict[str, str] = {}
    timeout: int = 30
    keep: bool = True
    home: str | None = None
    author: str = "mini-swe-agent"


class VertuiEnvironment:
    """A branch for one attempt. `branch` is its handle: `branch.diff()` is what it did."""

    def __init__(self, *, config_class: type = VertuiEnvironmentConfig, **given: Any) -> None:
        self.config: Any = config_class(**given)
        v = connect(self.config.home, author=self.config.author).connected()
        base = v.branch(self.config.branch)
        self.branch: SyncBranch = base.fork()[0] if self.config.fork else base

    @classmethod
    def of(cls, branch: SyncBranch, config: Any) -> VertuiEnvironment:
        """An environment over a branch that is there."""
        made = cls.__new__(cls)
        made.config, made.branch = config, branch
        return made

    def forked(self, n: int) -> list[VertuiEnvironment]:
        """So many ways to go on from here, each in a machine of its own. MachineFailed where one did not start."""
        return [type(self).of(child, self.config) for child in self.branch.fork(n)]

    def execute(self, action: Told, cwd: str = "", *, timeout: int | None = None) -> Told:
        """Run a command; its output, stdout and stderr as they came, and exit status."""
        limit = timeout or self.config.timeout
        argv = ["bash", "-c", f"exec 2>&1\n{action.get('command', '')}"]
        try:
            done = self.branch.exec(argv, cwd=cwd or self.config.cwd, env=self.config.env, timeout_s=limit)
        except VertuiError as error:
            return _failed("", type(error).__name__, str(error))
        if done.timed_out:
            return _failed(done.stdout, "TimeoutExpired", f"the command timed out after {limit} seconds")
        output = {"output": done.stdout, "returncode": done.exit, "exception_info": ""}
        _check_done(output)
        return output

    def get_template_vars(self, **given: Any) -> Told:
        """What templates may name: the configuration, and the guest as `uname` has it."""
        return {**self.config.model_dump(), **self._guest, **given}

    def serialize(self) -> Told:
        """What a trajectory says of it."""
        kind = f"{type(self).__module__}.{type(self).__name__}"
        config = self.config.model_dump(mode="json")
        return {
            "info": {"config": {"environment": config, "environment_type": kind}, "branch": self.branch.name}
        }

    def cleanup(self) -> None:
        """End the attempt: a child that is not to be kept goes into the trash."""
        if self.config.fork and not self.config.keep:
            self.branch.prune()

    @cached_property
    def _guest(self) -> dict[str, str]:
        """As Python's platform.uname() has it."""
        told = self.branch.exec("uname -s; uname -r; uname -v; uname -m").stdout.split("\n")
        names = ("system", "release", "version", "machine")
        return dict(zip(names, told, strict=False)) | {"node": self.branch.name}


def _failed(output: str, kind: str, why: str) -> Told:
    told = f"An error occurred while executing the command: {why}"
    extra = {"exception_type": kind, "exception": why}
    return {"output": output, "returncode": -1, "exception_info": told, "extra": extra}


def _check_done(output: Told) -> None:
    first, _, submission = output["output"].lstrip().partition("\n")
    if first.strip() == DONE and output["returncode"] == 0:
        from minisweagent.exceptions import Submitted  # which takes seconds, and long was there

        extra = {"exit_status": "Submitted", "submission": submission}
        raise Submitted({"role": "exit", "content": submission, "extra": extra})
