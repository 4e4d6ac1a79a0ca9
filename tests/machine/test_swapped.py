"""A secret that is for one site: programs of real guests reach it with the value, and no guest ever has that."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.daemon import streams
from core.daemon.client import Client
from core.home import Home
from core.model import ExecRequest
from core.store.values import DISK, MEMORY
from core.verbs.egress import Egress
from core.verbs.secret.set import Set
from tests.conftest import keep_nothing_waiting
from tests.guests import Guest, Ran, collect
from tests.machine.test_secrets import holds
from tests.network.test_swapper import serve_trusted
from tests.outside import CLEAR_SITE, SITE, started_outside

NAME = "server.test"
ASK = """
import os, sys, time, urllib.error, urllib.request
asked = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + os.environ["GH"]})
try:
    answer = urllib.request.urlopen(asked, timeout=30).read().decode()
except urllib.error.HTTPError as error:
    answer = f"{error.code} {error.read().decode()}"
print(answer, flush=True)
time.sleep(float(sys.argv[2]))
"""
KEPT = "env | grep -E '^(GH|SSL_CERT_FILE|https?_proxy)=' > /root/env && sync"


@pytest.fixture
def client(idle_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Of a daemon outside of whose branches the site is."""
    with started_outside(idle_home, partial(serve_trusted, directory=tmp_path)):
        client = Client(idle_home, starts=False)
        keep_nothing_waiting(client)
        yield client


def given(guest: Guest, line: str) -> Ran:
    """Run a line that has what is handed of the secret in GH."""
    with streams.run(guest.client.home, request(guest, line)) as stream:
        return collect(stream)


def start(guest: Guest, line: str) -> None:
    """The same, and leave it running."""
    with streams.run(guest.client.home, replace(request(guest, line), outlives=True)) as stream:
        assert any(isinstance(message, streams.Started) for message in stream)


def request(guest: Guest, line: str) -> ExecRequest:
    return ExecRequest(guest.name, ("sh", "-c", line), secrets={"GH": "TOKEN"})


def asking(url: str, then_s: float = 0) -> str:
    """A line that has a program ask, and then go on with what it knows in its memory."""
    return f"python3 -c '{ASK}' {url} {then_s}"


def test_a_site_gets_the_value_and_no_guest_has_it(main: Guest, client: Client) -> None:
    value, site = os.urandom(32).hex(), f"{NAME}:{SITE}"
    client.do(Set("TOKEN", value, (site, f"http://{NAME}:{CLEAR_SITE}")))
    [secret] = client.secrets()
    sent = hashlib.sha256(f"Bearer {value}".encode()).hexdigest()
    answer = f"{sent} Bearer {secret.placeholder}"

    assert given(main, asking(f"https://{site}/")).stdout == b""  # nothing may be reached yet
    client.do(Egress("main", "allow", (site,)))
    assert given(main, asking(f"https://{site}/")).text.strip() == answer
    assert given(main, "unset SSL_CERT_FILE; " + asking(f"https://{site}/")).text.strip() == answer
    assert given(main, asking(f"http://{NAME}:{CLEAR_SITE}/")).text.startswith(
        "403 vertui: main may not reach"
    )

    start(main, f"{KEPT}; {asking(f'https://{site}/', 900)} > /dev/shm/said")
    main.text("until [ -s /dev/shm/said ]; do sleep 0.1; done")
    assert main.text("cat /dev/shm/said").strip() == answer
    during = client.commit("main", "while a program has asked").commit
    [child] = client.fork("main", 1).children
    assert child.ok, child.reason
    other = main.other(child.name)
    assert other.text("set -a; . /root/env; " + asking(f"https://{site}/")).strip() == answer
    forked = client.commit(child.name, "in a fork").commit
    for commit in (during, forked):
        assert holds(client, commit.id, value) == []
        assert holds(client, commit.id, secret.placeholder) == [
            MEMORY,
            DISK,
        ]  # or else nothing would be found

    root, log = client.home.root, client.home.log
    files = [path for path in (*root.iterdir(), *log.iterdir()) if path.is_file()]
    assert [path.name for path in files if value.encode() in path.read_bytes()] == ["secrets.json"]
    assert client.home.authority.stat().st_mode & 0o777 == 0o600
    assert value not in f"{client.ps('main')} {client.log()} {client.secrets()} {client.tree()}"
