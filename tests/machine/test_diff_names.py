"""Files whose names are no text, or look like what stands for others, through every verb that takes or shows a name."""

import ast
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

from core.codec import decode
from core.daemon.client import Client
from core.diff.result import FileDiff
from core.names import meant, spelled
from tests.guests import Guest
from tests.machine.test_cli import VERTUI, WAIT_S
from tests.machine.test_watch import watching
from vertui.commands.watch import FileChange
from vertui.transfer import Copier, parse
from vertui.unpack import unpack_tree

NAMES = (
    *(
        b"\xff\xfe",
        rb"\xff\xfe",
        rb"\\xff\xfe",
        b"end ",
        b"two  blanks",
        b"two\nlines\x0c",
        b"line\n",
        b"a\\",
    ),
    "ü\u2028".encode(),
)
"""The first two looked alike, and the wrong one was taken."""
MAKE = """
import os
os.makedirs('/root/n', exist_ok=True)
for name in {names!r}:
    open(b'/root/n/' + name, 'wb').write(name + {edit!r})
"""
READ = "import os, sys; print({name: open(name, 'rb').read() for name in os.listdir(b'.')})"


def ran(*argv: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*map(os.fsencode, VERTUI), *argv], capture_output=True, timeout=WAIT_S)


def make(guest: Guest, edit: bytes = b"") -> None:
    """A file of each name, its name its content."""
    guest.text(f"cat > /root/make.py <<'E'\n{MAKE.format(names=NAMES, edit=edit)}\nE\npython3 /root/make.py")


def exact(told: FileDiff | FileChange) -> bytes:
    return told.path.encode() if told.path_hex is None else bytes.fromhex(told.path_hex)


def test_every_name_comes_out_as_itself(tmp_path: Path, main: Guest, client: Client) -> None:
    client.fork("main", 1)
    make(main.other("b1"))
    found = {exact(entry) for entry in client.diff("main", "b1", path=["/root/n"]).entries}
    assert found == {b"/root/n"} | {b"/root/n/" + name for name in NAMES}
    listed = ran(b"diff", b"main", b"b1", b"/root/n", b"--name-only").stdout.decode().split("\n")
    assert {meant(line) for line in listed if line} == found
    assert "/root/n/end\\x20" in listed
    for number, name in enumerate(NAMES):
        typed = spelled(b"/root/n/" + name).encode()
        (entry,) = client.diff("main", "b1", path=[typed.decode()]).entries
        assert exact(entry) == b"/root/n/" + name
        out, copied = tmp_path / str(number), tmp_path / f"copy-{number}"
        assert (
            unpack_tree(io.BytesIO(b"".join(client.files("b1", typed.decode(), attributes=False))), out).files
            == 1
        )
        assert {os.fsencode(path.name): path.read_bytes() for path in out.iterdir()} == {name: name}
        Copier(client, lambda _: None).copy(parse(f"b1:{typed.decode()}"), parse(str(copied)))
        assert copied.read_bytes() == name
    raw = ran(b"export-files", b"b1", b"/root/n/\xff\xfe", os.fsencode(tmp_path / "raw"))
    assert raw.returncode == 0, raw.stderr
    assert [os.fsencode(path.name) for path in (tmp_path / "raw").iterdir()] == [NAMES[0]]
    data = b"".join(client.files("b1", "/root/n"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {os.fsencode(member.name) for member in archive} == {b"."} | {b"./" + name for name in NAMES}


def test_every_name_goes_in_as_itself(tmp_path: Path, main: Guest, client: Client) -> None:
    client.fork("main", 2)
    make(main.other("b1"))
    two = main.other("b2")
    two.text("mkdir /root/n")
    done = ran(b"apply", b"b1", b"b2", spelled(b"/root/n/" + NAMES[0]).encode())
    assert (done.returncode, done.stdout.split(b"\n")[0]) == (0, rb"/root/n/\xff\xfe"), done.stderr
    (tmp_path / "file").write_bytes(b"from here")
    copier = Copier(client, lambda _: None)
    copier.copy(parse(str(tmp_path / "file")), parse(f"b2:{spelled(b'/root/n/' + NAMES[1])}"))
    copier.copy(parse(r"b1:/root/n/line\x0a"), parse(r"b2:/root/n/\xff\x0a"))
    told = two.run(f'cd /root/n && python3 -c "{READ}"').text
    there = {NAMES[0]: NAMES[0], NAMES[1]: b"from here", b"\xff\n": b"line\n"}
    assert ast.literal_eval(told) == there
    with watching("b2", "/root/n", "--json") as process:
        make(two, b"more")
        two.text("touch /root/n/last")
        assert process.stdout is not None
        seen: set[bytes] = set()
        while b"/root/n/last" not in seen:
            seen.add(exact(decode(FileChange, json.loads(process.stdout.readline()))))
    assert seen == {b"/root/n/last"} | {b"/root/n/" + name for name in NAMES}
