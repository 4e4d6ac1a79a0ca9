"""Ports of guests on the host: each child's its own, the trunk's wherever that is, and nobody is refused meanwhile."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.errors import Conflict
from core.inward import PublishedPort
from core.patience import patient
from tests.conftest import full
from tests.guests import Guest, eventually

NAMED = Path(__file__).parent / "guest" / "named.py"
CHILDREN, REQUESTS = (8, 1000) if full() else (3, 60)
WAITS_S = patient(60.0)


@pytest.fixture
def served(main: Guest) -> Guest:
    """`main` with a web server on port 8000 that says which machine it is."""
    main.text(f"cat > /root/named.py <<'END'\n{NAMED.read_text()}\nEND")
    main.start("python3 /root/named.py")
    main.text("until ss -ltn | grep -q :8000; do sleep 0.1; done")
    return main


def asked(port: int, host: str = "localhost") -> str:
    """What a server on this host's loopback answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAITS_S)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer.read().decode()
    finally:
        connection.close()


def port_of(client: Client, branch: str) -> PublishedPort:
    return next(port for port in client.tree().ports if port.branch == branch)


@contextmanager
def visited(port: int, least: int) -> Iterator[list[str]]:
    """Ask in sequence as long as the body takes, and at least so often; each time there must be an answer."""
    answers: list[str] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def visit() -> None:
        try:
            last = False
            while not last:
                last = over.is_set() and len(answers) >= least - 1  # it is asked once more then
                answers.append(asked(port))
        except (OSError, http.client.HTTPException, AssertionError) as error:
            failures.append(error)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        assert eventually(lambda: bool(answers or failures))
        yield answers
    finally:
        over.set()
        visitor.join()
    assert failures == []


def test_children_answer_on_ports_of_their_own_while_the_parent_never_falters(
    served: Guest, client: Client
) -> None:
    [port] = client.publish("main", ("8000",)).ports
    with visited(port.host_port, REQUESTS) as answers:
        before_it = len(answers)
        forked = client.fork("main", CHILDREN)
        assert len(answers) > before_it, "the parent was asked while it was forked"
        ports = {child.name: [each.host_port for each in child.ports] for child in forked.children}
        assert {name: [asked(one) for one in own] for name, own in ports.items()} == {n: [n] for n in ports}
    assert set(answers) == {"main"}
    before = port_of(client, "b1")
    client.execute(client.plan_prune(["b1"]))
    with pytest.raises(OSError):
        asked(before.host_port)
    client.undo()
    assert port_of(client, "b1") == before and asked(before.host_port) == "b1"
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(Conflict, match="is taken by another"),
    ):
        client.publish("b2", (f"{other.getsockname()[1]}:9000",))


def test_a_port_outlives_the_daemon_and_all_machines(served: Guest, client: Client) -> None:
    [port] = client.publish("main", ("8000",)).ports
    os.kill(client.status().pid, signal.SIGKILL)
    assert [asked(port.host_port) for _ in range(3)] == ["main"] * 3
    client.suspend_all()
    with pytest.raises((OSError, http.client.HTTPException)):
        asked(port.host_port)
    end_all(client.home)
    ensure_daemon(client.home)
    client.resume("main")
    assert port_of(client, "main") == port and asked(port.host_port) == "main"


def vertui(*argv: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "vertui", *argv], capture_output=True, text=True, timeout=WAITS_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_port_leads_to_every_branch_by_name_and_one_to_the_trunk(served: Guest, client: Client) -> None:
    """That one moves, and no request is refused meanwhile."""
    client.fork("main", 1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    vertui("proxy", "--port", str(number))
    for host, name in {"8000.main": "main", "8000.b1": "b1", "8000.trunk": "main"}.items():
        assert asked(number, f"{host}.localhost:{number}") == name
    for host, said in {
        "9999.main": "nobody answers at port 9999 of main",
        "80.b9": "no branch 'b9' runs",
    }.items():
        with pytest.raises(AssertionError, match=said):
            asked(number, f"{host}.localhost")
    found = json.loads(vertui("ports", "main", "--json"))
    assert [(port["port"], port["command"]) for port in found if port["port"] == 8000] == [(8000, "python3")]
    url = vertui("open", "main", "8000", "--no-browser").strip()
    assert url == f"http://127.0.0.1:{port_of(client, 'main').host_port}/"
    assert vertui("open", "main", "--no-browser").strip() == url
    [port] = client.publish("@trunk", ("8000",)).ports
    with visited(port.host_port, REQUESTS) as answers:
        client.execute(client.plan_promote("b1"))
        assert asked(port.host_port) == "b1"
    assert answers[0] == "main" and answers[-1] == "b1" and answers == sorted(answers, reverse=True)
