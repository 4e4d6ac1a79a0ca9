"""Every state of a branch and its head: each verb works, or refuses in a line that names a command which does."""

import re
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import BranchState, CommitState
from tests.branches import put
from tests.conftest import full

VERTUI = (sys.executable, "-m", "vertui")
DEAD = (BranchState.SUSPENDED, BranchState.STOPPED, BranchState.LOST, BranchState.FAILED)
HEADS = (CommitState.SEALED, CommitState.GONE)
CASES = list(product(DEAD, HEADS)) if full() else [(BranchState.LOST, CommitState.GONE)]
VERBS = (
    "diff {}", "exec {} -- true", "console {}", "ps {}", "commit {}", "pause {}", "hand-over {}", "patch {}",
    "export {} {}.file", "fork {} --name {}-child", "promote {} --yes", "score {} 1", "prune {} --yes", "restore {}",
    "resume {}",
)  # fmt: skip
NAMED = re.compile(r"`vertui ([^`]+)`")


def vertui(line: str) -> "subprocess.CompletedProcess[str]":
    words = [*VERTUI, *shlex.split(line)]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("state", "head"), CASES)
def test_each_verb_works_or_names_one_that_does(
    idle_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: BranchState, head: CommitState
) -> None:
    put(idle_home, "trunk", BranchState.STOPPED, CommitState.SEALED)
    monkeypatch.chdir(tmp_path)
    names = [f"m{index}" for index in range(len(VERBS))]
    for name in names:
        put(idle_home, name, state, head)
    ensure_daemon(idle_home)
    for name, verb in zip(names, VERBS, strict=True):
        line = verb.format(*[name] * verb.count("{}"))
        done = vertui(line)
        if not done.returncode:
            continue
        assert done.stderr.count("\n") == 1, f"{line}: {done.stderr}"
        told = NAMED.findall(done.stderr)
        assert told, f"{line} names no command: {done.stderr}"
        helped = [vertui(command) for command in told]
        assert all(each.returncode == 0 for each in helped), f"{line}: {done.stderr} {helped}"


def test_what_is_gone_is_said_when_its_branch_is_resumed(idle_home: Home) -> None:
    put(idle_home, "main", BranchState.LOST, CommitState.GONE)
    ensure_daemon(idle_home)
    client = Client(idle_home)
    [before] = client.tree().branches
    golden = client.tree().images[0].golden
    done = vertui("resume main")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"started from {golden[:12]}: its head {before.head[:12]} is gone" in done.stdout
    [after] = client.tree().branches
    assert (after.state, after.head) == (BranchState.RUNNING, golden)
    assert before.head in {commit.id for commit in client.tree().commits}, "what is gone is still shown"
    assert "is gone" in client.log(1)[0].summary


def test_several_are_resumed_and_paused_each_once_and_failures_stop_no_other(idle_home: Home) -> None:
    for name in ("main", "b1", "b2"):
        put(idle_home, name, BranchState.SUSPENDED, CommitState.SEALED)
    ensure_daemon(idle_home)
    client = Client(idle_home)
    done = vertui("resume b1 nobody b1 main")
    assert done.returncode == 4
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["b1", "running"], ["main", "running"]]
    assert done.stderr.startswith("vertui: nobody: no branch 'nobody'")
    assert vertui("pause b1 main b1").returncode == 0
    done = vertui("resume --all")
    assert (done.returncode, done.stdout.count("running")) == (0, 3), done
    assert {branch.state for branch in client.tree().branches} == {BranchState.RUNNING}
    assert vertui("resume --all").stdout == "there is nothing to resume\n"
    assert vertui("resume").returncode == vertui("resume main --all").returncode == 2
    done = vertui("exec main main -- echo once")
    assert (done.stdout, done.returncode) == ("once\n", 0)
    assert vertui("diff --multi b1 b1").returncode == 2
