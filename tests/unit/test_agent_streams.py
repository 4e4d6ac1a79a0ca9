"""Streams between client and agent: windows, what overtakes what, requests given up, clients that go and come back."""

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from core.errors import GuestFailed
from core.guest.agent import wire
from core.guest.client import AgentClient
from core.guest.streams import CommandOutput
from tests.unit.agents import HALF_WINDOW, MEGABYTE, PATIENCE_S, Line, collect, connected, output, sleeps


async def test_input_nobody_reads_any_more_costs_neither_output_nor_exit(client: AgentClient) -> None:
    stream = await client.exec("exec <&-; echo shut; sleep 0.5; echo out; exit 7", stdin=True)
    await output(stream, b"shut\n")
    async with asyncio.timeout(PATIENCE_S):
        await stream.write_stdin(bytes(3 * MEGABYTE))
    await stream.eof()
    out, _, end = await collect(stream)
    assert (out, end.code) == (b"out\n", 7)


async def test_signals_overtake_input_and_answers_overtake_output(client: AgentClient) -> None:
    floods = [await client.exec("yes", lossless=True) for _ in range(10)]
    reading = [asyncio.create_task(collect(flood)) for flood in floods]
    stream = await client.exec(["sh", "-c", "cat > /dev/null"], stdin=True)
    writing = asyncio.create_task(stream.write_stdin(bytes(200 * MEGABYTE)))
    began = time.monotonic()
    await client.ping()
    await stream.signal(signal.SIGTERM)
    assert (await collect(stream))[2].signal == signal.SIGTERM
    assert time.monotonic() - began < PATIENCE_S
    await writing
    for flood in floods:
        await flood.signal(signal.SIGKILL)
    assert {end.signal for _, _, end in await asyncio.gather(*reading)} == {signal.SIGKILL}


async def test_a_request_given_up_is_not_carried_out_later(
    client: AgentClient, line: Line, tmp_path: Path
) -> None:
    running = await client.exec("trap 'echo caught' USR1; echo ready; while :; do sleep 0.1; done")
    await output(running, b"ready\n")
    os.kill(line.agent_pid, signal.SIGSTOP)
    mark = tmp_path / "started"
    for request in (client.exec(["touch", str(mark)]), running.signal(signal.SIGUSR1)):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(request, 0.3)
        while line.last_sent[0] != wire.CANCEL:
            await asyncio.sleep(0.01)
    os.kill(line.agent_pid, signal.SIGCONT)
    assert [command.id for command in await client.ps()] == [running.id]
    await running.signal(signal.SIGTERM)
    assert (await collect(running))[0] == b""
    assert not mark.exists()


async def test_a_signal_said_again_is_done_once(line: Line) -> None:
    """Who cannot know whether it was done, its line or its daemon having broken, says it again by the same key."""
    script = "trap 'echo caught' USR1; trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    async with connected(line) as first:
        running = await first.exec(script)
        await output(running, b"ready\n")
        await running.signal(signal.SIGUSR1, "a")
        await output(running, b"caught\n")
    async with connected(line) as second:
        running = await second.attach(running.id)
        await running.signal(signal.SIGUSR1, "a")
        await asyncio.sleep(0.5)
        await running.signal(signal.SIGUSR1, "b")
        await output(running, b"ready\ncaught\ncaught\n")
        await running.signal(signal.SIGTERM)
        assert (await collect(running))[2].code == 9


async def test_a_command_given_up_once_started_is_killed(line: Line, client: AgentClient) -> None:
    request = {"op": "exec", "argv": ["sleep", "60"], "key": "a"}
    begun = wire.json_frame(wire.REQUEST, 77, request)
    await line.inject(begun)
    while not (commands := await client.ps()):
        await asyncio.sleep(0.01)
    await line.inject(wire.frame(wire.CANCEL, 77, wire.KILL))
    assert (await collect(await client.attach(commands[0].id)))[2].signal == signal.SIGKILL
    again = await client.exec(["true"], key="a")
    assert again.id != commands[0].id


async def test_a_request_made_again_follows_what_the_first_started(line: Line) -> None:
    async with connected(line) as first:
        started = await first.exec("echo once; read x; echo $x", stdin=True, key="a")
    async with connected(line) as second:
        again = await second.exec("echo once; read x; echo $x", stdin=True, key="a")
        assert again.id == started.id
        await again.write_stdin(b"in\n")
        assert (await collect(again))[0] == b"once\nin\n"
        assert len(await second.ps()) == 1


