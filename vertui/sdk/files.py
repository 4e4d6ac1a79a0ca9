"""Files of a branch that runs, by way of its guest, and of any state that is kept, from its disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from core.daemon.client import Client
from core.errors import GuestFailed
from core.model import ExecRequest
from core.names import spelled
from core.tar import Pieces
from vertui.sdk.running import Execution
from vertui.streaming import capture
from vertui.transfer import Copied, Copier, Place
from vertui.unpack import unpack_file

READ = 'exec cat -- "$1"'
WRITE = 'case $1 in */*) mkdir -p -- "${1%/*}/" || exit 1;; esac; exec cat > "$1"'
NAME = b"file"


def read(client: Client, branch: str, path: str) -> bytes:
    """A file of a running branch; a relative path starts at root's home. GuestFailed says why it cannot be read."""
    done = capture(client.endpoint, _request(branch, READ, path, stdin=False))
    if done.code:
        raise GuestFailed(_why(branch, path, done.stderr))
    return done.stdout


def write(client: Client, branch: str, path: str, data: bytes | str) -> None:
    """Make what a file holds of a running branch; the directories above it are made. GuestFailed says why not."""
    done = Execution(client.endpoint, _request(branch, WRITE, path, stdin=True), data).outcome()
    if done.exit:
        raise GuestFailed(_why(branch, path, done.stderr.encode()))


def read_kept(client: Client, ref: str, path: str) -> bytes:
    """A file at an absolute path on the disk of any REF."""
    with TemporaryDirectory(prefix="vertui-") as directory:
        unpack_file(Pieces(client.files(ref, path, attributes=False)), Path(directory), NAME)
        return Path(directory, os.fsdecode(NAME)).read_bytes()


def upload(client: Client, source: str | Path, branch: str, path: str) -> Copied:
    """Copy a file or tree of this machine into a branch, as `vertui cp` does."""
    return _copied(client, Place(None, os.fspath(source)), Place(branch, path))


def download(client: Client, branch: str, path: str, target: str | Path) -> Copied:
    """Copy a file or tree of a branch to this machine, as `vertui cp` does."""
    return _copied(client, Place(branch, path), Place(None, os.fspath(target)))


def _copied(client: Client, source: Place, target: Place) -> Copied:
    unpacked, final = Copier(client, lambda _: None).copy(source, target)
    return Copied.of(unpacked, str(final))


def _request(branch: str, script: str, path: str, *, stdin: bool) -> ExecRequest:
    argv = ("sh", "-c", script, "sh", path)
    return ExecRequest(branch, argv, stdin=stdin, lossless=True, inner=True)


def _why(branch: str, path: str, said: bytes) -> str:
    lines: Iterator[bytes] = (line for line in reversed(said.split(b"\n")) if line.strip())
    return f"{branch}:{path[:200]}: {spelled(next(lines, b'the guest does not say why'))}"
