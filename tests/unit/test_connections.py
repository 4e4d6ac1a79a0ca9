"""Connections of two guests: read as `ss` tells them, and shown as what was opened and closed."""

import socket
import subprocess

import pytest
from msgspec.structs import replace

from core.diff.result import ConnectionsDiff, GuestConnection
from core.engine.guests import MOST_CONNECTIONS, connections_in
from tests.diffs import diff_of
from vertui.compare.folders import grow
from vertui.compare.noise import Noise
from vertui.differences import say_more
from vertui.screens import summary

LINE = (
    b'tcp   ESTAB  0  0  [::1]:%d   [::ffff:10.0.2.2]:443 users:(("a\x1b[31mb",pid=7,fd=3),("c",pid=8,fd=3))'
)
OPENED = GuestConnection("tcp", "10.0.2.15", 40_000, "10.0.2.2", 443, "\x1b[1mcurl")
CLOSED = GuestConnection("udp", "127.0.0.1", 53, "127.0.0.1", 5000, "")


def test_they_are_read_as_ss_tells_them() -> None:
    """A listener is none, nor is what is no line of the kernel's; a name is text; of very many there are the first."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        told = subprocess.run(["ss", "-Hntup"], capture_output=True, check=True).stdout
        ports = client.getsockname()[1], server.getsockname()[1]
    assert ports in {(one.port, one.peer_port) for one in connections_in(told)}
    [one] = connections_in(LINE % 8080 + b"\nudp UNCONN 0 0 0.0.0.0:53 0.0.0.0:*\ntcp ESTAB 0 0 broken")
    assert (one.address, one.port, one.peer, one.peer_port) == ("[::1]", 8080, "[::ffff:10.0.2.2]", 443)
    assert "\x1b" not in one.command and one.command.endswith("b")
    many = b"\n".join(LINE % port for port in range(MOST_CONNECTIONS + 10))
    assert len(connections_in(many)) == MOST_CONNECTIONS


def test_what_was_opened_and_closed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """By the command line and by the screen, without control."""
    found = replace(diff_of(), connections=ConnectionsDiff((OPENED,), (CLOSED,)))
    say_more(found)
    _, _, opened, closed = capsys.readouterr().out.split("\n")[:4]
    assert opened.split()[:4] == ["A", "tcp", "10.0.2.15:40000", "10.0.2.2:443"] and "\x1b[1m" not in opened
    assert closed.split() == ["D", "udp", "127.0.0.1:53", "127.0.0.1:5000"]
    shown = [line.plain for line in summary.summary(found, grow((), Noise(), summary.count), "")]
    at = shown.index("connections")
    assert "tcp 10.0.2.15:40000 ↔ 10.0.2.2:443" in shown[at + 1] and not any("\x1b" in line for line in shown)
    assert "udp 127.0.0.1:53 ↔ 127.0.0.1:5000" in shown[at + 2]
