"""Diffs of running machines: at points that leave nothing, against what the guests themselves see, and beyond files."""

import io
import os
import pickle
import random
import signal
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.daemon import streams
from core.daemon.client import Client
from core.diff.result import Diff, DiffSize
from core.errors import Conflict, Unsupported, UsageError, VertuiError
from core.home import Home
from core.model import ExecRequest
from tests.conftest import full
from tests.guests import Guest, collect, eventually, one_layer_each
from tests.machine.test_cli import vertui
from tests.unit import diff_images
from tests.unit.diff_images import Seen
from tests.unit.told import assert_told

DIFFS = 100 if full() else 10
HISTORIES = 50 if full() else 1
ACTS_A_TREE = 6  # it grows
SMALL_FILES = 10_000 if full() else 300
TREE = (
    "mkdir -p /root/tree/d && cd /root/tree && seq 9000 > large && echo a > small && cp small d/copy &&"
    " truncate -s 1G sparse"
)
PROJECT = (
    "mkdir -p /root/p && cd /root/p && seq 100 > text && seq 20 > both && echo x > gone && echo y > kept"
)


def send(guest: Guest, data: bytes, path: str) -> None:
    request = ExecRequest(guest.name, ("sh", "-c", f"cat > {path}"), stdin=True)
    with streams.run(guest.client.home, request) as stream:
        stream.write(data)
        stream.eof()
        assert collect(stream).code == 0


def receive(guest: Guest, path: str) -> bytes:
    request = ExecRequest(guest.name, ("cat", path), lossless=True)
    with streams.run(guest.client.home, request) as stream:
        return collect(stream).stdout


def paths(diff: Diff) -> set[str]:
    return {entry.path for entry in diff.entries}


@pytest.mark.usefixtures("nothing_waits")
def test_points_leave_nothing(main: Guest, client: Client, home: Home) -> None:
    """Many diffs of a live branch, one after the other and at once: catalog and disk chain stay as they were."""
    client.fork("main", 1)
    branch = main.other("b1")
    parent = next(item.parent for item in client.tree().branches if item.name == "b1")
    assert parent is not None

    def things() -> tuple[object, ...]:
        tree = client.tree()
        heads = [(item.name, item.head, item.state) for item in tree.branches]
        return heads, tree.commits, sorted(home.layers.iterdir()), sorted(home.commits.iterdir())

    assert one_layer_each(client) == 2  # its commit is sealed
    before = things()
    for number in range(DIFFS):
        branch.text(f"echo {number} > /root/unsynced-{number}")
        assert f"/root/unsynced-{number}" in paths(client.diff(parent, "b1"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.diff(parent, "b1"), range(8)))
    assert all(paths(one) == paths(answers[0]) and one.fallbacks == 0 for one in answers)
    assert len(paths(answers[0])) == DIFFS
    assert client.changes(parent, "b1", lines=True) == DiffSize(DIFFS, (DIFFS, 0))
    assert client.changes(parent, "b1", path=["/root/unsynced-0", "/nowhere"]) == DiffSize(1)
    assert client.changes(parent, "b1", path=["/root"], ignore=["unsynced-*"], lines=True) == DiffSize(
        0, (0, 0)
    )
    assert things() == before
    branch.text("test -e /root/unsynced-0")


