"""A program of the host's reaches a guest by a port that the porter opened there, and by nothing else."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from core import linux
from core.holder import porter
from core.holder.listening import KEY, PorterPorts
from core.inward import PortProtocol
from core.network import HubNetwork, Network, messages, namespace, netlink
from core.network.datagrams import DatagramDoor
from core.network.doors import Door, Way
from tests.network.guest import Guest, can_connect
from tests.network.isolation import isolated
from tests.twins.held import TwinHeld

LOOPBACK = "127.0.0.1"
WAITS_S = 60.0
T = TypeVar("T")


class Stage:
    """A host with a porter, and a hub of its own that this process is in, with one branch."""

    def __init__(self) -> None:
        netlink.send(messages.link_state(ifindex=messages.LOOPBACK_IFINDEX, up=True))
        self._host = namespace.open_of_process()
        self._porter, jobs = porter.start()
        linux.unshare(linux.CLONE_NEWNET)
        self._held = TwinHeld()
        with jobs:
            self._held.keep(KEY, jobs.fileno())
        self.ports = PorterPorts(self._held)
        hub = HubNetwork()
        hub.prepare()
        self.network: Network = hub.create(1)

    async def on_host(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(namespace.inside, self._host, work)

    def end(self) -> None:
        self._held.close()
        os.close(self._host)
        os.waitpid(self._porter, 0)


def echo(listening: socket.socket) -> None:
    """Answer one visitor, once it has said all, with the same and who it is."""
    listening.settimeout(WAITS_S)
    visitor, (address, _) = listening.accept()
    with visitor, visitor.makefile("rb") as said:
        visitor.settimeout(WAITS_S)
        visitor.sendall(said.read() + address.encode())


def asked(port: int, said: bytes) -> bytes:
    with socket.create_connection((LOOPBACK, port), WAITS_S) as visitor:
        visitor.sendall(said)
        visitor.shutdown(socket.SHUT_WR)
        with visitor.makefile("rb") as answer:
            return answer.read()


async def streams(stage: Stage, guest: Guest) -> None:
    async def lead(_: socket.socket) -> Way:
        return Way(stage.network.info.address, 80)

    listening, port = stage.ports.listen(LOOPBACK, 0, PortProtocol.TCP)
    door = Door(listening, lead)
    try:
        assert not await asyncio.to_thread(can_connect, LOOPBACK, port), "it listens in the hub"
        served, said = guest.listen(80), bytes(range(256)) * 4000
        for number in range(2):
            serving = threading.Thread(target=echo, args=(served,))
            serving.start()
            if number:  # a guest that is not there yet is waited for
                stage.network.set_link(False)
                threading.Timer(0.3, stage.network.set_link, (True,)).start()
            assert await stage.on_host(lambda: asked(port, said)) == said + b"10.77.255.254"
            serving.join()
    finally:
        await door.close()


async def datagrams(stage: Stage, guest: Guest) -> None:
    bound, port = stage.ports.listen(LOOPBACK, 0, PortProtocol.UDP)
    door = DatagramDoor(bound, lambda: Way(stage.network.info.address, 53))
    inside = guest.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def serve() -> None:
        data, sender = inside.recvfrom(100)
        inside.sendto(data.upper(), sender)

    def ask() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(WAITS_S)
            sender.sendto(b"who?", (LOOPBACK, port))
            return sender.recv(100)

    with inside:
        inside.bind(("", 53))
        inside.settimeout(WAITS_S)
        serving = threading.Thread(target=serve)
        serving.start()
        assert await stage.on_host(ask) == b"WHO?"
        serving.join()
    await door.close()


@isolated
def test_streams_and_datagrams_of_the_host_reach_a_guest() -> None:
    stage = Stage()
    stage.network.set_link(True)
    with Guest(stage.network) as guest:
        asyncio.run(streams(stage, guest))
        asyncio.run(datagrams(stage, guest))
    stage.network.close()
    stage.end()


@isolated
def test_a_machine_that_ends_cuts_its_visitors_off() -> None:
    stage = Stage()
    stage.network.set_link(True)

    async def scene(guest: Guest) -> None:
        visits: set[asyncio.Task[None]] = set()

        async def lead(_: socket.socket) -> Way:
            return Way(stage.network.info.address, 80, visits)

        listening, port = stage.ports.listen(LOOPBACK, 0, PortProtocol.TCP)
        door = Door(listening, lead)
        guest.listen(80)

        def stay() -> bytes:
            with socket.create_connection((LOOPBACK, port), WAITS_S) as visitor:
                return visitor.recv(1)

        staying = asyncio.create_task(stage.on_host(stay))
        while not visits:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        for visit in visits:
            visit.cancel()
        with pytest.raises(ConnectionResetError):
            await staying
        assert time.monotonic() - began < WAITS_S / 2
        await door.close()

    with Guest(stage.network) as guest:
        asyncio.run(scene(guest))
    stage.network.close()
    stage.end()
