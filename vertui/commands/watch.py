"""Files of a running branch as they change."""

import json as json_text
import os
from typing import Annotated, Any

import typer

from core.daemon.streams import STDERR, STDOUT
from core.diff.shape import text_fields
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
    follower = Follower(client.home, request, changes, lambda text: warn(f"{branch}: {text}"))
    ends = foreground.run([follower], stdin=False, tty=False)
    if ends is None:
        follower.close()
        raise typer.Exit(foreground.DETACHED)
    raise typer.Exit(foreground.status([follower], ends))


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
            fields = json_text.loads(line)
            return self._change(fields) if fields else self._ready()
        except (ValueError, KeyError, TypeError):  # the rest of a line whose beginning was dropped
            return ""

    def _change(self, fields: dict[str, Any]) -> str:
        if fields.get("missing"):
            path = text_fields("path", bytes.fromhex(fields["missing"]))["path"]
            warn(f"{self._branch}: {printable(path)} is not there yet: you are told when it is")
            return ""
        if fields.get("lost"):
            warn(f"{self._branch}: more changed than could be told: some are missing")
            return ""
        told = text_fields("path", bytes.fromhex(fields["path"]))
        letter = LETTERS[fields["change"]]
        if self._json:
            return json_text.dumps({"change": fields["change"]} | told) + "\n"
        return f"{styled(letter.text, letter.style)}  {printable(told['path'])}\n"

    def _ready(self) -> str:
        warn(f"watching {self._branch}: Ctrl-C ends it")
        return ""
