"""QEMU does what `tests/machines.py` asks, in the namespaces of a holder, with an image that was built.

python -m tests.machine.test_seam SCENE HOME: where the daemon would be; exit status 0, or a traceback in the log.
"""

import asyncio
import os
import subprocess
import sys
import time
from typing import cast

import pytest

from core.catalog import Catalog
from core.holder.held import HolderLine
from core.home import Home, find_home
from core.machine.protocol import Machine
from core.machine.qemu import QemuHypervisor, QemuMachine
from core.network import HubNetwork
from tests.conftest import ROOT
from tests.machines import ANSWER_S, SCENES, Place

DEADLINE_S = 2 * ANSWER_S


@pytest.mark.parametrize("scene", SCENES)
def test_scene(idle_home: Home, scene: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "core.holder.server", str(idle_home.root)]
    subprocess.run(argv, check=True, env=environment)
    held, log = HolderLine(idle_home), idle_home.log / f"{scene}.log"
    held.rest()  # the scene stands where the daemon would: that must not be there, too
    try:
        held.spawn(scene, [sys.executable, "-m", __name__, scene, str(idle_home.root)], log, [])
        deadline, status = time.monotonic() + DEADLINE_S, None
        while status is None and time.monotonic() < deadline:
            time.sleep(0.05)
            status = held.holdings().exits.get(scene)
        assert status == 0, log.read_text()
    finally:
        held.close()


def leave(machine: Machine) -> None:
    """A monitor serves one client at a time."""
    cast(QemuMachine, machine).leave()


def main(scene: str, root: str) -> None:
    """Play a scene."""
    home = find_home(root)
    catalog, hub, held = Catalog(home.catalog), HubNetwork(), HolderLine(home)
    [image] = catalog.images()
    hub.prepare()
    place = Place(home, held, QemuHypervisor(home, held), hub, image.id, image.spec, leave)
    asyncio.run(SCENES[scene](place))


if __name__ == "__main__":
    main(*sys.argv[1:])
