"""The agent itself: what it starts, tells, freezes, and how it takes what it is sent."""

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from core.errors import GuestFailed, UsageError
from core.guest.agent import wire
from core.guest.answers import Done
from core.guest.client import AgentClient
from core.guest.streams import CommandExit, CommandOutput
from tests.unit.agents import MEGABYTE, PATIENCE_S, Line, collect, connected, output, sleeps


async def test_a_command_runs_and_tells_how_it_ended(client: AgentClient) -> None:
    stream = await client.exec(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert await collect(stream) == (b"out\n", b"err\n", CommandExit(3, None, False, 4, 4))
    assert stream.pid > 1


async def test_a_shell_line_with_env_cwd_and_user(client: AgentClient, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    line = 'echo "$WORD $HOME"; pwd; id -un; cat /proc/self/stat | cut -d" " -f6'
    stream = await client.exec(line, env={"WORD": "a b"}, cwd="/", user="nobody")
    out, err, end = await collect(stream)
    word, where, user, session = out.decode().splitlines()
    assert (word.split("/")[0], where, user, session) == ("a b ", "/", "nobody", str(stream.pid))
    assert (err, end.code) == (b"", 0)


@pytest.mark.parametrize(
    ("argv", "cwd", "code", "message"),
    [
        (["no-such-program"], None, 127, b"vertui: no-such-program: No such file or directory\n"),
        (["/etc"], None, 126, b"vertui: /etc: Permission denied\n"),
        (["true"], "/nowhere", 127, b"vertui: /nowhere: No such file or directory\n"),
        (["a\0b"], None, 126, b"vertui: a\0b: embedded null byte\n"),
    ],
)
async def test_what_cannot_run_says_why(
    client: AgentClient, argv: list[str], cwd: str | None, code: int, message: bytes
) -> None:
    _, err, end = await collect(await client.exec(argv, cwd=cwd))
    assert (err, end.code) == (message, code)


async def test_refused_requests_name_the_reason_and_end_nothing(client: AgentClient) -> None:
    with pytest.raises(GuestFailed, match="no user 'nobody-here'"):
        await client.exec(["true"], user="nobody-here")
    with pytest.raises(GuestFailed, match="no command 77"):
        await client.attach(77)
    with pytest.raises(GuestFailed, match="argv must be"):
        await client.exec([])
    with pytest.raises(GuestFailed, match="no request 'dance'"):
        await client.request(Done, "dance")
    for timeout_s in (float("inf"), float("nan"), 1e7, -1.0):
        with pytest.raises(GuestFailed, match="a timeout is"):
            await client.exec(["true"], timeout_s=timeout_s)
    with pytest.raises(UsageError, match="longer than"):
        await client.exec(["x" * wire.MAX_PAYLOAD])
    assert await client.ping() is False


async def test_signals_and_pipes_are_as_a_program_expects(client: AgentClient) -> None:
    out, _, _ = await collect(await client.exec(["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]))
    assert [int(line.split()[1], 16) & 0x7FFFFFFF for line in out.splitlines()] == [0, 0]
    out, _, _ = await collect(await client.exec(["ls", "/proc/self/fd"]))
    assert out.split() == [b"0", b"1", b"2", b"3"]  # 3 is ls reading the directory


async def test_a_signal_reaches_the_group(client: AgentClient) -> None:
    stream = await client.exec("trap 'echo caught; exit 9' USR1; echo ready; sleep 60 & wait")
    await output(stream, b"ready\n")
    await stream.signal(signal.SIGUSR1)
    out, _, end = await collect(stream)
    assert (out, end.code) == (b"caught\n", 9)
    stream = await client.exec(["sleep", "60"])
    await stream.signal(signal.SIGTERM)
    assert (await collect(stream))[2] == CommandExit(128 + 15, 15, False, 0, 0)


async def test_a_timeout_kills_what_hid_itself(client: AgentClient, work: Path) -> None:
    stream = await client.exec("setsid sleep 60 & echo started; sleep 60", timeout_s=2)
    out, _, end = await collect(stream)
    assert (out, end.code, end.timed_out) == (b"started\n", 124, True)
    deadline = time.monotonic() + PATIENCE_S
    while [*(work / "work").glob("*/")]:
        assert time.monotonic() < deadline
        await collect(await client.exec(["true"]))  # sweeps


async def test_an_exit_does_not_wait_for_who_holds_the_pipe(client: AgentClient, tmp_path: Path) -> None:
    go = tmp_path / "go"
    stream = await client.exec(f"(until test -e {go}; do sleep 0.1; done; echo late) & echo early")
    out, _, end = await collect(stream)
    assert (out, end.code) == (b"early\n", 0)
    go.touch()
    deadline = time.monotonic() + PATIENCE_S
    while [command.stdout_bytes for command in await client.ps()] != [len(b"early\nlate\n")]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    later = await client.attach(stream.id, end.stdout_bytes)
    assert (await collect(later))[2] == end


async def test_input_of_any_length_flows_both_ways(client: AgentClient) -> None:
    data = os.urandom(3 * MEGABYTE)
    stream = await client.exec(["cat"], stdin=True, lossless=True)
    collected = asyncio.create_task(collect(stream))
    await stream.write_stdin(data)
    await stream.eof()
    out, _, end = await collected
    assert (out, end.code) == (data, 0)


async def test_input_waits_while_nobody_reads_it_and_ends_with_the_command(client: AgentClient) -> None:
    stream = await client.exec(["sleep", "60"], stdin=True)
    writing = asyncio.create_task(stream.write_stdin(bytes(MEGABYTE)))
    await asyncio.sleep(0.2)
    assert not writing.done()
    await stream.signal(signal.SIGTERM)
    assert (await collect(stream))[2].signal == signal.SIGTERM
    await asyncio.wait_for(writing, PATIENCE_S)


async def test_a_chatty_command_never_waits_and_loses_only_the_oldest(client: AgentClient) -> None:
    stream = await client.exec("head -c 5000000 /dev/zero; echo done >&2")
    first = await anext(stream)
    assert isinstance(first, CommandOutput)
    while not (await client.ps())[0].stderr_bytes:
        await asyncio.sleep(0.01)
    kept = len(first.data) if first.stream == 0 else 0
    dropped = 0
    async for item in stream:
        if isinstance(item, CommandOutput) and item.stream == 0:
            kept += len(item.data)
            dropped += item.dropped
    assert kept + dropped == 5_000_000
    assert dropped > 3_000_000
    assert kept >= MEGABYTE


async def test_a_lossless_command_waits_for_its_client(client: AgentClient) -> None:
    stream = await client.exec("seq 1000000", lossless=True)
    await asyncio.sleep(0.5)
    assert (await client.ps())[0].exit_code is None
    out, _, end = await collect(stream)
    assert out == b"".join(b"%d\n" % number for number in range(1, 1_000_001))
    assert end.code == 0


async def test_a_slow_client_holds_up_nobody_else(client: AgentClient) -> None:
    await client.exec("yes")
    await asyncio.sleep(0.3)
    out, _, _ = await collect(await client.exec(["echo", "quick"]))
    assert out == b"quick\n"


async def test_a_terminal(client: AgentClient) -> None:
    stream = await client.exec("stty size; read word; stty size; echo got $word; tty", terminal=(30, 100))
    await output(stream, b"30 100\r\n")
    await stream.resize(40, 120)
    await stream.write_stdin(b"hello\n")
    out, err, end = await collect(stream)
    assert (err, end.code) == (b"", 0)
    assert out.startswith(b"hello\r\n40 120\r\ngot hello\r\n/dev/pts/")


async def test_control_c_on_a_terminal(client: AgentClient) -> None:
    stream = await client.exec("echo ready; exec sleep 60", terminal=(24, 80))
    await output(stream, b"ready\r\n")
    await stream.write_stdin(b"\x03")
    assert (await collect(stream))[2].signal == signal.SIGINT


async def test_a_new_line_gets_every_byte_once(line: Line) -> None:
    async with connected(line) as first:
        stream = await first.exec("for i in $(seq 2000); do echo $i; done; sleep 0.5; echo end")
        seen = await output(stream, b"\n500\n")
    offset = seen[-1].offset + len(seen[-1].data)
    async with connected(line) as second:
        rest, _, end = await collect(await second.attach(stream.id, offset))
        assert end.code == 0
        whole, _, _ = await collect(await second.attach(stream.id))
    assert b"".join(part.data for part in seen) + rest == whole
    assert whole.split() == [*map(b"%d".__mod__, range(1, 2001)), b"end"]


@pytest.mark.parametrize("half", [1, 12, 13, 40])
async def test_a_guest_captured_amid_a_frame_finds_its_feet(line: Line, half: int) -> None:
    await line.inject(wire.frame(wire.STDIN, 9, bytes(60_000))[:half])
    async with connected(line) as client:
        assert await client.ping() is False


async def test_following_ends_when_asked(client: AgentClient) -> None:
    stream = await client.exec("echo one; sleep 2; echo two")
    await output(stream, b"one\n")
    await stream.detach()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert (await collect(await client.attach(stream.id)))[0] == b"one\ntwo\n"
    await client.release(stream.id)
    assert await client.ps() == []


async def test_old_commands_are_forgotten_and_running_ones_kept(client: AgentClient) -> None:
    running = await client.exec(["sleep", "60"])
    for _ in range(70):
        await collect(await client.exec(["true"]))
    commands = await client.ps()
    assert len(commands) == 65
    assert commands[-1].id == running.id
    assert commands[-1].exit_code is None


async def test_what_is_a_verbs_own_doing_is_not_listed(client: AgentClient) -> None:
    """Neither while it runs nor afterwards; it is attached to and ends as any other."""
    inner = await client.exec(["cat"], stdin=True, inner=True)
    shown = await client.exec(["true"])
    await collect(shown)
    assert [command.id for command in await client.ps()] == [shown.id]
    await inner.eof()
    assert (await collect(inner))[2].code == 0
    assert [command.id for command in await client.ps()] == [shown.id]
    await client.release(inner.id)


async def test_freezing_stops_everything_and_nothing_is_sent(client: AgentClient) -> None:
    stream = await client.exec("while :; do echo tick; done", stdin=True)
    await output(stream, b"tick\n")
    async with client.gate():
        await client.freeze(1.0)
        assert await client.ping() is True
        waiting = asyncio.create_task(client.ps())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await client.thaw()
    before = (await waiting)[0].stdout_bytes
    while (await client.ps())[0].stdout_bytes == before:
        await asyncio.sleep(0.01)
    assert await client.ping() is False


async def test_a_frozen_guest_starts_nothing(client: AgentClient) -> None:
    await client.freeze(1.0)
    with pytest.raises(GuestFailed, match="frozen"):
        await client.exec(["true"])
    await client.thaw()
    assert (await collect(await client.exec(["true"])))[2].code == 0


async def test_a_freeze_in_no_time_fails_and_leaves_all_running(client: AgentClient, work: Path) -> None:
    await client.exec("for n in $(seq 20); do yes > /dev/null & done; wait")
    while sum(len(group.read_text().split()) for group in work.glob("work/*/cgroup.procs")) < 21:
        await asyncio.sleep(0.05)
    with pytest.raises(GuestFailed, match="did not stop within 0 ms"):
        for _ in range(20):  # now and then a kernel stops all of them between two instructions of the agent
            await client.freeze(0)
            await client.thaw()
    assert await client.ping() is False
    assert (await collect(await client.exec(["true"])))[2].code == 0


async def test_an_idle_agent_sleeps(client: AgentClient, line: Line) -> None:
    await client.exec(["sleep", "60"])
    assert await sleeps(line)


async def test_a_lost_line_fails_everything(line: Line, client: AgentClient) -> None:
    stream = await client.exec(["sleep", "60"])
    await client.close()
    with pytest.raises(GuestFailed, match="closed"):
        await anext(stream)
    with pytest.raises(GuestFailed, match="closed"):
        await client.ping()


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(100),
        wire.frame(wire.STDOUT, 1, b""),
        wire.frame(wire.STDOUT, 1, wire.OFFSET.pack(0) + bytes(60_000)) * 5,
        wire.frame(wire.STDOUT, 1, wire.OFFSET.pack(5) + b"x")
        + wire.frame(wire.STDOUT, 1, wire.OFFSET.pack(0)),
        wire.frame(wire.REPLY, 1, b"[]"),
        wire.json_frame(wire.REPLY, 1, {"id": "one"}),
        wire.json_frame(wire.EXIT, 1, {"code": 0, "bytes": [0]}),
        wire.json_frame(wire.ERROR, 1, {}),
        wire.frame(99, 1),
    ],
)
async def test_a_hostile_guest_is_a_failed_guest(tmp_path: Path, garbage: bytes) -> None:
    async with Line(tmp_path / "hostile.sock") as line:
        line.agent_end.setblocking(False)
        guest = asyncio.create_task(hostile_guest(line.agent_end, garbage))
        async with connected(line) as client:
            with pytest.raises(GuestFailed):
                async for _ in await client.exec(["true"]):
                    await asyncio.sleep(0.05)
        guest.cancel()


async def hostile_guest(end: socket.socket, garbage: bytes) -> None:
    """Answer the hello, and whatever comes next with garbage."""
    loop, frames = asyncio.get_running_loop(), wire.Frames(strict=False)
    while True:
        for frame in frames.feed(await loop.sock_recv(end, 65536)):
            hello = frame.type == wire.HELLO
            await loop.sock_sendall(end, b"noise" + wire.hello_reply(frame.payload) if hello else garbage)


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(GuestFailed, match=r"did not answer within 0\.2 s"):
        await AgentClient.connect(tmp_path / "none.sock", 0.2)
    async with Line(tmp_path / "mute.sock") as line:
        with pytest.raises(GuestFailed, match=r"did not answer within 0\.3 s"):
            await AgentClient.connect(line.path, 0.3)


async def test_processes_and_stats(client: AgentClient) -> None:
    stream = await client.exec(["sleep", "61"], user="nobody")
    async with asyncio.timeout(PATIENCE_S):
        while "sleep 61" not in {process.command for process in await client.processes()}:
            await asyncio.sleep(0.01)
    process = next(process for process in await client.processes() if process.pid == stream.pid)
    assert (process.user, process.command) == ("nobody", "sleep 61")
    assert process.rss_bytes > 0
    stats = await client.stats()
    assert 0 < stats.available_bytes < stats.memory_bytes
