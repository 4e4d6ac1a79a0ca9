"""What a program reads of verbs that do something in several branches: one outcome each, in the order given."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, unix_serve

from core.daemon.streams import STDERR, STDOUT
from core.daemon.wire import HEADER
from core.errors import Conflict, NotFound, VertuiError
from core.home import Home
from core.model import Branch
from core.verbs.base import Verb
from core.verbs.pause import Pause
from tests.ui.trees import DEMO
from vertui.cli import main
from vertui.outcomes import MOST_BYTES

Says = Callable[[ServerConnection], None]


def prints(out: bytes, err: bytes, code: int) -> Says:
    def say(line: ServerConnection) -> None:
        line.send(json.dumps({"started": 7, "stdin": [0, 0]}))
        for stream, text in ((STDOUT, out), (STDERR, err)):
            for at in range(0, len(text), 1 << 15):
                line.send(HEADER.pack(stream, at) + text[at : at + (1 << 15)])
        line.send(json.dumps({"exit": code, "timed_out": code == 124}))

    return say


def fails(error: VertuiError) -> Says:
    def say(line: ServerConnection) -> None:
        line.send(json.dumps({"started": 7, "stdin": [0, 0]}))
        line.send(HEADER.pack(STDOUT, 0) + b"so far")
        line.send(json.dumps({"error": {"kind": error.kind, "message": str(error)}}))

    return say


@contextmanager
def executing(home: Home, branches: Mapping[str, Says]) -> Iterator[list[dict[str, Any]]]:
    """A daemon whose branches say this to whatever is executed there; what was."""
    asked: list[dict[str, Any]] = []

    def handle(line: ServerConnection) -> None:
        asked.append(json.loads(line.recv()))
        branches[asked[-1]["branch"]](line)

    home.runtime.mkdir(mode=0o700, exist_ok=True)
    with unix_serve(handle, str(home.daemon_socket)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()
            home.daemon_socket.unlink()


PRUNED = NotFound("b2 was pruned: `vertui trash restore b2` brings it back")


@pytest.fixture
def here(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that commands find."""
    monkeypatch.setenv("VERTUI_HOME", str(home.root))
    return home


def test_exec_tells_one_outcome_a_branch_in_order(here: Home, capsys: pytest.CaptureFixture[str]) -> None:
    says = {
        "b1": prints(b"done\n", b"", 0),
        "b2": fails(PRUNED),
        "b3": prints(b"\xff\n", b"no", 3),
        "b4": prints(b"", b"", 124),
    }
    with executing(here, says):
        status = main(["exec", "b1", "b2", "b3", "b4", "--json", "--", "make"])
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert status == NotFound.exit_status, "the first that is not 0"
    assert [(one["branch"], one["exit"], one["timed_out"], one["reason"]) for one in told] == [
        ("b1", 0, False, ""),
        ("b2", None, False, str(PRUNED)),
        ("b3", 3, False, ""),
        ("b4", 124, True, ""),
    ]
    assert [(one["stdout"], one["stderr"]) for one in told] == [
        ("done\n", ""),
        ("so far", ""),
        ("\ufffd\n", "no"),
        ("", ""),
    ]
    assert [(one["command"], one["stdout_bytes"], one["truncated"]) for one in told] == [
        (7, 5, False), (7, 6, False), (7, 2, False), (7, 0, False),
    ]  # fmt: skip
    assert f"vertui: b2: {PRUNED}\n" in said.err


def test_of_much_output_the_end_is_told(here: Home, capsys: pytest.CaptureFixture[str]) -> None:
    text = b"a" * 100 + b"b" * MOST_BYTES
    with executing(here, {"b1": prints(text, b"", 0)}) as asked:
        assert main(["exec", "b1", "--json", "--", "make"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["stdout"] == "b" * MOST_BYTES
    assert (told["stdout_bytes"], told["truncated"]) == (len(text), True)
    assert asked[0]["lossless"], "a program misses nothing for being slow"


def test_what_is_left_running_has_no_end(here: Home, capsys: pytest.CaptureFixture[str]) -> None:
    gone = Conflict("branch b2 is suspended: `vertui resume b2` starts it from its head")

    def refuses(line: ServerConnection) -> None:
        line.send(json.dumps({"error": {"kind": gone.kind, "message": str(gone)}}))

    with executing(here, {"b1": prints(b"", b"", 0), "b2": refuses}) as asked:
        assert main(["exec", "b1", "b2", "--detach", "--json", "--", "make"]) == Conflict.exit_status
    told = json.loads(capsys.readouterr().out)
    assert [(one["branch"], one["command"], one["exit"], one["reason"]) for one in told] == [
        ("b1", 7, None, "left running"),
        ("b2", None, None, str(gone)),
    ]
    assert all(one["outlives"] for one in asked)


@pytest.mark.parametrize("verb", ["exec", "watch"])
def test_a_line_that_ends_as_its_branch_was_pruned_says_so(
    here: Home, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    with executing(here, {"b2": fails(PRUNED)}):
        status = main([verb, "b2", *(["--", "make"] if verb == "exec" else [])])
    assert status == NotFound.exit_status
    assert capsys.readouterr().err == f"vertui: {PRUNED}\n"


def test_a_console_that_ends_as_its_branch_was_pruned_says_so(here: Home) -> None:
    """While somebody might still type."""
    ours, theirs = os.pipe()
    try:
        with executing(here, {"b2": fails(PRUNED)}):
            argv = [sys.executable, "-m", "vertui", "console", "b2"]
            done = subprocess.run(argv, stdin=ours, capture_output=True, text=True, timeout=120, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (NotFound.exit_status, "so far\n")
    assert done.stderr.endswith(f"\nvertui: {PRUNED}\n")


class Two:
    """A client in whose home b2 cannot be paused."""

    def do(self, verb: Verb[Branch]) -> Branch:
        assert isinstance(verb, Pause)
        if verb.branch == "b2":
            raise Conflict("b2 is paused")
        return next(branch for branch in DEMO.branches if branch.name == verb.branch)


def test_a_verb_for_several_tells_one_outcome_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vertui.derived.connect", Two)
    assert main(["pause", "b1", "b2", "main", "--json"]) == Conflict.exit_status
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told] == ["b1", "b2", "main"]
    assert told[1] == {"name": "b2", "kind": "Conflict", "message": "b2 is paused"}
