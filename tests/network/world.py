"""A hub, and a world outside of it that a real `pasta` carries to."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core import linux
from core.holder import porter
from core.network import HubNetwork, Network, namespace, way_out
from core.network.addresses import EGRESS_ADDRESS
from tests.network.guest import Guest
from tests.outside import Servers, furnish


@dataclass(kw_only=True)
class World(Servers):
    """The servers outside, and the hub."""

    hub: HubNetwork


@contextmanager
def world() -> Iterator[World]:
    """In an isolated test: the process's namespace becomes the outside, then the process is in a hub of its own."""
    outside = furnish()
    _, jobs = porter.start()
    linux.unshare(linux.CLONE_NEWNET)
    hub = HubNetwork()
    hub.prepare()
    made = World(outside, hub=hub)
    made.serve()
    status = attach(jobs)
    yield made
    os.close(status)
    jobs.close()


def attach(jobs: socket.socket) -> int:
    """Have `pasta` carry what leaves the hub; it ends with the descriptor."""
    hub_fd = namespace.open_of_process()
    try:
        status = porter.start_job(jobs.fileno(), way_out.argv(os.getpid(), as_root=True), 2, hub_fd)
    finally:
        os.close(hub_fd)
    end = time.monotonic() + 10
    while not way_out.is_there():
        assert time.monotonic() < end, f"{EGRESS_ADDRESS} does not come"
        time.sleep(0.01)
    return status


@contextmanager
def guest_of(world: World, index: int = 1) -> Iterator[tuple[Network, Guest]]:
    """A branch's network there, with a guest in it."""
    network = world.hub.create(index)
    network.set_link(True)
    try:
        with Guest(network) as guest:
            yield network, guest
    finally:
        network.close()
