"""`sync` without a machine: rsync runs here on both sides. What is brought, what is left out, what cannot be harmed."""

import os
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from core.errors import Conflict, GuestFailed, NotFound, UsageError, VertuiError
from core.guest.scripts.ignored import Rules
from tests.guests import eventually
from tests.rsync_sender import EvilSender, Sent
from vertui.sync import lanes, rsync
from vertui.sync.command import run
from vertui.sync.hearing import Tally
from vertui.sync.once import NAMED, REMOVED, WITHOUT, Sync, literally, on_the_way
from vertui.sync.receiver import Receiver
from vertui.sync.tree import Edits, WatchedTree
from vertui.transfer import Place

SECOND_NS = 1_000_000_000


@dataclass
class Beside:
    """A far side in another directory of this machine."""

    directory: Path
    name: str = "beside"
    said: bytes = b""

    def serve(self, command: Sequence[str], incoming: int, outgoing: int) -> int:
        try:
            done = subprocess.run(
                command, cwd=self.directory, stdin=incoming, stdout=outgoing, stderr=subprocess.PIPE
            )
            self.said = done.stderr
            return done.returncode
        finally:
            os.close(incoming)
            os.close(outgoing)


def seen(top: Path) -> dict[str, object]:
    """All that is to be kept of a tree."""
    found: dict[str, object] = {}
    for path in top.rglob("*"):
        info = path.lstat()
        kind: object = (
            path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else "directory"
        )
        found[str(path.relative_to(top))] = kind, stat.S_IMODE(info.st_mode), info.st_mtime_ns
    return found


def fill(top: Path) -> None:
    """Names and kinds that are easily got wrong."""
    (top / "deep" / "er").mkdir(parents=True)
    for name in (
        b"-x",
        b"a:b",
        b"line\nend",
        b"caf\xe9",
        b" ",
        b"#a",
        b"*[?",
        b"a\\b",
        b"deep/er/data",
        b"...",
        b"{a,b}",
    ):
        (top / os.fsdecode(name)).write_bytes(name)
    (top / "run").write_text("#!/bin/sh\n")
    (top / "run").chmod(0o750)
    (top / "link").symlink_to("deep/er/data")
    (top / "dangling").symlink_to("nothing")
    os.utime(top / "run", ns=(5 * SECOND_NS, 5 * SECOND_NS + 123))
    (top / "deep").chmod(0o711)


@pytest.mark.parametrize("incoming", [False, True])
def test_a_tree_comes_as_it_is_and_only_what_differs_comes_again(
    here: Path, there: Path, incoming: bool
) -> None:
    source, target = (there, here) if incoming else (here, there)
    fill(source)
    first = rsync.run(Beside(there), here, ["--recursive"], incoming=incoming)
    assert seen(target) == seen(source)
    assert (first.files, first.removed, first.left_out) == (12, 0, ())
    (source / "run").write_text("#!/bin/sh -")
    assert rsync.run(Beside(there), here, ["--recursive"], incoming=incoming).files == 1
    assert seen(target) == seen(source)


def test_an_edit_of_the_same_size_in_the_same_second_is_seen(here: Path, there: Path) -> None:
    for text, at in (("one", 1), ("two", 2)):
        (here / "file").write_text(text)
        os.utime(here / "file", ns=(SECOND_NS, SECOND_NS + at))
        assert rsync.run(Beside(there), here, ["--recursive"]).files == 1
    assert (there / "file").read_text() == "two"


def test_devices_and_links_that_lead_out_stay_out_and_are_named(here: Path, there: Path) -> None:
    os.mkfifo(there / "pipe")
    (there / "out").symlink_to("/etc/passwd")
    (there / "up").symlink_to("../here")
    (there / "in").symlink_to("file")
    (there / "file").write_text("a program")
    (there / "file").chmod(0o6755)
    tally = rsync.run(Beside(there), here, ["--recursive"], incoming=True)
    assert set(tally.left_out) == {b"out", b"pipe", b"up"}
    assert {path.name for path in here.iterdir()} == {"in", "file"}
    assert stat.S_IMODE((here / "file").stat().st_mode) == 0o755
    assert rsync.run(Beside(here), there, ["--recursive"]).left_out == (b"pipe",)


