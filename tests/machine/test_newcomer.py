"""What somebody does who has only the footer and `?` to go by: the main job, from an image to a published port, by keys
in a real terminal. What came of each step is what the command line says.
"""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.home import Home
from core.model import BranchState
from tests.conftest import full
from tests.guests import Guest, eventually
from tests.tmux import Tmux, in_tmux

pytestmark = pytest.mark.skipif(
    not full() or not shutil.which("tmux"), reason="scripts/test --all, with tmux: it takes minutes"
)
ROOT = Path(__file__).parents[2]
CURSOR = "▌"
FOOTER = ("f fork", "w watch", "s shell", "d diff", "P promote", "x prune", "u undo", "? help", "q quit")
VI = "/usr/local/bin/vi"
GLIBC = ("libc.so", "libm.so", "ld-linux", "libpthread", "libdl", "linux-vdso")


def told(*argv: str) -> object:
    """What the command line says, as JSON."""
    command = [sys.executable, "-m", "vertui", *argv, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


def states(client: Client) -> dict[str, str]:
    return {branch.name: str(branch.state) for branch in client.tree().branches}


def go_to(tmux: Tmux, name: str) -> None:
    """Move the cursor to a branch, as one does who sees where it is and where that stands."""
    for _ in range(60):
        rows = tmux.screen.split("\n")
        here = next((y for y, row in enumerate(rows) if CURSOR in row), 0)
        there = next(y for y, row in enumerate(rows) if re.search(rf"[●◑◌] {name}\b", row.partition("││")[0]))
        if here == there:
            return
        tmux.press("j" if there > here else "k")
    raise AssertionError(f"{name} is not reached:\n{tmux.screen}")


def find(tmux: Tmux, words: str, shown: str) -> None:
    """Find an action by what it is called, in the help, and do it."""
    tmux.press("?")
    tmux.sees("type to search")
    tmux.type(words)
    tmux.sees(shown)
    tmux.press("Enter")


def agree(tmux: Tmux, verb: str) -> None:
    """A plan is on the screen, Cancel has the focus: do it."""
    tmux.sees(verb, "Cancel")
    tmux.press("Right", "Enter")


def bring_vi(guest: Guest) -> str:
    """An editor in the guest: its own, or this host's vim with its libraries; empty where neither runs there."""
    if guest.run("command -v vim || command -v vi").code == 0:
        return "vi"
    vim = shutil.which("vim.tiny") or shutil.which("vim.basic") or shutil.which("vim")
    if vim is None:
        return ""
    libraries = re.findall(r"=> (/\S+)", subprocess.run(["ldd", vim], capture_output=True, text=True).stdout)
    for path in (one for one in libraries if not any(name in one for name in GLIBC)):
        told("cp", str(Path(path).resolve()), f"{guest.name}:/usr/local/lib/{Path(path).name}")
    told("cp", str(Path(vim).resolve()), f"{guest.name}:{VI}")
    return "vi" if guest.run(f"ldconfig; {VI} --version").code == 0 else ""


def test_the_whole_job(home: Home, client: Client, tmp_path: Path) -> None:
    tries = tmp_path / "tries.txt"
    tries.write_text("".join(f"echo try {n} > /root/answer; echo said {n}\n" for n in range(1, 5)))
    with in_tmux(tmp_path / "tmux", [sys.executable, "-m", "vertui"]) as tmux:
        build(tmux)
        up(tmux, client)
        editor = bring_vi(Guest(client, "main"))
        fork(tmux, client, tries)
        watch(tmux)
        score(tmux, client)
        compare(tmux)
        promote(tmux, client)
        prune_and_undo(tmux, client)
        shell(tmux, client, editor)
        publish(tmux, client)
        tmux.press("q")
        assert eventually(lambda: tmux.ended)
    assert states(client)["b2"] == BranchState.RUNNING


def build(tmux: Tmux) -> None:
    tmux.sees("build the image", "start main", "? help")
    find(tmux, "build image", "first boot")
    tmux.sees("memory", "Build")
    tmux.press("Enter")
    tmux.sees_no("Cancel")
    images = told("image", "ls")
    assert isinstance(images, list) and [image["name"] for image in images] == ["base"]


def up(tmux: Tmux, client: Client) -> None:
    tmux.sees("⏎ start main")
    tmux.press("Enter")
    tmux.sees("main", "running", *FOOTER)
    assert eventually(lambda: states(client) == {"main": BranchState.RUNNING}), tmux.screen


def fork(tmux: Tmux, client: Client, tries: Path) -> None:
    tmux.press("f")
    tmux.sees("children", "variants file", "free")
    tmux.press("Tab", "Tab", "Tab")
    tmux.type(str(tries))
    tmux.press("Enter")
    assert eventually(lambda: list(states(client).values()).count("running") == 5), tmux.screen
    tmux.sees_no("variants file")
    tmux.sees("b1", "b2", "b3", "b4")


def watch(tmux: Tmux) -> None:
    for name in ("b1", "b2", "b3", "b4"):
        go_to(tmux, name)
        tmux.press("Space")
    tmux.sees("4 marked")
    tmux.press("w")
    tmux.sees("zoom", "said 1", "said 2", "said 3", "said 4")
    tmux.press("Escape")
    time.sleep(1)  # an escape is no key of its own before that
    tmux.press("Escape")
    tmux.sees_no("marked")


def score(tmux: Tmux, client: Client) -> None:
    go_to(tmux, "b2")
    find(tmux, "give score", "give the selected branches")
    tmux.sees("Score")
    tmux.type("0.9")
    tmux.press("Enter")
    assert eventually(lambda: {b.name: b.score for b in client.tree().branches}["b2"] == 0.9), tmux.screen


def compare(tmux: Tmux) -> None:
    for name in ("b1", "b2"):
        go_to(tmux, name)
        tmux.press("Space")
    tmux.press("d")
    tmux.sees("answer", "side by side")
    tmux.press("]")
    tmux.sees("try 1", "try 2")
    tmux.press("Escape")
    time.sleep(1)
    tmux.sees("2 marked")
    tmux.press("Escape")
    tmux.sees_no("marked")


def promote(tmux: Tmux, client: Client) -> None:
    go_to(tmux, "b2")
    tmux.press("P")
    agree(tmux, "the trunk")
    assert eventually(lambda: client.tree().trunk == "b2"), tmux.screen


def prune_and_undo(tmux: Tmux, client: Client) -> None:
    for name in ("b3", "b4"):
        go_to(tmux, name)
        tmux.press("Space")
    tmux.press("x")
    agree(tmux, "prune")
    assert eventually(lambda: set(states(client)) == {"main", "b1", "b2"}), tmux.screen
    tmux.press("u")
    agree(tmux, "undo")
    assert eventually(lambda: states(client).get("b3") == states(client).get("b4") == "running"), tmux.screen


def shell(tmux: Tmux, client: Client, editor: str) -> None:
    guest = Guest(client, "b2")
    tmux.sees("b3", "b4")
    go_to(tmux, "b2")
    tmux.press("s")
    tmux.sees("ctrl+]", "b2")
    tmux.type("echo in $((40 + 2))")
    tmux.press("Enter")
    tmux.sees("in 42")
    if editor:
        tmux.type(f"{editor} /root/note")
        tmux.press("Enter")
        tmux.sees("~", "note")
        tmux.type("iwritten in vi")
        tmux.press("Escape")
        time.sleep(1)
        tmux.type(":wq")
        tmux.press("Enter")
        assert eventually(lambda: guest.run("cat /root/note").text == "written in vi"), tmux.screen
    tmux.type("cd /root && python3 -m http.server 8000 >/dev/null 2>&1 &")
    tmux.press("Enter")
    assert eventually(lambda: guest.run("ss -ltn | grep -q :8000").code == 0), tmux.screen
    tmux.press("C-]")
    tmux.sees(*FOOTER)


def publish(tmux: Tmux, client: Client) -> None:
    find(tmux, "publish ports", "let this host reach")
    tmux.sees("Publish")
    tmux.type("8000")
    tmux.press("Enter")
    assert eventually(lambda: any(port.guest_port == 8000 for port in client.tree().ports)), tmux.screen
    found = next(port for port in client.tree().ports if port.guest_port == 8000)
    with urllib.request.urlopen(f"http://127.0.0.1:{found.host_port}/answer") as answer:
        assert answer.read().decode() == "try 2\n"
