"""Exec: streams, exit codes, input, terminals, limits; and what the daemon's death does to them."""

import hashlib
import os
import signal
import time

import pytest

from core.daemon import streams
from core.daemon.client import Client
from core.errors import Conflict, GuestFailed, NotFound, UsageError
from core.model import ExecRequest
from tests.guests import Guest, collect


def test_streams_exit_codes_and_surroundings(main: Guest, client: Client) -> None:
    ran = main.run("echo out; echo err >&2; exit 3")
    assert (ran.code, ran.stdout, ran.stderr) == (3, b"out\n", b"err\n")
    request = ExecRequest(
        "main", ("sh", "-c", "echo $GREETING $PWD $(id -un)"), {"GREETING": "hi"}, "/tmp", "nobody"
    )
    with streams.run(client.home, request) as stream:
        assert collect(stream).text == "hi /tmp nobody"
    with streams.run(client.home, ExecRequest("main", ("no-such-program",))) as stream:
        assert collect(stream).code == 127
    with streams.run(client.home, ExecRequest("main", ("echo one line | wc -w",))) as stream:
        assert collect(stream).text == "2"
    input_terminal_and_time_limit(client)


def input_terminal_and_time_limit(client: Client) -> None:
    data = os.urandom(300_000)
    with streams.run(client.home, ExecRequest("main", ("sha256sum",), stdin=True)) as stream:
        stream.write(data)
        stream.eof()
        assert collect(stream).text.split()[0] == hashlib.sha256(data).hexdigest()
    request = ExecRequest("main", ("sh", "-c", "tty; stty size"), tty=True, rows=33, columns=77)
    with streams.run(client.home, request) as stream:
        assert collect(stream).stdout.split(b"\r\n")[1] == b"33 77"
    with streams.run(client.home, ExecRequest("main", ("sleep", "60"), timeout_s=0.5)) as stream:
        assert collect(stream).code == 124


def test_a_command_outlives_the_daemon(main: Guest, client: Client) -> None:
    command = main.start("i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.05; done")
    first = client.status().pid
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while client.status().pid == first and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.status().pid != first
    assert main.attach(command).text.splitlines() == [f"line {number}" for number in range(1, 41)]
    assert client.fork("main", 1).children[0].ok
    assert client.diff("main", "b1").entries == ()


def test_it_is_logged_as_not_undoable_and_refused(main: Guest, client: Client) -> None:
    main.text("echo logged")
    newest = client.log(1)[0]
    assert newest.verb == "exec"
    assert not newest.undoable
    assert "echo logged" in newest.summary
    with pytest.raises(NotFound), streams.run(client.home, ExecRequest("nobody", ("true",))) as stream:
        collect(stream)
    with pytest.raises(UsageError), streams.run(client.home, ExecRequest("main", ())) as stream:
        collect(stream)
    client.pause("main")
    with pytest.raises(Conflict, match="paused"):
        main.run("true")


def test_an_agent_that_was_killed_is_greeted_again(main: Guest, client: Client) -> None:
    with pytest.raises(GuestFailed, match="started again"):
        main.run("pkill -9 -f [v]ertui/agent; sleep 60")
    assert main.text("echo again") == "again"
    assert client.fork("main", 1).children[0].ok


def test_a_command_hangs_up_with_its_client(main: Guest, client: Client) -> None:
    """Its input ends and it gets SIGHUP, unless it is meant to outlive it or the client leaves on purpose."""
    line = "trap 'echo hung up; exit 9' HUP; echo ready; cat; while :; do sleep 0.1; done"
    numbers = []
    for outlives, leaves in ((False, False), (True, False), (False, True)):
        request = ExecRequest("main", ("sh", "-c", line), stdin=True, outlives=outlives)
        with streams.run(client.home, request) as stream:
            messages = iter(stream)
            numbers.append(next(one.id for one in messages if isinstance(one, streams.Started)))
            assert any(isinstance(one, streams.Output) for one in messages)
            if leaves:
                stream.leave()
    ended = main.attach(numbers[0])
    assert (ended.text, ended.code) == ("ready\nhung up", 9)
    ends = {one.id: one.exit_code for one in client.ps("main")}
    assert [ends[number] for number in numbers] == [9, None, None]
    for number in numbers[1:]:
        with streams.attach(client.home, "main", number) as stream:
            stream.signal(signal.SIGHUP)
            stream.eof()
            assert collect(stream).text == "ready\nhung up"