async def test_a_command_hangs_up_with_the_client_that_owns_it(client: AgentClient) -> None:
    stream = await client.exec("trap 'echo hung up' HUP; cat; sleep 0.1; echo ended", stdin=True)
    await stream.write_stdin(b"typed\n")
    await output(stream, b"typed\n")
    await stream.hang_up()
    out, _, end = await collect(await client.attach(stream.id))
    assert (out, end.code) == (b"typed\nhung up\nended\n", 0)


async def test_a_hang_up_waits_for_no_answer(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy host one that came too late left the command running for ever, with nobody to read from it."""

    async def late(kind: object, op: str, **fields: object) -> None:
        raise GuestFailed(f"the agent did not answer {op} in time")

    monkeypatch.setattr(client, "request", late)
    stream = await client.exec("trap 'echo hung up' HUP; echo ready; cat; sleep 0.1; echo ended", stdin=True)
    await output(stream, b"ready\n")
    await stream.hang_up()
    out, _, end = await collect(await client.attach(stream.id))
    assert (out, end.code) == (b"ready\nhung up\nended\n", 0)


async def test_an_owner_whose_line_broke_is_waited_for(line: Line) -> None:
    async with connected(line) as first:
        back = await first.exec("cat", stdin=True, owner_s=PATIENCE_S)
        gone = await first.exec(
            "trap 'exit 9' HUP; cat; while :; do sleep 0.1; done", stdin=True, owner_s=0.5
        )
        onlooked = await first.exec("cat", stdin=True)
    async with connected(line) as second:
        assert (await collect(await second.attach(gone.id)))[2].code == 9
        back = await second.attach(back.id, owner_s=PATIENCE_S)
        for stream in (back, await second.attach(onlooked.id)):
            await stream.write_stdin(b"on\n")
            await stream.eof()
            assert (await collect(stream))[0] == b"on\n"


async def test_a_lossless_command_keeps_what_its_owner_does_not_have(line: Line) -> None:
    """Also what was under way when the line broke, and while nobody is there."""
    async with connected(line) as first:
        stream = await first.exec("seq 1000000", lossless=True, owner_s=PATIENCE_S)
        seen = b""
        while len(seen) < MEGABYTE:
            item = await stream.take()
            assert isinstance(item, CommandOutput)
            seen += item.data
            stream.consumed(len(seen) - HALF_WINDOW)  # the rest gets no further than this
    offset = len(seen) - HALF_WINDOW
    await asyncio.sleep(0.3)  # the command would write on, were it not held up
    async with connected(line) as second:
        out, _, end = await collect(await second.attach(stream.id, offset, owner_s=PATIENCE_S))
    assert end.code == 0
    assert seen[:offset] + out == b"".join(b"%d\n" % number for number in range(1, 1_000_001))


async def test_a_leader_that_ends_amid_output_nobody_takes_ends_once_it_is_taken(
    client: AgentClient, line: Line
) -> None:
    """And until then the agent sleeps."""
    stream = await client.exec("seq 2; seq 3 1000000 & exit 3", lossless=True)
    assert await sleeps(line)
    out, _, end = await collect(stream)
    assert end.code == 3
    assert out.startswith(b"1\n2\n")


async def test_a_gate_nobody_waits_for_any_more_is_open(client: AgentClient, line: Line) -> None:
    streams = [await client.exec(["sleep", "60"], stdin=True) for _ in range(8)]
    os.kill(line.agent_pid, signal.SIGSTOP)
    writing = [asyncio.create_task(stream.write_stdin(bytes(MEGABYTE))) for stream in streams]
    await asyncio.sleep(0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), client.gate():
            pass
    os.kill(line.agent_pid, signal.SIGCONT)
    async with asyncio.timeout(PATIENCE_S):
        assert len(await client.ps()) == len(streams)
    for task in writing:
        task.cancel()


async def test_an_agent_of_an_earlier_version_is_understood(tmp_path: Path) -> None:
    """It knows no request that is made again, and nothing of ssh."""

    async def earlier(end: socket.socket) -> None:
        loop, frames = asyncio.get_running_loop(), wire.Frames(strict=False)
        while True:
            for frame in frames.feed(await loop.sock_recv(end, 65536)):
                answer = wire.hello_reply(frame.payload, 1)
                if frame.type == wire.REQUEST:
                    answer = wire.json_frame(wire.REPLY, frame.channel, {"frozen": False})
                await loop.sock_sendall(end, answer)

    async with Line(tmp_path / "earlier.sock") as line:
        line.agent_end.setblocking(False)
        guest = asyncio.create_task(earlier(line.agent_end))
        async with connected(line) as client:
            assert await client.ping() is False
            assert not client.knows_keys and not client.takes_notes
            with pytest.raises(GuestFailed, match="of an earlier version, without ssh"):
                await client.admit("ssh-ed25519 AAAA")
        guest.cancel()
