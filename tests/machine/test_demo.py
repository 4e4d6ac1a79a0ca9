"""The demo does what it says, without a terminal, and leaves nothing but the image and what undo brings back; and the
README's first commands work as they stand there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from core.daemon.client import Client
from core.home import Home
from vertui.demo import PATCHES

DEMO_S = 300.0
ROOT = Path(__file__).parents[2]


def demo(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vertui", "demo", *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEMO_S,
    )


def test_the_main_job_from_start_to_end(home: Home, client: Client, tmp_path: Path) -> None:
    client.up(None, "demo")  # somebody's work, with the name the demo would take
    output = tmp_path / "out.json"
    done = demo("--json", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    told = json.loads(output.read_text())
    branches = told["branches"]
    assert [branch["patch"] for branch in branches] == list(PATCHES)
    for key in ("name", "address", "tap", "namespace"):
        assert all(branch[key] for branch in branches), key
    assert len({branch["address"] for branch in branches}) == len(branches)
    assert all(branch["counter_after"] > branch["counter_before"] > 0 for branch in branches)
    assert all(branch["fork_ms"] > 0 for branch in branches)
    best = next(branch for branch in branches if branch["name"] == told["winner"])
    assert (best["patch"], best["score"]) == ("right", 1.0)
    assert told["diff"] == ["/root/demo/project/slots/calendar.py"]
    assert told["parent_pause_ms"] > 0
    assert len(told["tree_before"]) > len(told["tree_after"]) > 1
    assert [(branch.name, branch.trunk) for branch in client.tree().branches] == [("demo", True)]
    assert told["winner"].startswith("demo2-")
    client.undo()
    assert {branch.name: branch.state for branch in client.tree().branches} == dict.fromkeys(
        ("demo", "demo2", told["winner"]), "running"
    )


def test_the_readmes_five_minutes(home: Home, client: Client) -> None:
    told = (ROOT / "README.md").read_text().partition("## Five minutes")[2].split("```")[1]
    path, build, *lines, ui = (line.partition(" #")[0].strip() for line in told.strip().split("\n"))
    assert (path, build, ui) == ("PATH=$PWD/.venv/bin:$PATH", "vertui image build", "vertui")
    variables = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for line in lines:
        answered = f"{line} --yes" if line.startswith("vertui promote") else line
        done = subprocess.run(
            ["sh", "-c", answered], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=DEMO_S
        )
        assert done.returncode == 0, line + done.stdout + done.stderr
    assert [(branch.name, branch.score) for branch in client.tree().branches if branch.trunk] == [("b3", 9.5)]
