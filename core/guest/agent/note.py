#!/usr/bin/python3 -ISB
"""`vertui-note`: what a program in the guest has to say, into its branch's journal. The image has it in its PATH.

It needs nothing but Python and the agent: the agent listens at an abstract address, which no mount can hide and any
user reaches. Sent are a line of JSON with what the note is and how long, and the text. The answer is a line of JSON:
the number of the entry once the host has it on disk, or the problem. Nothing of the package is imported here.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser

ADDRESS = "\0vertui-note"
"""In the abstract namespace of the machine's own network."""

MOST_BYTES = 1 << 20
"""Of a note: as long as an entry may be that is appended from outside."""

LONGEST_AUTHOR, LONGEST_KIND = 200, 40
KINDS = ("message", "tool_call", "tool_result", "note", "wait")
TIMEOUT_S, LONGEST_S = 60.0, 1e6
STARTING_S = 15.0
"""An agent that ended is started anew by then, on a host with much to do too."""

PAUSE_S = 0.1
UNKNOWN = "it may have been written"


class CannotNote(Exception):
    """Why a note was not acknowledged; its text is for the user."""


def main(argv: list[str] | None = None) -> int:
    """Append a note; the exit status is 0 once it is on the host's disk, 1 when that is not known."""
    given = _parser().parse_args(argv)
    kind = "wait" if given.waiting else given.kind
    try:
        text = _text(given.text, read=not given.waiting)
        author = (given.author or os.environ.get("VERTUI_AUTHOR") or _user())[:LONGEST_AUTHOR]
        print(f"entry {note(kind, author, text, given.timeout)}")
    except CannotNote as error:
        print(f"vertui-note: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"vertui-note: interrupted: {UNKNOWN}", file=sys.stderr)
        return 130
    return 0


def note(kind: str, author: str, text: bytes, timeout_s: float, address: str = ADDRESS) -> int:
    """Send a note, and wait until it is on the host's disk; the number of its entry. CannotNote says why not."""
    if len(text) > MOST_BYTES:
        raise CannotNote(f"the text has {len(text)} bytes, and a note {MOST_BYTES} at most")
    until = time.monotonic() + timeout_s
    head = {"kind": kind, "author": author, "size": len(text)}
    with _connected(address, min(until, time.monotonic() + STARTING_S)) as connection:
        connection.settimeout(max(PAUSE_S, until - time.monotonic()))
        try:
            connection.sendall(json.dumps(head).encode() + b"\n" + text)
        except TimeoutError:
            raise CannotNote(
                f"the agent has not taken it within {timeout_s:g} s: too much is said at once"
            ) from None
        except OSError:
            pass  # it was refused half read: the answer says why
        try:
            said = b"".join(iter(lambda: connection.recv(4096), b""))
        except TimeoutError:
            raise CannotNote(f"nobody has acknowledged it within {timeout_s:g} s: {UNKNOWN}") from None
        except OSError as error:
            raise CannotNote(f"{error.strerror}: {UNKNOWN}") from error
    return _number(said)


def _number(said: bytes) -> int:
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        raise CannotNote(f"the agent ended before it was acknowledged: {UNKNOWN}") from None
    if "seq" not in answer:
        raise CannotNote(str(answer.get("problem")))
    return int(answer["seq"])


def _connected(address: str, until: float) -> socket.socket:
    """A line to the agent, which may just be started anew."""
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(PAUSE_S, until - time.monotonic()))
            connection.connect(address)
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > until:
                raise CannotNote(
                    "no agent takes notes here: this is no machine of vertui's, or its agent has ended"
                ) from None
            time.sleep(PAUSE_S)


def _text(words: list[str], *, read: bool) -> bytes:
    """What is said: the words, or all of standard input."""
    text = " ".join(words).encode(errors="surrogateescape")
    if not words and read:
        text = sys.stdin.buffer.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise CannotNote(f"standard input has more than the {MOST_BYTES} bytes of a note")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise CannotNote(f"the text is not UTF-8: byte {error.start} is {text[error.start]:#04x}") from None
    return text


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _parser() -> ArgumentParser:
    from argparse import ArgumentParser  # the agent, which has this module in its memory, does without

    parser = ArgumentParser(
        prog="vertui-note",
        description="Write into the journal of this machine's branch. Ends once that is on the host's disk.",
        epilog=f"A text has {MOST_BYTES} bytes at most. `vertui journal show BRANCH` shows it, outside.",
    )
    parser.add_argument(
        "text", nargs="*", help="what is said; all of standard input without it", metavar="TEXT"
    )
    parser.add_argument("--kind", choices=KINDS, default="note", help="what it is (note)")
    parser.add_argument("--author", help="who says it (VERTUI_AUTHOR, or the user)", metavar="NAME")
    parser.add_argument(
        "--waiting", action="store_true", help="say that you wait: a point at which to commit"
    )
    parser.add_argument(
        "--timeout", type=seconds, default=TIMEOUT_S, help="give up after so long (60)", metavar="SECONDS"
    )
    return parser


def seconds(text: str) -> float:
    """A time limit; ValueError for what is none."""
    found = float(text)
    if not 0 < found <= LONGEST_S:
        raise ValueError(text)
    return found


if __name__ == "__main__":
    sys.exit(main())
