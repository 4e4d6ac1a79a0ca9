"""The agent's parts that need no process: the ring, the reading of connections, what an identity is checked by."""

import os
import socket
import subprocess
import sys
import threading
import time
from binascii import crc32
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GuestFailed
from core.guest import answers
from core.guest.agent import identity, spawn, wire
from core.guest.agent.bounded import Bounded, Late
from core.guest.agent.loop import LONGEST_SLEEP_S, Poller, Timers
from core.guest.agent.mounts import served
from core.guest.agent.owners import owner_of
from core.guest.agent.ring import Ring
from core.guest.agent.sockets import Connection, is_own, parse
from core.guest.agent.streams import Input
from core.guest.identity import CLOCK_SLACK_NS, UNDER_A_NAME, make_identity
from tests.unit.agents import PATIENCE_S


def test_a_call_may_fail_or_be_late(tmp_path: Path) -> None:
    bounded, go_on = Bounded(), threading.Event()

    def fails() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        bounded.run("failing", fails, PATIENCE_S)
    with pytest.raises(Late, match=r"waiting did not end within 0\.01 s"):
        bounded.run("waiting", go_on.wait, 0.01)
    with pytest.raises(Late, match="has not ended since an earlier attempt"):
        bounded.run("waiting", go_on.wait, 0.01)
    ran: list[int] = []
    bounded.run("other", lambda: ran.append(1), PATIENCE_S)
    go_on.set()
    deadline = time.monotonic() + PATIENCE_S
    while ran != [1, 2]:
        assert time.monotonic() < deadline
        with suppress(Late):
            bounded.run("waiting", lambda: ran.append(2), PATIENCE_S)


def test_names_are_read_whatever_lies_there(tmp_path: Path) -> None:
    """Also a pipe that somebody holds open and writes nothing to."""
    pipe, file, folder = (tmp_path / name for name in ("pipe", "file", "folder"))
    os.mkfifo(pipe)
    folder.mkdir()
    file.write_text("text\n")
    writer = os.open(pipe, os.O_RDWR)
    names = [str(path) for path in (pipe, file, folder, tmp_path / "nothing")]
    texts = identity.read_all(names, Bounded())
    os.close(writer)
    assert texts == dict(zip(names, (None, "text\n", None, None), strict=True))


def test_input_that_ends_twice_ends_once() -> None:
    """Though nothing of it has been read and a terminal's end is a byte of its own."""
    theirs, ours = os.pipe()
    stdin = Input(Poller(), ours, tty=True)
    stdin.feed(0, bytes(wire.WINDOW_BYTES))
    stdin.feed(stdin.received, bytes(stdin.written))
    stdin.end()
    stdin.end()
    stdin.close()
    os.close(theirs)


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 300), st.integers(1, 50))
def test_a_ring_holds_the_last_bytes_by_offset(writes: list[bytes], offset: int, limit: int) -> None:
    ring, everything = Ring(size=16), b""
    for data in writes:
        ring.write(data)
        everything += data
        assert ring.end == len(everything)
        assert ring.start == max(0, len(everything) - 16)
    start = min(max(offset, ring.start), ring.end)
    assert ring.read(start, limit) == everything[start : start + limit]


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0F02000A:9C40 0202000A:0050 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0
   2: 0F02000A:9C42 0202000A:0050 06 00000000:00000000 00:00000000 00000000     0        0 3 1 0
   3: 0100007F:9C44 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0
