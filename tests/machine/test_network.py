"""Networks of real machines: each its own, reachable from the hub, apart from each other."""

import json
import subprocess

import pytest

from core.daemon.client import Client
from tests.guests import Guest

SERVE = "python3 -m http.server 8000 --directory /root"


def in_hub(client: Client, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program where the daemon is: in the hub."""
    enter = ["nsenter", f"--net=/proc/{client.status().pid}/ns/net"]
    return subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("nothing_waits")
def test_children_serve_apart_on_their_own_addresses(main: Guest, client: Client) -> None:
    main.start(SERVE)
    main.text("until ss -ltn | grep -q :8000; do sleep 0.1; done")
    forked = client.fork("main", 2)
    addresses = {}
    for child in forked.children:
        main.other(child.name).text("hostname > /root/who")
        addresses[child.name] = str(child.address)
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode().strip())"
    for name, address in addresses.items():
        got = in_hub(client, "python3", "-c", fetch, f"http://{address}:8000/who")
        assert got.stdout.strip() == name, got.stderr
    refused = main.other("b1").run(f"timeout 5 bash -c '</dev/tcp/{addresses['b2']}/8000'")
    assert refused.code != 0
    links = json.loads(in_hub(client, "ip", "-j", "link").stdout)
    assert len([link for link in links if link["ifname"].startswith("v")]) == 3
    assert len({branch.namespace for branch in client.tree().branches}) == 3


ECHO = """
import socket
server = socket.create_server(("127.0.0.1", 9000))
peer, _ = server.accept()
for line in peer.makefile("rb"):
    peer.sendall(line.upper())
"""
ASK = """
import os, socket, time
stream = socket.create_connection(("127.0.0.1", 9000)).makefile("rwb")
while True:
    if os.path.exists("/root/say"):
        stream.write(open("/root/say", "rb").read())
        stream.flush()
        print(stream.readline().decode(), end="", flush=True)
        os.remove("/root/say")
    time.sleep(0.1)
"""


def test_inner_connections_survive_a_fork(main: Guest, client: Client) -> None:
    """A server and its client in the guest hold one connection; in each child it goes on."""
    main.text(f"cat > /root/echo.py <<'END'\n{ECHO}\nEND\ncat > /root/ask.py <<'END'\n{ASK}\nEND")
    main.start("python3 /root/echo.py")
    main.text("until ss -ltn | grep -q :9000; do sleep 0.1; done")
    asking = main.start("python3 /root/ask.py")
    say = "echo {} > /root/words; mv /root/words /root/say; while [ -e /root/say ]; do sleep 0.1; done"
    main.text(say.format("before"))
    client.fork("main", 2)
    for name in ("b1", "b2"):
        child = main.other(name)
        child.text(say.format(f"from-{name}") + "; pkill -f [a]sk.py")
        assert child.attach(asking).text.splitlines() == ["BEFORE", f"FROM-{name.upper()}"]