def test_what_is_left_out_is_neither_brought_nor_removed(here: Path, there: Path) -> None:
    names = (b"*[?", b"a\\b", b"deep/er", b"line\nend")
    fill(here)
    for name in (*names[:1], b"kept\\", b"gone", b"b\\*"):
        (there / os.fsdecode(name)).write_bytes(b"theirs")
    left_out = [literally(name) for name in (*names, b"kept\\", b"b\\*")]
    rsync.run(Beside(there), here, ["--recursive", "--delete", *WITHOUT], left_out)
    expected = {os.fsencode(path.name) for path in here.iterdir()} - set(names) | {b"kept\\", b"b\\*", b"*[?"}
    assert {os.fsencode(path.name) for path in there.iterdir()} == expected
    assert (there / "*[?").read_bytes() == b"theirs"
    assert not list((there / "deep").iterdir())


def test_names_are_brought_and_removed_by_themselves(here: Path, there: Path) -> None:
    fill(here)
    rsync.run(Beside(there), here, ["--recursive"])
    (there / "theirs").write_text("kept")
    (here / "deep" / "er" / "data").unlink()
    (here / "deep" / "er").rmdir()
    gone = [pattern for name in (b"deep/er", b"*[?", b"a\\b") for pattern in on_the_way(name)]
    for name in ("*[?", "a\\b"):
        (here / name).unlink()
    (there / "deep" / "er" / "more").write_text("goes with its directory")
    assert rsync.run(Beside(there), here, REMOVED, gone).removed == 5
    for path in here.iterdir():
        if path.is_file() and not path.is_symlink():
            path.write_text("new content")
    assert rsync.run(Beside(there), here, NAMED, [b"run", b"-x", b"not there", b"line\nend"]).files == 3
    assert (there / "theirs").read_text() == "kept"
    assert (there / "#a").read_text() == "#a"
    assert (there / "line\nend").read_text() == "new content"
    assert {path.name for path in (there / "deep").iterdir()} == set()


def outwitted(here: Path, outside: Path) -> EvilSender:
    """A sender that makes rsync follow a link of ours: it sends what is in a directory of that name before rsync has
    made that, which is busy asking for all these files."""
    (here / "link").symlink_to(outside)
    many = [Sent(f"a{number:05}", b"") for number in range(20_000)]
    return EvilSender(
        [Sent("."), *many, Sent("link"), Sent("link/own", b"evil")], eager=frozenset({"link/own"})
    )


