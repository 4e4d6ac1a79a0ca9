"""Linked branches, real machines: by name, from suspension to restart, and refused as soon as they are not linked."""

import os
import signal
from pathlib import Path

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.verbs.link import Link
from core.verbs.undo import Undo
from core.verbs.unlink import Unlink
from tests.guests import Guest, eventually

NAMED = Path(__file__).parent / "guest" / "named.py"
ASK = (  # a Python for each of these takes an emulated guest two seconds
    "timeout 20 bash -c 'exec 3<>/dev/tcp/{0}/8000 && printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3 && tail -n 1 <&3'"
)
HOLD = """
import socket
with socket.create_connection(("b1.vertui", 8000)) as idle:
    open("/dev/shm/holds", "w").close()
    try:
        idle.recv(1)
    except ConnectionResetError:
        print("reset")
"""


def linked(client: Client) -> dict[str, tuple[str, ...]]:
    return {branch.name: branch.links for branch in client.tree().branches if branch.links}


def test_siblings_reach_each_other_by_name_while_they_are_linked(main: Guest, client: Client) -> None:
    main.text(f"cat > /root/named.py <<'END'\n{NAMED.read_text()}\nEND")
    main.start("python3 /root/named.py")
    main.text("until ss -ltn | grep -q :8000; do sleep 0.1; done")
    client.fork("main", 2)
    b1, b2 = main.other("b1"), main.other("b2")
    address = next(branch.address for branch in client.tree().branches if branch.name == "b1")
    assert b2.run(ASK.format("b1.vertui")).code != 0 and b2.run(ASK.format(address)).code != 0

    client.do(Link(("b1", "b2")))
    assert linked(client) == {"b1": ("b2",), "b2": ("b1",)}
    assert b2.text(ASK.format("b1.vertui")) == "b1" and b1.text(ASK.format("b2.vertui")) == "b2"
    assert b1.text(ASK.format("b1.vertui")) == "b1"
    assert main.run(ASK.format("b1.vertui")).code != 0 and main.run(ASK.format(address)).code != 0
    assert next(branch.traffic.refused for branch in client.tree().branches if branch.name == "b2") < 9

    os.kill(client.status().pid, signal.SIGKILL)
    ensure_daemon(client.home)
    assert eventually(lambda: b2.run(ASK.format("b1.vertui")).text == "b1")
    client.suspend_all()
    end_all(client.home)
    ensure_daemon(client.home)
    for name in ("b1", "b2"):
        client.resume(name)
    assert b2.text(ASK.format("b1.vertui")) == "b1" and b1.text(ASK.format("b2.vertui")) == "b2"

    held = b2.start(f"python3 -c '{HOLD}'")
    b2.text("until [ -e /dev/shm/holds ]; do sleep 0.1; done")
    client.do(Unlink(("b1", "b2")))
    assert b2.attach(held).text == "reset"
    assert b2.run(ASK.format("b1.vertui")).code != 0 and b2.run(ASK.format(address)).code != 0
    client.do(Undo())
    assert b2.text(ASK.format("b1.vertui")) == "b1"
