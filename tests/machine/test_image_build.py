"""Building an image: refused, interrupted, instant the second time."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.errors import Conflict, NotFound, UsageError, VertuiError
from core.home import Home
from tests.conftest import full, keep_nothing_waiting
from tests.guests import eventually

VERTUI = str(Path(sys.executable).with_name("vertui"))


def test_the_same_inputs_again_are_instant(home: Home, client: Client) -> None:
    before = client.tree().images
    made = client.image_build("base")
    assert made == client.image_build("base")
    assert made == client.image_build("base", accelerator=made.spec.accelerator)
    assert client.tree().images == before


def test_a_damaged_image_is_built_again_unless_a_branch_needs_it(home: Home, client: Client) -> None:
    client.up(None, "main")
    for path in home.images.glob("*/initrd"):
        path.unlink()
    with pytest.raises(Conflict, match="main"):
        client.image_build("base")


def test_bad_inputs_are_refused(client: Client) -> None:
    for options in (
        {"memory": 1},
        {"vcpus": 0},
        {"disk": 1},
        {"package": ["no such package!"]},
        {"accelerator": "fast"},
    ):
        with pytest.raises(UsageError):
            client.image_build("other", **options)
    with pytest.raises(UsageError):
        client.image_build("No Name")
    with pytest.raises(NotFound):
        client.up("nothing", "x")


@pytest.mark.parametrize(
    ("step", "number"), [("making the root disk", signal.SIGTERM), ("booting", signal.SIGHUP)]
)
@pytest.mark.parametrize("ctrl_c", [False, True] if full() else [False])
def test_interrupted_it_leaves_nothing_half_built(
    idle_home: Home, monkeypatch: pytest.MonkeyPatch, step: str, number: signal.Signals, ctrl_c: bool
) -> None:
    """A build ended from outside, at an early and a late step; the base it needs is there. Who joined it is told."""
    number = signal.SIGINT if ctrl_c else number
    monkeypatch.setenv("VERTUI_ACCEL", "tcg")
    built = Path(__file__).parents[2] / "build" / "test-home" / "cache"
    subprocess.run(["cp", "-al", str(built) + "/.", str(idle_home.cache)], check=True)
    ensure_daemon(idle_home)
    keep_nothing_waiting(Client(idle_home))
    argv = [VERTUI, "image", "build", "other", "--memory", "256M"]
    building = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert building.stderr is not None
    for line in building.stderr:
        if step in line:
            break
    joined = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    other = subprocess.run([*argv, "--vcpus", "2"], capture_output=True, text=True, timeout=60)
    assert (other.returncode, "image other is being built" in other.stderr) == (5, True)
    assert joined.stderr is not None
    assert joined.stderr.readline()  # where the build stands: it has joined
    building.send_signal(number)
    said = building.stderr.read()
    building.stderr.close()
    assert building.wait(timeout=60) == 128 + number
    assert "interrupted" in said
    assert "was interrupted" in joined.communicate(timeout=60)[1]
    assert joined.returncode == 5
    client = Client(idle_home)
    assert client.log(1)[0].error == "interrupted"
    assert [image.name for image in client.tree().images] == ["base"]
    assert len(list(idle_home.images.iterdir())) == 1
    assert not list(idle_home.layers.iterdir())
    assert eventually(lambda: not list(idle_home.cache.glob("work*")))


def test_an_image_in_use_stays(home: Home, client: Client) -> None:
    client.up(None, "main")
    with pytest.raises(Conflict, match="main"):
        client.plan_image_rm("base")
    client.execute(client.plan_prune(["main"], now=True))
    client.execute(client.plan_image_rm("base"))
    assert client.tree().images == ()
    assert not list(home.images.iterdir())
    with pytest.raises(VertuiError):
        client.up(None, "main")