def test_rsync_alone_writes_where_a_hostile_sender_wants(
    here: Path, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the next test is about. When this one fails rsync has become safe."""
    monkeypatch.setattr(rsync, "program", lambda *_: [])
    with pytest.raises(VertuiError):
        rsync.run(outwitted(here, there), here, ["--recursive"], incoming=True)
    assert (there / "own").read_bytes() == b"evil"


def test_nothing_is_written_elsewhere_whatever_a_guest_sends(here: Path, there: Path) -> None:
    with pytest.raises(VertuiError, match="Read-only"):
        rsync.run(outwitted(here, there), here, ["--recursive"], incoming=True)
    assert not list(there.iterdir())
    (here / "link").unlink()
    for files in (
        [Sent("../own", b"evil")],
        [Sent(str(there / "own"), b"evil")],
        [Sent("d", target=str(there)), Sent("d/own", b"evil")],
        [Sent("d", target="../there"), Sent("d/own", b"evil")],
        [Sent("d"), Sent("d/e", target="."), Sent("d/e/l", target="../../there"), Sent("d/e/l/own", b"evil")],
        [Sent("null", b"", mode=stat.S_IFCHR | 0o666)],
    ):
        sender = EvilSender([Sent("."), *files])
        try:
            rsync.run(sender, here, ["--recursive"], incoming=True)
        except VertuiError as error:
            assert "\n" not in str(error)
        assert not list(there.iterdir())
        assert not [
            path for path in here.rglob("*") if path.is_symlink() and not path.resolve().is_relative_to(here)
        ]
        assert not [path for path in here.rglob("*") if path.is_char_device()]


def test_an_honest_sender_of_the_same_make_is_heard_out(here: Path) -> None:
    sender = EvilSender([Sent("."), Sent("file", b"content"), Sent("d"), Sent("d/link", target="../file")])
    assert rsync.run(sender, here, ["--recursive"], incoming=True).files == 1
    assert (here / "d" / "link").read_text() == "content"


class Silent:
    """A far side that says nothing, or something else than rsync does."""

    name, said = "silent", b""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def serve(self, command: Sequence[str], incoming: int, outgoing: int) -> int:
        os.write(outgoing, self._said)
        os.close(incoming)
        os.close(outgoing)
        return 1


@pytest.mark.parametrize("incoming", [False, True])
@pytest.mark.parametrize("said", [b"", b"bash: no rsync\n" * 20, b"\x1f\0\0\0" + b"\xff" * 5000])
def test_a_far_side_that_is_none_is_one_line(here: Path, incoming: bool, said: bytes) -> None:
    with pytest.raises(VertuiError) as caught:
        rsync.run(Silent(said), here, ["--recursive"], incoming=incoming)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_side_that_failed_is_named(here: Path, there: Path, tmp_path: Path) -> None:
    (here / "file").write_bytes(bytes(3_000_000))
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=True)
    try:
        with pytest.raises(GuestFailed, match=r"^rsync in beside: .*No space left on device") as guest:
            rsync.run(Beside(small), here, ["--recursive"])
        assert guest.value.exit_status == 10
        assert not list(small.iterdir())
        with pytest.raises(VertuiError, match=r"^rsync: .*No space left on device") as ours:
            rsync.run(Beside(here), small, ["--recursive"], incoming=True)
        assert ours.value.kind == "NoRoom"
    finally:
        subprocess.run(["umount", small], check=True)


def test_what_fails_on_the_far_side_is_raised_at_once_and_leaves_no_process(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rsync, "ENDS_S", 600.0)  # rsync goes by itself, and is not waited for so long

    class Refusing(Silent):
        def serve(self, command: Sequence[str], incoming: int, outgoing: int) -> int:
            super().serve(command, incoming, outgoing)
            raise NotFound("no such branch")

    with pytest.raises(NotFound, match="no such branch"):
        rsync.run(Refusing(b""), here, ["--recursive"])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# -- a directory as it changes -------------------------------------------------------------------------------


@pytest.fixture
def watch() -> Iterator[Callable[..., WatchedTree]]:
    """Watches that end with the test."""
    made: list[WatchedTree] = []

    def begin(directory: Path, rules: Rules | None = None) -> WatchedTree:
        made.append(WatchedTree(directory, rules))
        return made[-1]

    yield begin
    for one in made:
        one.close()


def changed(watched: WatchedTree, *edits: Callable[[], object]) -> Edits:
    """What is told of some edits, however many pieces it comes in."""
    for edit in edits:
        edit()
    (watched.directory / "last").touch()
    changes = Edits()
    while b"last" not in changes.names:
        changes = changes.then(watched.next())
    (watched.directory / "last").unlink()
    while b"last" not in changes.removed:
        changes = changes.then(watched.next())
    return Edits(changes.names - {b"last"}, changes.removed - {b"last"})


def test_edits_are_told_by_name(here: Path, watch: Callable[..., WatchedTree]) -> None:
    fill(here)
    watched = watch(here)
    assert changed(watched, lambda: (here / "run").write_text("new")).names == {b"run"}
    assert changed(watched, lambda: (here / "caf\udce9").chmod(0o600)).names == {b"caf\xe9"}
    moved = changed(watched, lambda: (here / "deep").rename(here / "shallow"))
    assert moved == Edits(frozenset({b"shallow", b"shallow/er", b"shallow/er/data"}), frozenset({b"deep"}))
    assert changed(watched, lambda: (here / "shallow/er/data").write_text("x")).names == {b"shallow/er/data"}


def test_new_directories_are_watched_from_their_beginning(
    here: Path, watch: Callable[..., WatchedTree]
) -> None:
    watched = watch(here)

    def grow() -> None:
        for depth in range(1, 30):
            directory = here.joinpath(*["d"] * depth)
            directory.mkdir()
            (directory / "file").write_text("x")

    assert len(changed(watched, grow).names) == 2 * 29


def test_a_file_in_a_directorys_place_is_both(here: Path, watch: Callable[..., WatchedTree]) -> None:
    fill(here)
    watched = watch(here)

    def replaced() -> None:
        (here / "deep/er/data").unlink()
        (here / "deep/er").rmdir()
        (here / "deep/er").write_text("a file")

    assert changed(watched, replaced) == Edits(frozenset({b"deep/er"}), frozenset({b"deep/er/data"}))


def test_what_rules_leave_out_is_not_told_and_new_rules_hold_at_once(
    here: Path, watch: Callable[..., WatchedTree]
) -> None:
    fill(here)
    (here / ".gitignore").write_text("deep/\n")
    watched = watch(here, Rules(b".gitignore"))
    assert changed(watched, lambda: (here / "deep/er/data").write_text("x")) == Edits()
    newer = changed(watched, lambda: (here / ".gitignore").write_text("run\n"))
    assert newer == Edits(frozenset({b".gitignore", b"deep", b"deep/er", b"deep/er/data"}))
    assert changed(watched, lambda: (here / "deep/er/data").write_text("y")).names == {b"deep/er/data"}
    assert changed(watched, lambda: (here / "run").write_text("y")) == Edits()


def test_a_directory_that_goes_ends_it(here: Path, watch: Callable[..., WatchedTree]) -> None:
    watched = watch(here)
    here.rmdir()
    with pytest.raises(NotFound, match="has gone"):
        watched.next()


def test_what_was_done_twice_is_told_as_it_ended() -> None:
    one, none = frozenset({b"a"}), frozenset[bytes]()
    assert Edits(one).then(Edits(none, one)) == Edits(none, one)
    assert Edits(none, one).then(Edits(one)) == Edits(one)


class NoReceiver(Receiver):
    """All is for rsync."""

    def start(self) -> None:
        """There is nothing to start."""

    def bring(self, directory: Path, edits: Edits) -> Tally | None:
        return None


class Scripted(Sync):
    """Brings nothing, and does so or fails as it was told; `asked` is what it was asked for."""

    outcomes: ClassVar[list[Tally | VertuiError]] = []
    asked: ClassVar[list[object]] = []

    def push(self, directory: Path, place: Place) -> Tally:
        return self._next("everything")

    def send(self, directory: Path, place: Place, names: Iterable[bytes], removed: Iterable[bytes]) -> Tally:
        return self._next((set(names), set(removed)))

    def receiver(self, place: Place, stalled: Callable[[VertuiError], None]) -> Receiver:
        return NoReceiver(self.client, place, stalled)

    def _next(self, what: object) -> Tally:
        self.asked.append(what)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, VertuiError):
            raise outcome
        return outcome


def test_a_branch_that_cannot_follow_gets_everything_once_it_can(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told of once, what was removed meanwhile is removed, and it ends with its branch."""
    told: list[Tally | VertuiError] = []
    paused, gone = Conflict("it is paused"), NotFound("no such branch")
    monkeypatch.setattr(lanes, "RETRY_S", 0)
    Scripted.outcomes[:] = [Tally(1), paused, paused, Tally(2), Tally(3), gone]
    Scripted.asked.clear()
    lane = lanes.Lane(Scripted(cast(Any, None)), here, Place("b1", "/x"), lambda _, came: told.append(came))
    lane.start()
    assert eventually(lambda: len(told) == 1)
    lane.add(Edits(frozenset({b"a"}), frozenset({b"b"})))
    assert eventually(lambda: len(told) == 3)
    lane.add(Edits(frozenset({b"c"})))
    lane.join()
    assert told == [Tally(1), paused, Tally(5), gone]
    edits: object = ({b"a"}, {b"b"})
    assert Scripted.asked == [
        "everything", edits, "everything", "everything", (set(), {b"b"}), ({b"c"}, set())
    ]  # fmt: skip
    assert lane.failure is gone


def once(*places: str) -> None:
    """Bring what is at the first place to the others, without options."""
    run(list(places), lambda _: None, watch=False, ignore_from=None, delete=False, json=False)


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        (["here"], "name both"),
        (["here", "there"], "use rsync itself"),
        (["here", "b1:/x", "there"], "use rsync itself"),
        (["b1:/x", "b2:/x"], "vertui cp"),
        (["b1:/x", "here", "there"], "one directory"),
    ],
)
def test_what_sync_is_not_for_is_said(places: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        once(*places)


def test_a_file_is_not_for_sync_and_what_is_not_there_neither(here: Path) -> None:
    (here / "file").touch()
    with pytest.raises(UsageError, match="vertui cp"):
        once(str(here / "file"), "b1:/x")
    with pytest.raises(NotFound, match="there is no directory"):
        once(str(here / "no"), "b1:/x")
