"""Secrets in real guests: a command has one, later commits and forks do not; a scrubbed file is in no later commit."""

import hashlib
import os

import numpy as np
import pytest

from core.daemon import streams
from core.daemon.client import Client
from core.errors import Conflict
from core.model import ExecRequest
from core.store.reader import PageReader
from core.store.values import DISK, MEMORY
from tests.guests import Guest, Ran, collect

MAPPER = """
import mmap, time
with open("/root/mapped") as file:
    kept = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
time.sleep(900)
"""


@pytest.fixture
def value(client: Client) -> str:
    """What `secret set` has under TOKEN."""
    value = os.urandom(32).hex()
    client.secret_set("TOKEN", value)
    return value


def holds(client: Client, commit: str, value: str) -> list[str]:
    """The media of a commit in which a text is, or half of it: it may lie across the end of a page.

    What the golden commit has as well was there before there was the text.
    """
    reader = PageReader(client.home.root)
    try:
        golden = client.tree().images[0].golden
        before = np.union1d(reader.table(golden, MEMORY), reader.table(golden, DISK))
        wanted = [value[: len(value) // 2].encode(), value[len(value) // 2 :].encode()]
        found = []
        for medium in (MEMORY, DISK):
            data = reader.contents(np.setdiff1d(reader.table(commit, medium), before)).tobytes()
            if any(part in data for part in wanted):
                found.append(medium)
        return found
    finally:
        reader.close()


def given(main: Guest, line: str) -> Ran:
    """Run a line that has the secret in GH."""
    request = ExecRequest(main.name, ("sh", "-c", line), secrets={"GH": "TOKEN"})
    with streams.run(main.client.home, request) as stream:
        return collect(stream)


def test_a_command_has_the_value_and_nothing_has_it_afterwards(
    main: Guest, client: Client, value: str
) -> None:
    digest = hashlib.sha256(value.encode()).hexdigest()
    request = ExecRequest(
        "main", ("sh", "-c", "echo ready; cat; bash -c 'echo -n $GH' | sha256sum"), stdin=True, user="nobody",
        secrets={"GH": "TOKEN"},
    )  # fmt: skip
    with streams.run(client.home, request) as stream:
        messages = iter(stream)
        assert any(isinstance(message, streams.Output) for message in messages)
        during = client.commit("main", "while it runs").commit
        stream.eof()
        printed = b"".join(message.data for message in messages if isinstance(message, streams.Output))
    assert printed.split()[:1] == [digest.encode()]
    after = client.commit("main", "afterwards").commit
    child = client.fork("main", 1).children[0]
    assert child.ok, child.reason
    forked = client.commit("b1", "in a fork").commit
    assert holds(client, during.id, value) == [MEMORY]  # as its help says; and or else nothing would be found
    assert holds(client, after.id, value) == holds(client, forked.id, value) == []
    shown = f"{client.ps('main')} {client.log()} {client.secrets()} {client.tree()}"
    assert value not in shown and "(given TOKEN)" in shown


def test_no_file_of_the_home_has_the_value_but_one(main: Guest, client: Client, value: str) -> None:
    assert given(main, 'test -n "$GH"').code == 0
    assert given(main, "exit 3").code == 3
    client.commit("main")
    root, log = client.home.root, client.home.log
    files = [
        path for path in (*root.iterdir(), *log.iterdir(), *client.home.commits.iterdir()) if path.is_file()
    ]
    assert len(files) > 5
    assert [path.name for path in files if value.encode() in path.read_bytes()] == ["secrets.json"]
    assert client.home.secrets.stat().st_mode & 0o777 == 0o600


def test_what_is_scrubbed_is_in_no_later_commit(main: Guest, client: Client) -> None:
    seed = os.urandom(8).hex()
    value = hashlib.sha256(seed.encode()).hexdigest()
    make = f"printf %s {seed} | sha256sum"
    main.text(f"mkdir -p /root/a; for f in /root/a/key /dev/shm/key; do {make} > $f; done; sync")
    before = client.commit("main", "with it").commit
    assert holds(client, before.id, value) == [MEMORY, DISK]
    after = client.commit("main", "without it", scrub=("/root/a/key", "/dev/shm/key")).commit
    assert main.text("ls /root/a /dev/shm") == "/dev/shm:\n\n/root/a:"
    assert holds(client, after.id, value) == []
    child = client.fork("main", 1).children[0]
    assert child.ok, child.reason
    assert holds(client, client.commit("b1").commit.id, value) == []


def test_what_cannot_be_wiped_is_named_and_nothing_is_done(main: Guest, client: Client) -> None:
    main.text(
        "cd /root; for f in good open mapped twice; do echo text > $f; done; ln twice other; ln -s /root link"
    )
    main.start("exec tail -f /root/open")
    main.start(f"exec python3 -c '{MAPPER}'")
    main.text(
        "until grep -q /root/mapped /proc/*/maps && ls -l /proc/*/fd | grep -q /root/open; do sleep 0.1; done"
    )
    commits = len(client.tree().commits)
    for path, why in (
        ("/root/open", r"is held open by tail \(pid \d+\)"),
        ("/root/mapped", r"is held open by python3 \(pid \d+\)"),
        ("/root/twice", "has 2 names"),
        ("/root/link/good", "leads through a link, link"),
        ("/proc/version", "is on proc"),
    ):
        with pytest.raises(Conflict, match=f"nothing was wiped and no commit was made: {path} {why}"):
            client.commit("main", scrub=("/root/good", path))
    assert len(client.tree().commits) == commits
    assert main.text("cat /root/good /root/open /root/mapped /root/twice") == "text\n" * 3 + "text"
    client.pause("main")
    with pytest.raises(Conflict, match="paused"):
        client.commit("main", scrub=("/root/good",))
    client.resume("main")
    client.commit("main", scrub=("/root/good",))
    assert main.run("test -e /root/good").code == 1