def test_histories_equal_what_the_guest_saw(main: Guest, client: Client) -> None:
    """Random lives of trees in a guest, each ending in a commit; compared when no machine is left."""
    seed = random.randrange(1 << 30) if full() else 7
    print(f"seed {seed}")
    send(main, Path(diff_images.__file__).read_bytes(), "/root/act.py")
    acts = [f"history {seed + number}" for number in range(HISTORIES)]
    acts[-1:-1] = [f"many {SMALL_FILES}"]
    lives = list[tuple[str, str, bytes]]()
    before = ""
    for number, act in enumerate(acts):
        if number % ACTS_A_TREE == 0:
            main.text(f"rm -rf /root/tree; {TREE}")
            before = client.commit("main").commit.id
        main.text(f"python3 /root/act.py {act} /root/tree /root/seen 2>&1")
        told = receive(main, "/root/seen")
        after = client.commit("main").commit.id
        lives.append((before, after, told))
        before = after
    client.suspend_all(now=True)
    assert all(branch.pid is None for branch in client.tree().branches)
    for a, b, told in lives:
        old, new = (rooted(side) for side in pickle.loads(told))
        for first, second, was, now in ((a, b, old, new), (b, a, new, old)):
            diff = client.diff(first, second, path=["/root/tree"], fallback=False)
            assert diff.fallbacks == 0 and diff.notes == ()
            assert_told(diff.entries, was, now)


def rooted(side: object) -> dict[bytes, Seen]:
    assert isinstance(side, list)
    return {b"/root/tree" + (path if path != b"/" else b""): Seen(*seen) for path, seen in side}


def test_beyond_files(main: Guest, client: Client) -> None:
    client.fork("main", 2)
    one, two = main.other("b1"), main.other("b2")
    server = (
        "import socket, time; s = socket.create_server(('', 8123));"
        " c = socket.create_connection(('127.0.0.1', 8123)); time.sleep(600)"
    )
    two.start(f'exec python3 -c "{server}"')
    one.start("exec sleep 4321")
    two.text("head -c 20000000 /dev/urandom > /dev/shm/heat")
    two.text(
        "sed -i '0,/^Version: /s/^Version: .*/Version: 99/' /var/lib/dpkg/status;"
        " until ss -Hnt | grep 8123; do sleep 0.2; done"
    )
    eventually(lambda: "not looked at" not in str(client.diff("b1", "b2").notes))  # beside busy machines
    diff = client.diff("b1", "b2", processes=True, ports=True, connections=True, packages=True, memory=True)
    assert ["/dev/shm" in note for note in diff.notes] == [True]
    processes, ports, packages, heat = diff.processes, diff.ports, diff.packages, diff.memory
    assert processes and ports and packages and heat
    assert any(server in process.command for process in processes.started)
    assert [process.command for process in processes.ended if "4321" in process.command]
    assert {(port.port, port.command) for port in ports.opened} == {(8123, "python3")}
    assert ports.closed == () and diff.connections and diff.connections.closed == ()
    assert (8123, "python3") in {(one.peer_port, one.command) for one in diff.connections.opened}
    assert [package.after for package in packages.changed] == ["99"]
    assert 20_000_000 / 4096 <= heat.changed_pages == sum(heat.cells) < heat.pages
    assert heat.pages == len(heat.cells) * heat.cell_pages
    head = client.commit("b2").commit.id
    same = client.diff(head, head, memory=True, processes=True)
    assert same.memory and same.memory.changed_pages == 0 and same.entries == ()
    assert "running branches only" in same.notes[0]
    shown = vertui("diff", "b1", head, "--memory", "--packages").stdout
    assert "█" in shown and "→ 99" in shown


def test_siblings_side_by_side(main: Guest, client: Client) -> None:
    main.text(PROJECT)
    client.fork("main", 4)
    for number in range(1, 5):
        main.other(f"b{number}").text(
            f"cd /root/p && echo {number // 3} > text && rm gone && echo {number} > own &&"
            f" chmod {600 + number // 4} kept"
        )
    main.other("b4").text("cd /root/p && seq 100 > text")
    matrix = client.diff_siblings(["b1", "b2", "b3", "b4"], ignore=["/var", "own"])
    told = {
        row.path: [(cell.kind[0], cell.change) if cell else None for cell in row.cells] for row in matrix.rows
    }
    assert told == {
        "/root/p/gone": [("r", 1)] * 4,
        "/root/p/kept": [("m", 1)] * 3 + [("m", 2)],
        "/root/p/text": [("m", 1), ("m", 1), ("m", 2), None],
    }
    with pytest.raises(UsageError, match="at least two"):
        client.diff_siblings(["b1"])


