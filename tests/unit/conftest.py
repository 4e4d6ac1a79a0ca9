"""An empty home; an agent on this machine, and a client of it."""

import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.guest.client import AgentClient
from core.home import Home, find_home
from tests.unit.agents import Line, cgroup_root, connected, started


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home of this test's own, in which nothing runs."""
    made = find_home(str(tmp_path / "home"))
    made.make()
    yield made
    shutil.rmtree(made.runtime, ignore_errors=True)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty directory of this host."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """One that stands for a guest's."""
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


@pytest.fixture
def work() -> Iterator[Path]:
    root = cgroup_root()
    path = (root or Path("/")) / f"vertui-test-{os.getpid()}"
    try:
        if root is None:
            raise PermissionError
        path.mkdir()
    except OSError:
        pytest.skip("needs a cgroup v2 hierarchy it may write to")
    yield path
    for frozen in path.rglob("cgroup.freeze"):
        frozen.write_text("0")
    (path / "cgroup.freeze").write_text("0")
    (path / "cgroup.kill").write_text("1")
    for _ in range(200):
        with suppress(OSError):
            for group in sorted(path.rglob("*/"), reverse=True):
                group.rmdir()
            path.rmdir()
            break
        time.sleep(0.01)
    assert not path.exists()


@pytest.fixture
async def line(work: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with started(work, tmp_path / "agent.sock") as line:
        yield line


@pytest.fixture
async def client(line: Line) -> AsyncIterator[AgentClient]:
    async with connected(line) as client:
        yield client
