"""What does not lie on the disk of a guest: compared in the guests, or named; never taken for the same."""

from pathlib import Path

import pytest

from core.daemon.client import Client
from core.diff.result import Counts
from core.errors import NotFound, NotOnDisk
from tests.guests import Guest
from tests.machine.test_cli import vertui
from tests.machine.test_diff_live import paths
from vertui.transfer import Copier, parse


def parent_of(client: Client, name: str) -> str:
    parent = next(item.parent for item in client.tree().branches if item.name == name)
    assert parent is not None
    return parent


def test_what_lies_in_memory_is_compared_or_named(tmp_path: Path, main: Guest, client: Client) -> None:
    main.text("echo same > /tmp/kept; echo gone > /tmp/gone")
    client.fork("main", 2)
    one, two, parent = main.other("b1"), main.other("b2"), parent_of(client, "b1")
    for a, b in (("b1", "b2"), (parent, "b1"), ("main", "b2")):
        assert client.diff(a, b).notes == (), "nothing changed, nothing is said"
    assert [command.argv[0] for command in client.ps("main")] == ["sh"], "a diff leaves nothing in `ps`"
    one.text(
        "echo r > /tmp/result; rm /tmp/gone; truncate -s 60G /tmp/huge; echo x > /dev/shm/x; echo d > /root/disk"
    )

    diff = client.diff("b2", "b1", path=["/tmp", "/root"], lines=True)
    told = {(entry.path, entry.kind) for entry in diff.entries}
    assert told == {
        *(("/tmp/result", "added"), ("/tmp/huge", "added"), ("/tmp/gone", "removed"), ("/root/disk", "added"))
    }
    assert diff.counts == Counts(added=3, removed=1, modified=0, renamed=0)
    assert paths(client.diff("b2", "b1", path=["/tmp/result"])) == {"/tmp/result"}
    text = client.patch("b2", "b1", path=["/tmp", "/root/disk"])
    assert text.count(b"diff --git") == 4 and b"--- /dev/null\n+++ b/tmp/result\n@@ -0,0 +1 @@\n+r\n" in text
    assert b"b/tmp/huge differ: too large to show" in text and b"-gone\n" in text and b"+d\n" in text
    with pytest.raises(NotFound, match="/tmp/nowhere"):
        client.diff("b2", "b1", path=["/tmp/nowhere"])
    with pytest.raises(NotOnDisk, match="/proc is a proc"):
        client.diff("b2", "b1", path=["/proc/version"])

    assert client.diff("b2", "b1").notes == (
        "not on the disks, and different too: /dev/shm, /tmp: name a path there to compare it",
    )
    for notes in (client.diff(parent, "b1").notes, client.diff_siblings(["b1", "b2"]).notes):
        assert notes == (
            "not on the disk, and changed in b1: /dev/shm, /tmp: no diff with a commit has it, `vertui cp` copies",
        )
    assert client.diff("b2", "b1", path=["/root"]).notes == ()

    head = client.commit("b1").commit.id
    for verb in (
        *(("diff", "b1"), ("diff", parent, head), ("patch", "b1"), ("patch", "b1", "--base", "b2")),
        *(("apply", "b1", "b2"), ("diff", "--multi", "b1", "b2")),
    ):
        refused = vertui(*verb, "/tmp/result")
        assert (refused.returncode, refused.stdout) == (3, ""), verb
        assert refused.stderr.startswith("vertui: /tmp/result is not on the disk, /tmp is a tmpfs"), verb
        assert "`vertui cp" in refused.stderr and refused.stderr.count("\n") == 1
    refused = vertui("export-files", "b1", "/tmp/result", str(tmp_path / "out"))
    assert refused.returncode == 3 and "`vertui cp b1:/tmp/result .`" in refused.stderr
    assert not (tmp_path / "out").exists()

    copier = Copier(client, lambda _: None)
    copier.copy(parse("b1:/tmp/result"), parse(str(tmp_path)))
    assert (tmp_path / "result").read_text() == "r\n"
    copier.copy(parse(str(tmp_path / "result")), parse("b2:/tmp"))
    assert two.text("cat /tmp/result") == "r"

    two.text("umount -l /tmp && echo disk > /tmp/plain")
    assert ("/tmp/plain", "removed") in {
        (entry.path, entry.kind) for entry in client.diff("b2", "b1", path=["/tmp"]).entries
    }
    assert paths(client.diff(parent, "b2", path=["/tmp"])) == {"/tmp/plain"}
    assert paths(client.diff(parent, client.commit("b2").commit.id, path=["/tmp/plain"])) == {"/tmp/plain"}


def test_a_file_larger_than_its_disk(tmp_path: Path, main: Guest, client: Client) -> None:
    """Sixty gigabytes of nothing with three letters in it, out by every verb and in again."""
    client.fork("main", 2)
    one, two = main.other("b1"), main.other("b2")
    one.text("mkdir /root/s && cd /root/s && echo small > g && python3 -c \"f = open('f', 'wb'); f.seek(30 << 30);"
             " f.write(b'mid'); f.truncate(60 << 30)\"")  # fmt: skip
    look = "cd {} && stat -c %s:%b f && dd if=f bs=1 count=3 skip=32212254720 2>/dev/null && cat g"
    there = "64424509440:8\nmidsmall"
    assert vertui("export-files", "b1", "/root/s", str(tmp_path / "out")).returncode == 0
    copier = Copier(client, lambda _: None)
    copier.copy(parse("b1:/root/s"), parse(str(tmp_path / "copy")))
    copier.copy(parse("b1:/root/s/f"), parse(str(tmp_path / "alone")))
    for file in (tmp_path / "out" / "f", tmp_path / "copy" / "f", tmp_path / "alone"):
        with file.open("rb") as opened:
            opened.seek(30 << 30)
            assert opened.read(4) == b"mid\0"
        assert (file.stat().st_size, file.stat().st_blocks) == (60 << 30, 8)
    copier.copy(parse(str(tmp_path / "copy")), parse("b2:/root/in"))
    assert two.text(look.format("/root/in")) == there
    copier.copy(parse("b1:/root/s"), parse("b2:/root/over"))
    assert two.text(look.format("/root/over")) == there
    client.apply("b1", "b2", ["/root/s"])
    assert two.text(look.format("/root/s")) == there
    assert client.diff("b1", "b2", path=["/root/s"]).entries == ()
    patched = vertui("patch", "b1", "/root/s")
    assert patched.returncode == 3 and "/root/s/f: too large for a patch" in patched.stderr
    assert "too large to show" in vertui("diff", "b1", "/root/s", "--patch").stdout