def test_a_winners_work_leaves_and_comes_home(tmp_path: Path, main: Guest, client: Client) -> None:
    """By a patch into a checkout, by a tar, and by `apply` into another branch."""
    main.text(PROJECT)
    client.fork("main", 2)
    winner = main.other("b1")
    winner.text(
        "cd /root/p && sed -i s/^50$/fifty/ text && sed -i s/^15$/fifteen/ both && rm gone && chmod +x kept &&"
        " head -c 5000 /dev/urandom > binary && ln -s text link && mkdir -p deep/er empty && mv both deep/er/moved &&"
        " mv deep/er/moved both && echo z > deep/er/z && ln deep/er/z deep/z2"
    )
    checkout = tmp_path / "checkout" / "root" / "p"
    checkout.parent.mkdir(parents=True)
    assert vertui("export-files", "main", "/root/p", str(checkout)).returncode == 0
    made = subprocess.run(["git", "init", "-q", str(tmp_path / "checkout")])
    assert made.returncode == 0
    patched = vertui("patch", "b1", "/root/p")
    assert (patched.returncode, patched.stderr) == (
        3,
        "vertui: not in the patch: +/root/p/empty: directory\n",
    )
    applied = subprocess.run(
        ["git", "apply", "-"], cwd=tmp_path / "checkout", input=patched.stdout, text=True
    )
    assert applied.returncode == 0
    assert vertui("export-files", "b1", "/root/p", str(tmp_path / "out")).returncode == 0
    (tmp_path / "out" / "empty").rmdir()
    same = subprocess.run(["diff", "-r", "--no-dereference", checkout, tmp_path / "out"], capture_output=True)
    assert same.stdout == b""
    assert (checkout / "kept").stat().st_mode & 0o111

    counted = vertui("diff", "b1", "/root/p", "--stat").stdout
    assert "/root/p/binary" in counted and "8 files changed" in counted

    main.text("cd /root/p && sed -i s/^3$/three/ both")
    done = vertui("apply", "b1", "main", "/root/p")
    assert done.returncode == 0, done.stderr
    main.text(
        "cd /root/p && grep -q three both && grep -q fifteen both && grep -q fifty text && test -x kept -a ! -e gone &&"
        " test -d empty -a -L link && test $(stat -c %h deep/z2) = 2 && ! ls -a / | grep vertui-apply"
    )
    assert {command.argv[0] for command in client.ps("main")} == {"sh"}, "apply leaves nothing in `ps`"
    assert paths(client.diff("b1", "main", path=["/root/p"])) == {"/root/p/both"}
    assert "apply" in [operation.verb for operation in client.log(3)]


def test_what_is_nowhere_is_not_the_same(main: Guest, client: Client) -> None:
    client.fork("main", 1)
    main.other("b1").text("touch /root/here")
    for verb in (("diff", "main", "b1"), ("patch", "b1"), ("apply", "b1", "main")):
        refused = vertui(*verb, "/root/here", "/root/nowhere")
        assert refused.returncode == 4, verb
        assert (
            refused.stderr.startswith("vertui: no file /root/nowhere in ") and refused.stderr.count("\n") == 1
        )
    refused = vertui("export-files", "b1", "/root/nowhere", "-")
    assert refused.stderr == "vertui: no file /root/nowhere in b1 (symlinks are not followed)\n"
    assert vertui("diff", "main", "b1", "/root/here").stdout.endswith("\n1 added\n")
    assert vertui("diff", "b1", "--stat", "--patch").returncode == 2
    assert vertui("diff", "--multi", "main", "b1", "--ports").returncode == 2


