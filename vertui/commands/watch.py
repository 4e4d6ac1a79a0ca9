"""Files of a running branch as they change."""

import json as json_text
import os
from typing import Annotated

import typer
from msgspec import Struct

from core.codec import decode, encode
from core.daemon.streams import STDERR, STDOUT
from core.diff.entry import DiffKind
from core.diff.shape import text_and_hex
from core.guest.scripts import guest_script
from core.model import ExecRequest
from core.names import meant, spelled
from vertui import foreground
from vertui.differences import LETTERS
from vertui.options import BranchName, new_app
from vertui.output import styled, warn
from vertui.session import connect
from vertui.streaming import Follower
from vertui.terminal import write
from vertui.text import printable

app = new_app()


@app.command()
def watch(
    branch: BranchName,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Only these files, or what is below them."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON a change.")] = False,
) -> None:
    """Print files of a running branch as they change: A added, D removed, M modified. Ctrl-C ends it.

    The guest's kernel tells (fanotify), of its root filesystem or those that the PATHs lie on; several changes of one
    file within a moment are one. A relative PATH starts at root's home. What a branch changed since a commit is told
    by `vertui diff`.

    \b
    Examples:
      vertui watch b1
      vertui watch b1 /root/project --json
    """
    client = connect()
    changes = _Changes(branch, json)
    watched = dict.fromkeys(map(os.fsdecode, map(meant, paths or ())))
    request = ExecRequest(branch, guest_script("watch", *watched), inner=True)
    follower = Follower(client.endpoint, request, changes, lambda text: warn(f"{branch}: {text}"))
    ends = foreground.run([follower], stdin=False, tty=False)
    if ends is None:
        follower.close()
        raise typer.Exit(foreground.DETACHED)
    raise typer.Exit(foreground.status([follower], ends))


class _Line(Struct):
    """What the guest's program says in a line, paths in hexadecimal: a change, or one of the others, or nothing when it
    has begun.
    """

    change: DiffKind | None = None
    path: str = ""
    missing: str = ""
    lost: bool = False


class FileChange(Struct, omit_defaults=True):
    """A line of JSON: a path, its exact bytes in hexadecimal where it is not they, and what became of it."""

    change: DiffKind
    path: str
    path_hex: str | None = None


class _Changes:
    """Prints what the guest's program tells, line by line: it may say anything."""

    def __init__(self, branch: str, json: bool) -> None:
        self._branch, self._json = branch, json
        self._rest = b""

    def __call__(self, stream: int, data: bytes) -> None:
        """Take bytes of its output, print the lines they complete."""
        if stream == STDERR:
            warn(spelled(data.strip()))
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        write(STDOUT, "".join(map(self._told, lines)).encode())

    def _told(self, line: bytes) -> str:
        try:
            said = decode(_Line, json_text.loads(line))
            return self._ready() if said == _Line() else self._say(said)
        except ValueError:  # the rest of a line whose beginning was dropped
            return ""

    def _say(self, said: _Line) -> str:
        if said.missing:
            path, _ = text_and_hex(bytes.fromhex(said.missing))
            warn(f"{self._branch}: {printable(path)} is not there yet: you are told when it is")
        if said.lost:
            warn(f"{self._branch}: more changed than could be told: some are missing")
        return self._change(said.change, *text_and_hex(bytes.fromhex(said.path))) if said.change else ""

    def _change(self, change: DiffKind, path: str, path_hex: str | None) -> str:
        if self._json:
            return json_text.dumps(encode(FileChange(change, path, path_hex))) + "\n"
        letter = LETTERS[change]
        return f"{styled(letter.text, letter.style)}  {printable(path)}\n"

    def _ready(self) -> str:
        warn(f"watching {self._branch}: Ctrl-C ends it")
        return ""
