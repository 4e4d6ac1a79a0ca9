"""A branch as tests use it: run a command, get what it printed."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.daemon import streams
from core.daemon.client import Client
from core.guest.client import AgentClient
from core.model import ExecRequest

SOON_S = 60.0  # on a machine with other work to do
COUNTING = "n=$((n+1)); echo $n > /dev/shm/next; mv /dev/shm/next /dev/shm/n"  # never seen half written


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output without the last newline."""
        return self.stdout.decode().rstrip("\n")


@dataclass(frozen=True)
class Guest:
    """One branch through the public API."""

    client: Client
    name: str

    def run(self, line: str, cwd: str | None = None, *, lossless: bool = False) -> Ran:
        """Run a line of shell and wait for its end."""
        request = ExecRequest(self.name, ("sh", "-c", line), cwd=cwd, lossless=lossless)
        with streams.run(self.client.home, request) as stream:
            return collect(stream)

    def text(self, line: str, *, lossless: bool = False) -> str:
        """What a line of shell that must succeed prints."""
        ran = self.run(line, lossless=lossless)
        assert ran.code == 0, f"{line!r} in {self.name} ended with {ran.code}: {ran.stderr.decode()}"
        return ran.text

    def start(self, line: str) -> int:
        """Start a line of shell, leave it running; its id."""
        request = ExecRequest(self.name, ("sh", "-c", line), outlives=True)
        with streams.run(self.client.home, request) as stream:
            for message in stream:
                if isinstance(message, streams.Started):
                    return message.id
        raise AssertionError("the command did not start")

    def count(self) -> None:
        """Start a program that counts, and leave it running."""
        self.start(f"n=0; while true; do {COUNTING}; sleep 0.05; done")
        self.text("until [ -e /dev/shm/n ]; do sleep 0.05; done")

    def counted(self) -> int:
        """How far the counting program has come."""
        return int(self.text("cat /dev/shm/n"))

    def counts_beyond(self, number: int) -> None:
        """Wait until the counting program has come further."""
        self.text(f"until [ $(cat /dev/shm/n) -gt {number} ]; do sleep 0.05; done")

    def attach(self, command: int) -> Ran:
        """Everything a command printed, from its beginning until its end."""
        with streams.attach(self.client.home, self.name, command) as stream:
            return collect(stream)

    def other(self, name: str) -> "Guest":
        """Another branch of the same home."""
        return Guest(self.client, name)


def collect(stream: streams.Stream) -> Ran:
    """All output of a stream, each byte once and in order, and its exit."""
    outputs = {streams.STDOUT: bytearray(), streams.STDERR: bytearray()}
    for message in stream:
        if isinstance(message, streams.Output):
            assert message.offset == len(outputs[message.stream]), "output is missing or repeated"
            outputs[message.stream] += message.data
        elif isinstance(message, streams.Dropped):
            raise AssertionError(f"{message.count} bytes were dropped")
        elif isinstance(message, streams.Exit):
            return Ran(message.code, bytes(outputs[1]), bytes(outputs[2]))
    raise AssertionError("the stream ended without an exit")


@asynccontextmanager
async def reached(agent_socket: Path, within_s: float) -> AsyncIterator[AgentClient]:
    """A line to an agent, once it answers."""
    agent = await AgentClient.connect(agent_socket, within_s)
    try:
        yield agent
    finally:
        await agent.close()


def eventually(good: Callable[[], bool], within_s: float = SOON_S) -> bool:
    """Whether it becomes so: what the daemon does in the background shows soon after the verb."""
    deadline = time.monotonic() + within_s
    while not (is_so := good()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so


def one_layer_each(client: Client) -> int:
    """How many disk layers branches have, once none has more than one: soon after their commits are sealed."""

    def layers() -> int:
        waiting = client.tree().waiting
        return len(list(client.home.layers.iterdir())) - waiting.machines - waiting.spares

    eventually(lambda: layers() == len(client.tree().branches))
    return layers()
