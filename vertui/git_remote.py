"""`git-remote-vertui`, which git starts for a remote `vertui::BRANCH:PATH`: git's own protocol through `vertui ssh`."""

import os
import shlex
import sys

from core.python import program

SERVICES = (b"git-upload-pack", b"git-receive-pack", b"git-upload-archive")
STDIN, STDOUT = 0, 1


def main() -> int:
    """Answer git, and become the ssh that it asks for (gitremote-helpers(7), `connect`)."""
    branch, _, path = sys.argv[-1].partition(":")
    if len(sys.argv) < 3 or not (branch and path) or branch.startswith("-") or path.startswith("//"):
        print(
            "vertui: a remote is vertui::BRANCH:PATH, as in `git remote add b1 vertui::b1:/srv/app`",
            file=sys.stderr,
        )
        return 2
    while line := _line():
        order, _, service = line.partition(b" ")
        if order == b"capabilities":
            os.write(STDOUT, b"connect\n\n")
        elif order == b"connect" and service in SERVICES:
            os.write(STDOUT, b"\n")
            ssh = program("vertui", "ssh", branch, "--", f"{service.decode()} {shlex.quote(path)}")
            os.execv(ssh[0], ssh)
        else:
            print(f"vertui: git asks for what is not known here: {line!r}", file=sys.stderr)
            return 1
    return 0


def _line() -> bytes:
    """The next line; none at the end. What follows it is left where it is: it is for ssh."""
    line = b""
    while (byte := os.read(STDIN, 1)) not in (b"", b"\n"):
        line += byte
    return line
