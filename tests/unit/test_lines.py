"""Answers of a line a value: one that was broken off is not taken for whole, and who follows goes on with the next."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.codec import encode
from core.daemon.connection import UNTIL_DEATH
from core.daemon.endpoint import TOKEN, URL, Remote
from core.daemon.lines import LineStream
from core.errors import DaemonUnavailable, NotFound
from core.journal.entry import JournalEntry
from tests.guests import SOON_S
from vertui.cli import main

LINES = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def refused(kind: str, message: str) -> bytes:
    said = json.dumps({"kind": kind, "message": message}).encode()
    return f"HTTP/1.1 404 no\r\nContent-Length: {len(said)}\r\n\r\n".encode() + said


@contextmanager
def daemon(*answers: bytes) -> Iterator[tuple[Remote, list[str]]]:
    """One that lives, and gives each who asks for more the next of these; what it was asked."""
    left, asked = [*answers], list[str]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SOON_S)

        def serve() -> None:
            while left:
                connection = listener.accept()[0]
                with connection:
                    path = connection.recv(1 << 16).decode().split()[1]
                    if path == "/v1/alive":
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    else:
                        asked.append(path)
                        connection.sendall(left.pop(0))

        serving = threading.Thread(target=serve)
        serving.start()
        yield Remote("127.0.0.1", listener.getsockname()[1], "t" * 43), asked
        serving.join()


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize(
    ("rest", "whole"), [(END, True), (b"", False), (chunk(b"[2]\n")[:-4], False), (b"4\r", False)]
)
def test_an_answer_that_is_broken_off_is_not_whole(rest: bytes, whole: bool, endless: bool) -> None:
    found = list[list[int]]()
    with daemon(LINES + chunk(b"[0]\n[") + chunk(b"1]\n") + rest) as (at, _):
        stream = LineStream(at, "/v1/x", list[int], UNTIL_DEATH, endless=endless)
        try:
            found.extend(stream)
            assert whole and not endless
        except DaemonUnavailable as error:
            assert not whole or endless, error
    assert found[:2] == [[0], [1]]


def test_who_follows_a_journal_goes_on_after_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [JournalEntry(seq, 1.0, "note", "", "said", "", "", "") for seq in (7, 8)]
    entries = [chunk(json.dumps(encode(entry)).encode() + b"\n") for entry in made]
    gone = refused(NotFound.__name__, "no branch 'main'")
    with daemon(LINES + entries[0], LINES + entries[1] + END, gone) as (at, asked):
        monkeypatch.setenv(URL, at.url)
        monkeypatch.setenv(TOKEN, at.token)
        assert main(["journal", "tail", "main", "-f", "-n", "3"]) == NotFound.exit_status
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.split("\n")[:-1]] == ["7", "8"]
    assert said.err == "vertui: no branch 'main'\n"
    assert [sorted({"count=3", "first=8", "first=9"} & {*path.partition("?")[2].split("&")}) for path in asked] == [
        ["count=3"], ["first=8"], ["first=9"],
    ]  # fmt: skip
