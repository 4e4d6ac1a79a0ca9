"""`cp`: files and trees between this machine and branches, as tar streams through exec.

Names work as with scp and `docker cp`: into a directory that exists, else as the name given; `SRC/.` copies what is
in a directory. A directory travels as its contents, a file as one entry, so the receiving side alone decides names.
"""

import os
import posixpath
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.daemon.client import Client
from core.daemon.streams import STDOUT, Dropped, Exit, Output, Stream, run
from core.errors import Conflict, GuestFailed, NotFound, UsageError, VertuiError
from core.model import ExecRequest
from core.names import meant, spelled
from core.tar import Pieces
from core.verbs.shown import Shown
from vertui.pack import FILE_NAME, pack
from vertui.streaming import capture
from vertui.unpack import Unpacked, unpack_file, unpack_tree

REMOTE = re.compile(r"(@trunk|[a-z][a-z0-9-]{0,30}):(.*)", re.DOTALL)
STDERR_BYTES = 4096  # of a failing tar: its last line is shown

PROBE = 'if [ -d "$1" ]; then echo directory; elif [ -e "$1" ]; then echo file; else echo absent; fi'
SEND_TREE = 'exec tar -cSf - --format=gnu -C "$1" .'
# The shell's own expansions: $(dirname …) would drop line ends at the end of a name. LC_ALL: any byte is a character.
PARENT = "case $1 in */*) d=${1%/*}/;; *) d=./;; esac"
SEND_FILE = (
    f"{PARENT}; LC_ALL=C exec tar -chSf - --format=gnu --no-unquote --transform='s,.*,{FILE_NAME},' "
    '-C "$d" -- "./${1##*/}"'
)
TAKE_TREE = 'mkdir -p -- "$1" && exec tar -xpf - --no-same-owner -C "$1"'
TAKE_FILE = f"""
{PARENT}
cd -- "$d" && t=$(mktemp -d .cp.XXXXXX) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
tar -xpf - --no-same-owner -C "$t" && mv -fT -- "$t/{FILE_NAME}" "./${{1##*/}}"
"""


class PathKind(StrEnum):
    """What stands at a path."""

    DIRECTORY = "directory"
    FILE = "file"
    ABSENT = "absent"


@dataclass(frozen=True)
class Place:
    """One side of a copy; `branch` is None for this machine. The path is as the operating system takes it."""

    branch: str | None
    path: str

    def __str__(self) -> str:
        path = spelled(os.fsencode(self.path))
        return f"{self.branch}:{path}" if self.branch else path


@dataclass(frozen=True)
class Copied:
    """What came of a copy: where it is now, and what it holds (None between branches: this side does not look).
    `skipped` are the paths that were left out, spelled as `core.names` has it.
    """

    to: str
    files: int | None = None
    size_bytes: int | None = None
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(cls, unpacked: Unpacked | None, to: str) -> "Copied":
        """Of what came out at a place."""
        if unpacked is None:
            return cls(to)
        return cls(to, unpacked.files, unpacked.size_bytes, tuple(map(spelled, unpacked.skipped)))


Progress = Callable[[int], None]


def parse(text: str) -> Place:
    """`branch:path`, spelled as `core.names` has it, or a local path as it is; `./a:b` is a local path with a colon."""
    match = REMOTE.fullmatch(text)
    if match:
        return Place(match[1], os.fsdecode(meant(match[2])) or ".")
    if not text:
        raise UsageError("an empty path names nothing")
    return Place(None, text)


class Copier:
    """Copies by one client; `progress` hears the bytes of each block."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client = client
        self._progress = progress

    def copy(self, source: Place, target: Place) -> tuple[Unpacked | None, Place]:
        """What was copied (None between branches: this side does not look) and where it went."""
        if source.branch is None and target.branch is None:
            raise UsageError("one side of cp is BRANCH:PATH: for local files use cp itself")
        kind = self._kind(source)
        if kind is PathKind.ABSENT:
            raise NotFound(f"there is no {source}")
        final = Place(target.branch, destination(source.path, kind, target.path, self._kind(target)))
        self._check_parent(final)
        if source.branch is None:
            return self._upload(Path(source.path), final, kind), final
        if final.branch is None:
            return self._download(source, Path(final.path), kind), final
        self._relay(source, final, kind)
        return None, final

    def _kind(self, place: Place) -> PathKind:
        if place.branch is None:
            path = Path(place.path)
            return (
                PathKind.DIRECTORY if path.is_dir() else PathKind.FILE if path.exists() else PathKind.ABSENT
            )
        answer = (
            capture(self._client.endpoint, _request(place, PROBE)).stdout.decode(errors="replace").strip()
        )
        if answer not in PathKind.__members__.values():
            raise GuestFailed(f"{place.branch} does not say what {place} is: has it a shell?")
        return PathKind(answer)

    def _check_parent(self, final: Place) -> None:
        parent = posixpath.dirname(final.path) or "."
        if self._kind(Place(final.branch, parent)) is not PathKind.DIRECTORY:
            raise NotFound(f"there is no directory {Place(final.branch, parent)}")

    def _upload(self, source: Path, final: Place, kind: PathKind) -> Unpacked:
        with _Inlet(self._client, final, kind, self._progress) as inlet:
            return pack(source, inlet)

    def _download(self, source: Place, final: Path, kind: PathKind) -> Unpacked:
        with _open(self._client, source, SEND_TREE if kind is PathKind.DIRECTORY else SEND_FILE) as stream:
            outlet = _Outlet(stream, source, most_bytes(self._client, source), self._progress)
            pieces = Pieces(outlet.blocks())
            if kind is PathKind.FILE:
                result = unpack_file(pieces, final.parent, os.fsencode(final.name))
            else:
                result = unpack_tree(pieces, final)
            outlet.finish()
            return result

    def _relay(self, source: Place, final: Place, kind: PathKind) -> None:
        with (
            _open(self._client, source, SEND_TREE if kind is PathKind.DIRECTORY else SEND_FILE) as stream,
            _Inlet(self._client, final, kind, self._progress) as inlet,
        ):
            outlet = _Outlet(stream, source, None, lambda _: None)
            for block in outlet.blocks():
                inlet.write(block)


def most_bytes(client: Client, source: Place) -> int:
    """What an honest tree of a branch may hold: no more than the guest's disk and memory together."""
    tree = client.tree()
    branch = Shown(tree).branch(source.branch or "")
    images = {branch.image} if branch else set()
    specs = [image.spec for image in tree.images if {image.id, image.name} & images]
    return max((spec.disk_bytes + spec.memory_bytes for spec in specs), default=1 << 40)


