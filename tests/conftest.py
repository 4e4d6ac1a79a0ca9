"""Real homes with real machines, each test its own, and a check that nothing of it is left."""

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.engine.context import FAULT
from core.home import Home, find_home
from core.model import Waiting
from tests.guests import Guest, eventually
from tests.leaks import Traces, host_traces

# What a run in the background may have been told to ignore.
for _signal in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal is signal.SIGINT else signal.SIG_DFL)
# A host that stands still for a second is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
os.environ["VERTUI_MIRRORS"] = "none"  # whatever this host is configured for is no part of a test
ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "test-home"  # kept between runs: building the same image again is instant
WITHOUT_IMAGE = "test_environment.py"  # takes longer than the build of an image


def full() -> bool:
    """Run the full counts (`scripts/test --all`), not the samples?"""
    return os.environ.get("VERTUI_TEST_ALL") == "1"


class Failures:
    """Names each failure when it happens: a long run may be ended before its summary."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line, at once."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(crash.message if crash else report.longreprtext).partition("\n")[0]
            self._terminal.write_line(f"\n{report.when} of {report.nodeid}: {why}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of two workers the first begins with the first file, for which the image is built: let the second not wait for
    that too, but begin with what takes none.
    """
    files = {item.path: item.path.name != WITHOUT_IMAGE for item in items}
    order = {path: place for place, path in enumerate(sorted(files, key=files.__getitem__))}
    if len(order) > 1:
        order[items[0].path] = -1
    items.sort(key=lambda item: order[item.path])


@pytest.hookimpl(trylast=True)  # pytest makes the terminal at the same time
def pytest_configure(config: pytest.Config) -> None:
    """Have failures named where there is a terminal: not in xdist's workers."""
    if terminal := config.pluginmanager.getplugin("terminalreporter"):
        config.pluginmanager.register(Failures(terminal))


@pytest.fixture(scope="session")
def built() -> Home:
    """A home with an image and nothing else; no daemon runs in it."""
    BUILT.mkdir(parents=True, exist_ok=True)
    home = find_home(str(BUILT))
    with _of_built(fcntl.LOCK_EX):
        ensure_daemon(home)
        try:
            Client(home).image_build("base")
            Client(home).change_setting("policy.default", "0")  # what is committed is what a test commits
        finally:
            end_all(home)
    return home


@pytest.fixture
def idle_home(built: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home of this test's own with the image in it (hard links: images never change), and no daemon yet.

    After the test nothing of it may be left on the host: no process, memfd, namespace, mount, socket.
    """
    root = tmp_path / "home"
    before = host_traces(root)
    with _of_built(fcntl.LOCK_SH):
        shutil.copytree(
            built.root,
            root,
            copy_function=link_or_copy,
            ignore=shutil.ignore_patterns("catalog.db*", "cache", "*lock", "log", "reserve"),
        )
        for path in built.root.glob("catalog.db*"):
            shutil.copy2(path, root / path.name)
    monkeypatch.setenv("VERTUI_HOME", str(root))
    monkeypatch.setenv(FAULT, str(root / "fault"))
    home = find_home(str(root))
    home.make()
    yield home
    end_all(home)
    if not home.holder_socket.exists():
        shutil.rmtree(home.runtime, ignore_errors=True)
    assert host_traces(root) - before == Traces(), "processes, namespaces, mounts or files were left behind"


@pytest.fixture
def fault(idle_home: Home) -> Path:
    """A file not yet there: "STEP=kill" in it ends the daemon at that step of a verb, "STEP=fail" the verb."""
    return idle_home.root / "fault"


@pytest.fixture
def home(idle_home: Home) -> Home:
    """A home with its daemon running."""
    ensure_daemon(idle_home)
    return idle_home


@pytest.fixture
def client(home: Home) -> Client:
    """A client of this test's daemon."""
    return Client(home)


@pytest.fixture
def nothing_waits(client: Client) -> None:
    """No machine is kept ready for forks: for tests that count what a home holds."""
    keep_nothing_waiting(client)


def keep_nothing_waiting(client: Client) -> None:
    """Turn the pool off, and wait until it is empty."""
    for key in ("pool.spares", "pool.machines"):
        client.change_setting(key, "0")
    assert eventually(lambda: client.tree().waiting == Waiting())


@pytest.fixture
def main(client: Client) -> Guest:
    """A running branch `main`."""
    client.up(None, "main")
    return Guest(client, "main")


@contextmanager
def _of_built(lock: int) -> Iterator[None]:
    """Other runs of the tests in this tree use the same."""
    with (BUILT.parent / "test-home.lock").open("w") as file:
        fcntl.flock(file, lock)
        yield


def link_or_copy(source: str, target: str) -> None:
    """For files that nobody changes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
