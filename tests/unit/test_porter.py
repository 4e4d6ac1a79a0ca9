"""The porter outlives the want of processes, and nobody who asks it in vain loses a descriptor."""

import os
import resource
import socket
from pathlib import Path

import pytest

from core.errors import DaemonUnavailable
from core.holder import porter
from tests.guests import eventually


async def ran(jobs: int, *argv: str) -> list[str]:
    return [line async for line in porter.run_job(jobs, argv)]


def descriptors(pid: int) -> set[int]:
    return {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}


async def test_a_porter_that_is_gone_costs_no_descriptor() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    before = descriptors(os.getpid())
    for _ in range(3):
        with pytest.raises(DaemonUnavailable):
            await ran(ours.fileno(), "true")
    assert descriptors(os.getpid()) == before
    ours.close()


async def test_a_porter_that_can_start_nothing_stays() -> None:
    before = len(descriptors(os.getpid())) - 1  # but the one that lists them
    pid, jobs = porter.start()
    assert eventually(lambda: len(descriptors(pid)) == before + 3), "its socket and its pipe"
    free = sorted(set(range(1024)) - descriptors(pid))
    former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[2], former[1]))  # room for a job's two, and no more
    assert await ran(jobs.fileno(), "echo", "one") == []
    resource.prlimit(pid, resource.RLIMIT_NOFILE, former)
    assert await ran(jobs.fileno(), "echo", "two") == ["two"]
    jobs.close()
    os.waitpid(pid, 0)
