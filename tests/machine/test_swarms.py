"""Swarms on real machines: a maze of which every junction is a fork, its swarm killed on the way; and those that come
along.
"""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core.daemon.client import Client
from core.home import Home
from core.space import StoreSpace
from tests.conftest import full
from tests.guests import Guest, eventually
from tests.machine.test_cli import VERTUI, succeeded
from vertui.swarm import record as records

ASSETS = Path(__file__).parents[2] / "assets" / "swarms"
SIZE, SEED, KILLS = (36, 1, 10) if full() else (3, 3, 2)
MOST_FOR_SURVIVORS = 1.3  # times what they need may be in the store
PLAYED_S = 1800.0
BEGIN = (
    "mkfifo /dev/shm/go /dev/shm/told; setsid python3 /root/explorer.py {} {} </dev/null >/dev/null 2>&1 &"
)


def explorer() -> ModuleType:
    """The program of the guests."""
    spec = importlib.util.spec_from_file_location("explorer", ASSETS / "maze" / "explorer.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def explored() -> tuple[str, int, int]:
    """The shortest way out, and how many forks and pruned branches it takes to find it, without any machine."""
    made = explorer()
    maze, outs, forks, pruned = made.Maze(SIZE, SEED), list[str](), 0, 0
    waiting = [made.Explorer(maze)]
    while waiting:
        forks, pruned, at = forks + 1, pruned + 1, waiting.pop()
        for way in at.on():
            there = made.Explorer(maze)
            there.cell, there.walked = at.cell, at.walked
            what, *walked = there.walk(way).split()
            waiting += [there] if what == "on" else []
            outs += walked if what == "out" else []
            pruned += what == "dead"
    return min(outs, key=len), forks, pruned + len(outs) - 1


def steps(home: Home) -> int:
    """How many were taken."""
    path = records.path_of(home, "maze")
    return path.read_bytes().count(b"\n") if path.exists() else 0


def play(*argv: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*VERTUI, "swarm", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def killed_on_its_way(home: Home, client: Client, dice: random.Random, until: int) -> None:
    """Play until the end, and kill it so often before: each second time with the daemon."""
    begun = [
        "run",
        str(ASSETS / "maze.toml"),
        "--base",
        "main",
        "--name",
        "maze",
        "--prepare",
        BEGIN.format(SIZE, SEED),
    ]
    moments = sorted(dice.sample(range(2, until), KILLS))
    process = play(*begun)
    for at, moment in enumerate(moments):
        while steps(home) < moment and process.poll() is None:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[0]
        if at % 2:
            os.kill(client.status().pid, signal.SIGKILL)
        process.kill()
        process.communicate()
        process = play("resume", "maze")
    said, _ = process.communicate(timeout=PLAYED_S)
    assert process.returncode == 0, said


@pytest.mark.usefixtures("nothing_waits")
def test_a_maze_is_explored_by_forks_whatever_is_killed(main: Guest, home: Home) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    client, (way, forks, pruned) = main.client, explored()
    before = client.store_space()
    killed_on_its_way(home, client, random.Random(seed), 5 * forks)
    ended = json.loads(succeeded("swarm", "show", "maze", "--json"))["ended"]["outcome"]
    assert len(ended["answer"]) == len(way) and ended["winner"]
    assert {branch.name for branch in client.tree().branches} == {"main", ended["winner"]}
    done = [one for one in client.log(10_000) if one.state == "done" and "maze-" in one.summary]
    assert sum(one.verb == "fork" for one in done) == forks + 1
    gone = [
        name
        for one in done
        if one.verb.startswith("prune")
        for name in one.summary.split()
        if "maze-" in name
    ]
    assert pruned - 4 * KILLS <= len(gone) <= pruned
    assert not full() or (forks >= 300 and len(gone) >= 150)
    holds_what_survives(client, before)
    assert client.check_store(100) == []


def holds_what_survives(client: Client, before: StoreSpace) -> None:
    """The store, after gc, within a factor of what it held and what the winner with all that it comes from adds to it;
    no commit is left that no branch or image comes from.
    """
    assert eventually(lambda: all(commit.state == "sealed" for commit in client.tree().commits))
    client.store_gc()
    tree, space = client.tree(), client.store_space()
    parents = {commit.id: commit.parents for commit in tree.commits}
    left = {branch.head for branch in tree.branches} | {image.golden for image in tree.images}
    while more := {parent for commit in left for parent in parents[commit]} - left:
        left |= more
    assert left == parents.keys()
    stood = max(one.stored_bytes for one in before.branches)
    needed = before.packs_bytes + max(one.stored_bytes for one in space.branches) - stood
    print(f"store {space.packs_bytes}, needed {needed}, commits {len(space.commits)}")
    assert space.packs_bytes <= MOST_FOR_SURVIVORS * needed


@pytest.mark.skipif(not full(), reason="the maze is the sample")
def test_the_swarms_that_come_along(main: Guest) -> None:
    client = main.client
    told = outcome("run", str(ASSETS / "repair.toml"), "--base", "main")
    assert (told["winner"], told["results"][0]["score"]) == ("repair-2", 1.0)
    assert main.run("test -e /root/demo").code == 1, "the base stays as it was"
    assert Guest(client, "repair-2").run("cd /root/demo/project && python3 -B ../score.py").code == 0
    first = outcome("run", str(ASSETS / "search.toml"), "--base", "main")
    again = outcome("rerun", "search")
    assert len(first["results"]) == 32 and {one["round"] for one in first["results"]} == {1, 2, 3, 4}
    heights = [
        min(one["score"] for one in first["results"] if one["round"] == round_) for round_ in (1, 2, 3, 4)
    ]
    assert heights == sorted(heights, reverse=True) and heights[3] < heights[0]
    scores = [[one["score"] for one in told["results"]] for told in (first, again)]
    assert scores[0] == scores[1], "what is run again from the same commit comes to the same"


@pytest.mark.skipif(not full(), reason="what each agent does is the sample, in tests/unit/test_adapters.py")
def test_agents_repair_the_demos_project(main: Guest) -> None:
    pytest.importorskip("minisweagent")
    done = subprocess.run([sys.executable, ASSETS / "agents.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "agents-2 won" in done.stdout, done
    assert {branch.name for branch in main.client.tree().branches} == {"main", "agents-2"}


@pytest.mark.skipif(not full(), reason="the engine's twins are the sample")
def test_files_are_crossed_costs_are_heard_and_a_stale_winner_is_rebased(main: Guest) -> None:
    dear = "echo 'cost=1'; sleep 1; echo 'cost=9'; sleep 600"
    work = "touch /root/by-{name}; ls /root | grep -c by-"
    argv = [
        "--name",
        "x",
        "--base",
        "main",
        "--score",
        "printed",
        "--rounds",
        "2",
        "--beam",
        "2",
        "--crossed",
        "1",
    ]
    told = outcome("run", *argv, "--variant", work, "--variant", work, "--variant", dear, "--cost", "cost=(.*)",
                   "--cost-limit-each", "5", "--promote", "--yes", "--diffs")  # fmt: skip
    results = {one["branch"]: one for one in told["results"]}
    assert results["x-3"]["note"] == "it cost 9, more than 5" and results["x-3"]["exit_code"] == 137
    [crossed] = [one for one in told["results"] if one["crossed"]]
    assert (crossed["parent"], crossed["crossed"], crossed["note"]) == (
        "x-1",
        "x-2",
        "it cost 9, more than 5",
    )
    assert {"by-x-1", "by-x-2"} <= {*Guest(main.client, crossed["branch"]).text("ls /root").split()}
    assert (
        told["winner"] == "x-2a1"
        and main.client.tree().trunk == "x-2a1"
        and results["x-2a1"]["changed"]["paths"] == 2
    )

    stale = ["--name", "y", "--base", "x-2a1", "--score", "exit", "--command", "echo won >/root/won"]
    assert outcome("run", *stale)["winner"] == "y-1"
    trunk = Guest(main.client, "x-2a1")
    trunk.text("echo later >/root/later; echo ours >/root/won.txt")
    done = outcome("resume", "y", "--rebase", "--yes")
    assert done["rebased"] == main.client.tree().trunk == "y-on-trunk1"
    assert Guest(main.client, "y-on-trunk1").text("cat /root/later /root/won") == "later\nwon"


def outcome(*argv: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(succeeded("swarm", *argv, "--json"))
    return told
