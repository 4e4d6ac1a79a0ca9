"""The porter: a small process that stays in the host's network namespace, where the holder's children cannot go.

It runs what must reach the host's network (downloads of an image build, the way out of branches). One SEQPACKET message
is one job: a JSON list, the argv, and beside it two descriptors: the job's stdout and stderr, and a pipe into which its
exit status is written as a decimal number; a third is its stdin. A job whose status pipe loses its reader gets SIGTERM:
nobody wants it, and it has to tidy up. One that is to outlive a daemon has its reader kept by the holder.

It also opens the sockets by which the host reaches guests: a message that is a JSON object asks for one
(`core.holder.listening`).
"""

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

from core import linux
from core.errors import DaemonUnavailable
from core.holder.listening import KEY as KEY
from core.holder.listening import answer
from core.holder.spawn import null, spawn

LARGEST_JOB = 64 * 1024
LONGEST_LINE = 1 << 20
CANNOT = 127  # the exit status of a job that could not be started, as a shell has it


def start() -> tuple[int, socket.socket]:
    """Fork the porter: its pid, and the socket it takes jobs from. Call it before entering any namespace."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            linux.die_with_parent(signal.SIGKILL)
            _serve(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return pid, ours


def _serve(jobs: socket.socket) -> None:
    """Take jobs and watch them until the other end closes."""
    running: dict[int, int] = {}
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    poll.register(jobs, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == wake_read:
                os.read(wake_read, 4096)
                _reap(running, poll)
            elif descriptor == jobs.fileno():
                data, descriptors, _, _ = socket.recv_fds(jobs, LARGEST_JOB, 3)
                if not data:
                    return
                asked = json.loads(data)
                if isinstance(asked, dict):
                    _open_port(asked, descriptors)
                    continue
                output, status, *given = descriptors
                try:
                    running[status] = _run(asked, output, given)
                    poll.register(status, 0)
                except OSError:  # no process can be had now
                    _tell(status, CANNOT)
            elif descriptor in running:
                poll.unregister(descriptor)
                os.kill(running[descriptor], signal.SIGTERM)


def _open_port(asked: Any, descriptors: list[int]) -> None:
    """Answer on the descriptor that came along; without one nobody can be told."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as reply:
            answer(asked, reply)


def _run(argv: list[str], output: int, given: list[int]) -> int:
    try:
        [input] = given or [null()]
        try:
            return spawn(argv, [input, output, output])
        finally:
            os.close(input)
    finally:
        os.close(output)


def _reap(running: dict[int, int], poll: select.poll) -> None:
    for status, pid in list(running.items()):
        ended, result = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(KeyError):
                poll.unregister(status)
            _tell(status, os.waitstatus_to_exitcode(result))
            del running[status]


def _tell(status: int, code: int) -> None:
    """Write a job's exit status for whoever waits for it, and be done with it."""
    with contextlib.suppress(OSError):
        os.write(status, str(code).encode())
    os.close(status)


def start_job(porter: int, argv: Sequence[str], output: int, *input: int) -> int:
    """Start a job through the porter behind a descriptor. Its exit status can be read from the one returned, and it
    ends when that is closed. DaemonUnavailable when the porter is gone.
    """
    status_read, status_write = os.pipe2(os.O_CLOEXEC)
    try:
        with socket.socket(fileno=os.dup(porter)) as jobs:
            socket.send_fds(jobs, [json.dumps(list(argv)).encode()], [output, status_write, *input])
    except OSError as error:
        os.close(status_read)
        raise DaemonUnavailable(
            "the porter is gone: run `vertui daemon stop --all` and start again"
        ) from error
    finally:
        os.close(status_write)
    return status_read


async def run_job(porter: int, argv: Sequence[str]) -> AsyncIterator[str]:
    """Run a job through the porter behind a descriptor and yield its output's lines; ended if the reader leaves.

    Raises DaemonUnavailable when the porter is gone; a job's failure is for its own output to tell.
    """
    output_read, output_write = os.pipe2(os.O_CLOEXEC)
    try:
        status_read = start_job(porter, argv, output_write)
    except BaseException:
        os.close(output_read)
        raise
    finally:
        os.close(output_write)
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    pipe = os.fdopen(output_read, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        while line := await reader.readline():
            yield line.decode(errors="replace").rstrip("\n")
    finally:
        transport.close()
        os.close(status_read)
