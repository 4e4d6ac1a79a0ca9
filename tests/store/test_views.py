"""Views over a real /dev/fuse, played inside a real holder's namespaces, so that nothing touches this process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.daemon.start import end_all
from core.holder.held import HolderLine
from core.home import Home, find_home
from tests.leaks import Traces, host_traces

pytestmark = pytest.mark.skipif(not os.access("/dev/fuse", os.W_OK), reason="no /dev/fuse")
ROOT = Path(__file__).parents[2]
SCENES = (
    "content",
    "refused",
    "private",
    "qemu",
    "shared",
    "damaged",
    "exact",
    "ahead",
    "ahead_of_readers",
    "killed",
    "adopted",
    "hydrated",
    "idle",
)
DEADLINE_S = 60


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, HolderLine]]:
    """A holder and nothing else; all of it is gone afterwards."""
    home = find_home(str(tmp_path_factory.mktemp("views") / "home"))
    home.make()
    before = host_traces(home.root)
    environment = os.environ | {"VERTUI_HOME": str(home.root), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "core.holder.server", str(home.root)], check=True, env=environment)
    held = HolderLine(home)
    held.rest()  # scenes stand where the daemon would: it must not be there, too
    yield home, held
    held.close()
    end_all(home)
    assert host_traces(home.root) - before == Traces()
    assert not any((home.root / "views").iterdir())


@pytest.mark.parametrize("scene", SCENES)
def test_scene(held: tuple[Home, HolderLine], scene: str) -> None:
    home, holder = held
    log = home.log / f"{scene}.log"
    holder.spawn(scene, [sys.executable, "-m", "tests.store.views_scenes", scene, str(home.root)], log, [])
    deadline = time.monotonic() + DEADLINE_S
    status = None
    while status is None and time.monotonic() < deadline:
        time.sleep(0.01)
        status = holder.holdings().exits.get(scene)
    print(log.read_text())
    assert status == 0, log.read_text() + (home.log / "views.log").read_text()
    assert str(home.root) not in Path("/proc/self/mounts").read_text()


IN_USER_NAMESPACE = """
import os, sys, threading
from pathlib import Path
from core import linux
from core.store.views import nodes, questions
from core.store.views.mount import mount
from core.store.views.damage import Damages
from core.store.views.server import Server
from tests.store.views_source import Files

root = Path(sys.argv[1])
linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
for name, line in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
    Path(f"/proc/self/{name}").write_text(line)
asked = questions.Questions(questions.make())
server = Server(mount(root / "views"), nodes.Nodes(nodes.make()), asked, Files(root), Damages(root / "damage"))
threading.Thread(target=server.run, daemon=True).start()
print((root / "views" / "abcdef" / "disk").read_text())
"""


def test_root_of_a_user_namespace_mounts(tmp_path: Path) -> None:
    (tmp_path / "abcdef").mkdir()
    (tmp_path / "abcdef" / "disk").write_text("content")
    argv = [sys.executable, "-c", IN_USER_NAMESPACE, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert done.stdout == "content\n", done.stderr
    assert not any((tmp_path / "views").iterdir())