"""


def test_connections_are_read_from_proc() -> None:
    own, peer, loopback = map(socket.inet_aton, ("10.0.2.15", "10.0.2.2", "127.0.0.1"))
    assert parse(TCP, socket.AF_INET) == [
        Connection(socket.AF_INET, own, 40000, peer, 80),
        Connection(socket.AF_INET, loopback, 40004, loopback, 80),
    ]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.3.2.1", True),
        ("10.0.2.15", True),
        ("10.0.2.2", False),
        ("::1", True),
        ("fe80::1", False),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.2.15", True),
        ("::ffff:8.8.8.8", False),
    ],
)
def test_what_is_outside(address: str, expected: bool) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    own = {socket.inet_aton("10.0.2.15")}
    assert is_own(socket.inet_pton(family, address), own) is expected


def test_host_keys_are_good_ssh_keys(tmp_path: Path) -> None:
    identity = make_identity("b1")
    key = tmp_path / "key"
    key.write_text(identity.ssh_host_key + "\n")
    key.chmod(0o600)
    derived = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True)
    assert derived.stdout.split()[:2] == identity.ssh_public_key.split()[:2]


def test_identities_differ_in_everything_but_form() -> None:
    one, other = make_identity("b1"), make_identity("b2")
    assert all(getattr(one, name) != getattr(other, name) for name in one.__dataclass_fields__)


def test_an_identity_is_confirmed_by_all_its_values() -> None:
    identity = make_identity("b1")
    request = identity.request(10)
    seen = {
        name: request[name] for name in ("hostname", "machine_id", "boot_id", "ssh_public_key", "generation")
    }
    seen |= {
        "kernel_hostname": "b1",
        "unix_time_ns": 11,
        "ssh_host_key": crc32(identity.ssh_host_key.encode()),
    }
    assert identity.differences(read_back(seen), 10, 1) == []
    for name in seen:
        other = "other" if isinstance(seen[name], str) else 7
        assert len(identity.differences(read_back(seen | {name: other}), 10, 1)) == 1
    assert identity.differences(answers.ReadBack(), 10, 1)


def read_back(seen: object) -> answers.ReadBack:
    return answers.told(seen, answers.ReadBack)


@pytest.mark.parametrize("name", sorted(UNDER_A_NAME))
def test_a_name_that_leads_nowhere_shows_nobody(name: str) -> None:
    identity = make_identity("b1")
    seen = identity.request(10) | {
        "kernel_hostname": "b1",
        "ssh_host_key": crc32(identity.ssh_host_key.encode()),
    }
    assert identity.differences(read_back(seen | {name: None}), 10, 0) == []
    assert identity.differences(read_back(seen | {"kernel_hostname": None}), 10, 0) == ["kernel_hostname"]
    assert identity.differences(read_back({key: seen[key] for key in seen if key != name}), 10, 0) == [name]


@given(st.integers(0, 60_000), st.floats(0, 1), st.integers(-(10**15), 10**15))
def test_a_slow_guest_has_the_right_clock(took_ms: int, heard: float, distance_ns: int) -> None:
    """However long its answer took, and however far ahead somebody set it; but not one set before it was told."""
    identity, told_ns, took_ns = make_identity("b1"), 10**18, took_ms * 10**6
    seen = identity.request(told_ns) | {
        "kernel_hostname": "b1",
        "ssh_host_key": crc32(identity.ssh_host_key.encode()),
        "distance_ns": distance_ns,
        "unix_time_ns": told_ns + distance_ns + int(heard * took_ns),
    }
    assert identity.differences(read_back(seen), told_ns, took_ns) == []
    for clock in (told_ns + distance_ns - 1, told_ns + distance_ns + took_ns + CLOCK_SLACK_NS + 1):
        assert identity.differences(read_back(seen | {"unix_time_ns": clock}), told_ns, took_ns) == ["clock"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"commands": 3},
        {"commands": [3]},
        {"commands": [{}]},
        {"commands": [{"argv": ["a"], "id": 10**30}]},
    ],
)
def test_a_wrong_answer_is_the_guests_failure(answer: object) -> None:
    with pytest.raises(GuestFailed):
        answers.told(answer, answers.Commands)


def test_what_a_guest_says_is_fit_for_a_terminal() -> None:
    item = {"pid": 1, "ppid": 0, "user": "root", "rss_bytes": 1, "command": "a\x1b[2J\nb\ud800"}
    odd = item | {"command": "cat  /odd\udcff"}
    assert answers.told(odd, answers.Seen).process.command == r"cat  /odd\xff"
    assert answers.told(item, answers.Seen).process.command == r"a\x1b[2J\x0ab?"


@pytest.mark.parametrize("delay_s", [1e300, float("inf"), float("nan"), -1.0])
def test_no_timer_makes_the_agent_sleep_for_what_is_no_time(delay_s: float) -> None:
    timers = Timers()
    assert timers.wait_s() is None
    timers.after(delay_s, lambda: None)
    assert 0 <= (timers.wait_s() or 0) <= LONGEST_SLEEP_S


LOCAL = rb"""22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 28 0:27 / /run rw - tmpfs tmpfs rw,size=50M
40 28 254:0 /a\040-\040b /mnt/a\040-\040b rw shared:1 - ext4 /dev/vda rw
"""


@pytest.mark.parametrize(
    "kind", [b"fuse", b"fuse.sshfs", b"fuseblk", b"overlay", b"autofs", b"9p", b"nfs4", b"new"]
)
def test_what_a_process_may_have_to_answer_for_is_told_by_its_kind(kind: bytes) -> None:
    assert not served(LOCAL)
    assert served(LOCAL + b"41 28 0:50 / /mnt rw - %s nobody rw\n" % kind)


def test_a_mount_made_later_is_seen(tmp_path: Path) -> None:
    check = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from core.guest.agent.kernel import mount_tmpfs
from core.guest.agent.mounts import Mounts
import ctypes
mounts = Mounts()
before = mounts.served()
libc = ctypes.CDLL(None)
assert libc.mount(b"none", {str(tmp_path)!r}.encode(), b"overlay", ctypes.c_ulong(0), b"lowerdir=/usr:/etc") == 0
assert mounts.served() and mounts.served()
assert libc.umount({str(tmp_path)!r}.encode()) == 0
assert mounts.served() == before
"""
    subprocess.run(["unshare", "--mount", sys.executable, "-c", check], check=True)


def test_the_owner_of_a_port_is_found_by_its_socket() -> None:
    name = Path("/proc/self/comm").read_text().strip()
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("::", 0))
        for protocol, sock in (("tcp", listening), ("udp", datagrams)):
            found = owner_of(protocol, sock.getsockname()[1])
            assert found == {"pid": os.getpid(), "name": name}, protocol
        assert owner_of("udp", listening.getsockname()[1]) == owner_of("icmp", 1) == {}
        port = listening.getsockname()[1]
    assert owner_of("tcp", port) == {}


def test_a_command_has_the_variables_of_the_machine_as_a_login_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "environment"
    monkeypatch.setattr(spawn, "ENVIRONMENT", str(file))
    asked: spawn.Exec = {"argv": ["true"], "env": {"GIVEN": "1", "B": "mine"}}
    assert "A" not in spawn.Program.from_request(asked).env
    file.write_bytes(
        b'# c=1\nA=1\nexport B="two words"\nC=\'3\'\nPATH=/evil\nHOME=/x\nno equals\n1x=2\nD="\nE=\xff\n'
    )
    env = spawn.Program.from_request(asked).env
    assert (env["A"], env["B"], env["C"], env["D"], env["E"]) == ("1", "mine", "3", "", "\udcff")
    assert env["PATH"] == spawn.PATH and env["HOME"] != "/x" and not env.keys() & {"c", "1x", "no equals"}
    file.unlink()
    os.mkfifo(file)
    assert "A" not in spawn.Program.from_request(asked).env
