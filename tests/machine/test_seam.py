"""QEMU does what `tests/machines.py` asks, in the namespaces of a holder, with an image that was built.

python -m tests.machine.test_seam SCENE HOME: where the daemon would be; exit status 0, or a traceback in the log.
"""

import asyncio
import os
import subprocess
import sys
from typing import cast

import pytest

from core.catalog import Catalog
from core.holder.held import HolderLine
from core.home import Home, find_home
from core.machine.protocol import Machine
from core.machine.qemu import QemuHypervisor, QemuMachine
from core.network import HubNetwork
from tests.conftest import ROOT
from tests.guests import eventually
from tests.machines import SCENES, Place


@pytest.mark.parametrize("scene", SCENES)
def test_scene(idle_home: Home, scene: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "core.holder.server", str(idle_home.root)]
    subprocess.run(argv, check=True, env=environment)
    held, log, exits = HolderLine(idle_home), idle_home.log / f"{scene}.log", dict[str, int]()
    held.rest()  # the scene stands where the daemon would: that must not be there, too

    def ended() -> bool:
        exits.update(held.holdings().exits)
        return scene in exits

    try:
        held.spawn(scene, [sys.executable, "-m", __name__, scene, str(idle_home.root)], log, [])
        assert eventually(ended) and exits[scene] == 0, log.read_text()
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