def destination(source: str, kind: PathKind, target: str, there: PathKind) -> str:
    """The path a copy ends up at, by scp's rules. Conflict or NotFound when they allow none."""
    contents = posixpath.basename(source) in ("", ".", "..") and posixpath.basename(source.rstrip("/")) in (
        "",
        ".",
        "..",
    )
    if there is PathKind.DIRECTORY:
        return target if contents else posixpath.join(target, posixpath.basename(source.rstrip("/")))
    if there is PathKind.FILE and kind is PathKind.DIRECTORY:
        raise Conflict(f"{_shown(target)} is a file and {_shown(source)} a directory")
    if target.endswith("/") and kind is PathKind.FILE:
        raise NotFound(f"there is no directory {_shown(target)}")
    return target.rstrip("/") or "/"


def _shown(path: str) -> str:
    return spelled(os.fsencode(path))


class _Inlet:
    """A guest's tar taking an archive: write to it, leave the block to see how it ended."""

    def __init__(self, client: Client, final: Place, kind: PathKind, progress: Progress) -> None:
        self._place = final
        self._progress = progress
        self._stream = _open(
            client, final, TAKE_TREE if kind is PathKind.DIRECTORY else TAKE_FILE, stdin=True
        )
        self._outlet = _Outlet(self._stream, final, None, lambda _: None)
        self._failure: VertuiError | None = None
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "_Inlet":
        self._reader.start()
        return self

    def write(self, data: bytes, /) -> None:
        """Send a block; raises why tar ended when it has."""
        if self._over.is_set():
            raise self._failure or GuestFailed(f"tar in {self._place.branch} ended early")
        self._stream.write(data)
        self._progress(len(data))

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._stream.eof()
                self._reader.join()
        finally:
            self._stream.close()
        if kind is None and self._failure:
            raise self._failure

    def _read(self) -> None:
        try:
            self._outlet.finish()
        except VertuiError as error:
            self._failure = error
        self._over.set()


class _Outlet:
    """A command's standard output, bounded when a limit is given."""

    def __init__(self, stream: Stream, place: Place, limit: int | None, progress: Progress) -> None:
        self._messages = iter(stream)
        self._place = place
        self._room = limit
        self._progress = progress
        self._stderr = b""
        self._ended = False

    def finish(self) -> None:
        """Read to the end; GuestFailed when the command failed."""
        for _ in self.blocks():
            pass

    def blocks(self) -> Iterator[bytes]:
        """Standard output as it comes; GuestFailed at its end when the command failed."""
        for message in self._messages if not self._ended else ():
            if isinstance(message, Exit):
                self._ended = True
                self._check(message)
            elif isinstance(message, Dropped):
                raise GuestFailed(f"output of {self._place.branch} was lost: copy again")
            elif isinstance(message, Output) and message.stream == STDOUT:
                self._count(len(message.data))
                yield message.data
            elif isinstance(message, Output):
                self._stderr = (self._stderr + message.data)[-STDERR_BYTES:]

    def _count(self, size: int) -> None:
        self._progress(size)
        if self._room is not None:
            self._room -= size
            if self._room < 0:
                raise GuestFailed(
                    f"{self._place.branch} sends more than its disk and memory can hold: stopped"
                )

    def _check(self, end: Exit) -> None:
        if end.code:
            said = self._stderr.split(b"\n")
            lines = [line for line in said if line.strip() and b"previous errors" not in line]
            reason = spelled(lines[-1]) if lines else f"exit status {end.code}"
            raise GuestFailed(f"copying at {self._place} failed: {reason}")


def _open(client: Client, place: Place, script: str, stdin: bool = False) -> Stream:
    return run(client.endpoint, _request(place, script, stdin=stdin, lossless=True))


def _request(place: Place, script: str, **more: Any) -> ExecRequest:
    assert place.branch is not None
    return ExecRequest(place.branch, ("sh", "-c", script, "cp", place.path), inner=True, **more)
