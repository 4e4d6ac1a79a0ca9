"""The whole product as an ordinary user, without sudo: nothing of root's is needed once the packages are there. And as
root: the host is left as it was.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalog import Catalog
from core.home import Home
from core.machine.accelerator import KVM
from core.patience import patient
from tests import island
from tests.conftest import ROOT, full
from tests.island import ORDINARY
from tests.leaks import Traces, host_traces
from tests.outside import OTHER

CHILDREN = 8 if full() else 2
SERVER = ROOT / "tests" / "machine" / "guest" / "named.py"
REACH = "timeout 20 bash -c 'exec 3<>/dev/tcp/{0}/80 && echo hello >&3 && head -1 <&3'"
IN_A_WORD = f"""
set -e
vertui up
vertui cp {SERVER} main:/root/named.py
vertui exec --detach main -- python3 /root/named.py
vertui exec main -- sh -c 'until ss -ltn | grep -q :8000; do sleep 0.1; done'
vertui egress main allow server.test:80
vertui publish main 18000:8000
vertui fork main -n {CHILDREN}
for n in $(seq {CHILDREN}); do echo "of $(curl -sS $(vertui open b$n 8000 --no-browser))"; done
echo "of $(curl -sS http://127.0.0.1:18000/)"
vertui exec b1 -- {REACH.format("server.test")}
vertui exec b1 -- {REACH.format(OTHER)} || echo refused
vertui ssh b1 -- 'echo by ssh $(hostname)'
vertui commit b1 -m work
vertui prune b2 --yes
vertui ls
for pid in $(pgrep -u $(id -u) qemu); do grep -E 'CapPrm|NoNewPrivs|Seccomp:' /proc/$pid/status; done
vertui doctor || true
vertui daemon stop --all --now
"""
BUILT_FIRST = (
    "set -e\nnice -n 11 vertui image build base\n"  # at a priority that an ordinary user cannot raise
)
DEADLINE_S = patient(900.0)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Whoever's. Each pytest that starts closes the directory of pytest's own to all others."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "user"
        made.mkdir()
        yield made


def useless(built: Home) -> list[str]:
    """The device that runs no machines on this host."""
    catalog = Catalog(built.catalog)
    try:
        return ["kvm"] if catalog.images()[0].spec.accelerator != KVM else []
    finally:
        catalog.close()


def is_played(
    line: str, directory: Path, user: island.User, closed: list[str], *, real_network: bool = False
) -> str:
    """What the line prints, that succeeds, and leaves nothing behind."""
    before = host_traces(directory / "vt")
    done = island.run(line, directory, DEADLINE_S, user, closed=closed, real_network=real_network)
    assert done.returncode == 0, done.stdout + done.stderr
    assert host_traces(directory / "vt") - before == Traces()
    return done.stdout


def holds(said: str) -> None:
    """What the commands above say."""
    names = re.findall(r"^of (\S+)$", said, re.MULTILINE)
    assert names == [*(f"b{number + 1}" for number in range(CHILDREN)), "main"], said
    assert "\nhello\n" in said and "\nrefused\n" in said and "\nby ssh b1\n" in said, said
    lacking = set(re.findall(r"^(\w+):\s*(\w+)$", said, re.MULTILINE))
    assert lacking == {("CapPrm", "0" * 16), ("NoNewPrivs", "1"), ("Seccomp", "2")}, "machines may nothing"
    assert "✗" not in said, said


def test_an_image_branches_ports_egress_and_ssh_are_an_ordinary_users(built: Home, directory: Path) -> None:
    if trouble := island.needed():
        pytest.skip(trouble)
    island.given(built.root, directory, names=("cache",))
    holds(is_played(BUILT_FIRST + IN_A_WORD, directory, ORDINARY, useless(built)))


def test_roots_leave_the_host_as_it_was(built: Home, directory: Path) -> None:
    if trouble := island.needed():
        pytest.skip(trouble)
    island.given(built.root, directory, island.ROOT)
    holds(is_played(IN_A_WORD, directory, island.ROOT, useless(built)))


def test_a_host_that_was_changed_is_told_of(directory: Path) -> None:
    """Else the tests above would show nothing."""
    done = island.run("nft add table ip left; mount -t tmpfs left /mnt", directory, DEADLINE_S, island.ROOT)
    assert done.returncode == island.OTHER_THAN_BEFORE
    assert re.findall(r"^(\w+): ", done.stderr, re.MULTILINE) == ["rules", "mounts"], done.stderr


@pytest.mark.skipif(not full(), reason="takes minutes: --all")
def test_an_image_is_made_of_nothing_and_the_demo_plays(built: Home, directory: Path) -> None:
    if trouble := island.needed():
        pytest.skip(trouble)
    played = f"set -e\n{ROOT}/scripts/run --demo\nvertui daemon stop --all --now"
    said = is_played(played, directory, ORDINARY, useless(built), real_network=True)
    assert "✓ promote" in said and "✗" not in said, said


def test_what_is_forbidden_is_said_in_one_line_with_the_fix(directory: Path) -> None:
    """Also by `doctor`, though the daemon does not start. A user namespace has limits of its own."""
    forbid = "echo 0 > /proc/sys/user/max_net_namespaces; vertui ls; vertui doctor"
    done = island.run(f"unshare --user --map-root-user sh -c '{forbid}'", directory, 300)
    [line] = [text for text in done.stderr.splitlines() if text.startswith("vertui: ")]
    fix = "sysctl -w user.max_net_namespaces=10000"
    assert fix in line and "Traceback" not in done.stderr
    assert "user namespaces: forbidden by user.max_net_namespaces" in done.stdout, done.stdout
    assert f"→ {fix}" in done.stdout


@pytest.mark.parametrize(("device", "module"), [("net/tun", "tun"), ("fuse", "fuse")])
def test_a_device_that_is_closed_to_him_is_named_with_the_fix(
    built: Home, directory: Path, device: str, module: str
) -> None:
    if trouble := island.needed():
        pytest.skip(trouble)
    island.given(built.root, directory)
    done = island.run("vertui up; vertui doctor", directory, DEADLINE_S, closed=[device, *useless(built)])
    fix = f'chmod 0666 /dev/{device}, and for good: echo \'KERNEL=="{module}", MODE="0666"\''
    assert fix in done.stderr and done.stderr.count("\n") == 1, done.stderr
    found = done.stdout.partition(f"✗ /dev/{device}")[2].split("\n")
    assert fix in found[1] and found[1].strip().startswith("→"), done.stdout
