"""The whole product as an ordinary user, without sudo: nothing of root's is needed once the packages are there."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.home import Home
from tests import ordinary
from tests.conftest import full
from tests.leaks import Traces, host_traces

CHILDREN = 8 if full() else 2
MAIN_JOB = f"""
set -e
vertui up
vertui exec main -- sh -c 'echo of $(hostname)'
vertui fork main -n {CHILDREN}
for n in $(seq {CHILDREN}); do vertui exec b$n -- sh -c 'echo of $(hostname)'; done
vertui commit b1 -m work
vertui prune b2 --yes
vertui ls
for pid in $(pgrep -u {ordinary.UID} qemu); do grep CapPrm /proc/$pid/status; done
vertui doctor || true
vertui daemon stop --all --now
"""
DEADLINE_S = 900


@pytest.fixture
def directory() -> Iterator[Path]:
    """His. Each pytest that starts closes the directory of pytest's own to all others."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "user"
        made.mkdir()
        yield made


def test_up_fork_commit_and_prune(built: Home, directory: Path) -> None:
    if trouble := ordinary.needed():
        pytest.skip(trouble)
    ordinary.given(built.root, directory)
    before = host_traces(directory / "vt")
    done = ordinary.run(MAIN_JOB, directory, DEADLINE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    names = re.findall(r"^of (\S+)$", done.stdout, re.MULTILINE)
    assert names == ["main", *(f"b{number + 1}" for number in range(CHILDREN))], done.stdout
    capabilities = set(re.findall(r"^CapPrm:\s*(\w+)$", done.stdout, re.MULTILINE))
    assert capabilities == {"0" * 16}, "machines have none"
    assert "✗" not in done.stdout, done.stdout
    assert host_traces(directory / "vt") - before == Traces()


@pytest.mark.skipif(not full(), reason="takes minutes: --all")
def test_an_image_is_built(built: Home, directory: Path) -> None:
    done = ordinary.run(
        "vertui image build base && vertui up && vertui exec main -- id -u && vertui daemon stop --all",
        directory,
        2 * DEADLINE_S,
    )
    assert done.returncode == 0 and "\n0\n" in done.stdout, done.stdout + done.stderr


def test_what_is_forbidden_is_said_in_one_line_with_the_fix(directory: Path) -> None:
    """Also by `doctor`, though the daemon does not start. A user namespace has limits of its own."""
    forbid = "echo 0 > /proc/sys/user/max_net_namespaces; vertui ls; vertui doctor"
    done = ordinary.run(f"unshare --user --map-root-user sh -c '{forbid}'", directory, 300)
    [line] = [text for text in done.stderr.splitlines() if text.startswith("vertui: ")]
    fix = "sysctl -w user.max_net_namespaces=10000"
    assert fix in line and "Traceback" not in done.stderr
    assert "user namespaces: forbidden by user.max_net_namespaces" in done.stdout, done.stdout
    assert f"→ {fix}" in done.stdout