def test_both_changed(main: Guest, client: Client) -> None:
    main.text(PROJECT)
    client.fork("main", 1)
    main.other("b1").text(
        "cd /root/p && echo theirs > text && rm kept && echo t > gone && mkdir new && echo t > new/x"
    )
    main.text("cd /root/p && echo ours > text && echo more >> kept && echo o > new")
    before = main.text("cd /root/p && md5sum *")
    with pytest.raises(Conflict, match=r"4 changed in both") as refusal:
        client.apply("b1", "main")
    for path in ("text (content)", "kept (removed there, changed here)", "new (added in both)", "new/x"):
        assert f"/root/p/{path}" in str(refusal.value)
    assert main.text("cd /root/p && md5sum *") == before
    assert any(operation.verb == "apply" and "4 changed" in operation.error for operation in client.log(3))
    client.apply("b1", "main", prefer="ours")
    assert main.text("cd /root/p && cat text gone") == "ours\nt"
    client.apply("b1", "main", ["/root/p/text", "/root/p/kept"], prefer="theirs")
    assert main.text("cd /root/p && cat text && ls") == "theirs\nboth\ngone\nnew\ntext"
    assert client.apply("b1", "main", ["/root/p/text"]).changed == ()


def test_a_disk_that_cannot_be_read_is_asked_about(main: Guest, client: Client) -> None:
    """A feature bit unknown to the reader is set behind the running kernel's back."""
    client.fork("main", 2)
    main.other("b1").text("echo one > /root/one")
    two = main.other("b2")
    two.text("touch /root/two && setfattr -n user.x -v y /root/two 2>/dev/null; chmod 700 /root/two; sync")
    flip = "import os; d = os.open('/dev/vda', 2); os.pwrite(d, bytes([os.pread(d, 1, 1122)[0] ^ 1]), 1122)"
    two.text(f'python3 -c "{flip}"')
    with pytest.raises(Unsupported):
        client.diff("b1", "b2", fallback=False)
    diff = client.diff("b1", "b2", path=["/root"])
    assert diff.fallbacks == 1 and "read inside the guests" in diff.notes[0]
    assert {(entry.path, entry.kind) for entry in diff.entries} == {
        ("/root/one", "removed"),
        ("/root/two", "added"),
    }
    stat = vertui("diff", "b1", "b2", "/root", "--stat")
    assert stat.returncode == 0 and "2 files changed, 0 insertions(+), 0 deletions(-)" in stat.stdout


def test_a_tar_has_everything(main: Guest, client: Client) -> None:
    main.text(
        "mkdir /root/t && cd /root/t && mknod null c 1 3 && mkfifo pipe && echo a > a && ln a b && chown 5:6 a &&"
        " python3 -c \"import os; os.setxattr('a', 'user.note', b'\\xff1')\" && chmod 4711 a && ln -s / out && mkdir e"
    )
    data = b"".join(client.files("main", "/root/t"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {member.name: member for member in archive}
    assert set(members) == {".", "./a", "./b", "./null", "./pipe", "./out", "./e"}
    first = members["./a"]
    assert (first.mode, first.uid, first.gid) == (0o4711, 5, 6)
    assert first.pax_headers["SCHILY.xattr.user.note"].encode(errors="surrogateescape") == b"\xff1"
    assert members["./b"].islnk() and members["./null"].ischr() and members["./pipe"].isfifo()
    assert abs(first.mtime - time.time()) < 1000
    assert members["./out"].linkname == "/"


def test_of_an_apply_that_loses_its_daemon_nothing_stays(main: Guest, client: Client, home: Home) -> None:
    client.fork("main", 1)
    main.other("b1").text("head -c 40000000 /dev/urandom > /root/large")
    with ThreadPoolExecutor(1) as threads:
        applying = threads.submit(client.apply, "b1", "main")
        main.text("until test -d /.vertui-apply-*; do sleep 0.02; done")
        os.kill(Client(home).status().pid, signal.SIGKILL)
        assert isinstance(applying.exception(), VertuiError)
    assert eventually(lambda: main.text("ls -a / /root | grep -E 'vertui-apply|large' || true") == "")
    assert client.apply("b1", "main").changed == ("/root/large",)
