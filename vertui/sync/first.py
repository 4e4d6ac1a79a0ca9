"""A directory brought where there is nothing yet: in one stream, of which the guest's tar makes files.

rsync asks for each file by itself, and makes it under another name first; where nothing stands there is nothing to ask
for.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH115, PTH116

import errno
import os
import secrets
import stat
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.daemon.streams import Input
from core.errors import GuestFailed, VertuiError
from core.guest.scripts.ignored import Rules
from core.names import spelled
from core.tar import END, PIECE_BYTES, gnu_header, padding, pax_header
from vertui.sync.guest import GuestSide
from vertui.sync.hearing import Tally

OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
AT_ONCE_BYTES = 1 << 20
"""Of a file: so much is read before its size is told, and no change of it can be in the way."""

CONSEQUENCES = (b"Exiting with failure status", b"Unexpected EOF", b"Error is not recoverable")
"""In lines of tar's that tell of no file."""

SHORT = b": Wrote only "  # its words for a disk that fills up meanwhile

TAKE = r"""
trap '' HUP INT TERM
d=.vertui-sync-$$
mkdir -m 700 "$d" || exit 1
if LC_ALL=C tar -xpf - -b 128 --no-same-owner --delay-directory-restore --warning=no-unknown-keyword -C "$d" &&
    [ -e "$d/$1" ]; then
    time=$(stat -c %y "$d")
    rm "$d/$1" && find "$d" -mindepth 1 -maxdepth 1 -exec mv -t . {} + && chmod --reference="$d" . && rmdir "$d" &&
        touch -d "$time" .
else
    rm -rf "$d"
    exit 1
fi
"""
"""Runs in the directory, which is empty: everything is made in a hidden one and moved into place once the last member,
which is named $1, is there. It ends with its input, and by no signal: none comes between what it makes and what it
takes away."""


def bring(side: GuestSide, directory: Path, rules: Rules) -> Tally:
    """All of a directory but what rules leave out. GuestFailed when it cannot be made there, VertuiError when it cannot
    be read here; nothing of it is there then.
    """
    top, failures = os.fsencode(directory), list[VertuiError]()
    last = f".vertui-sync-{secrets.token_hex(16)}"
    stream = _Stream(top, rules, side.moved)

    def feed(stdin: Input) -> None:
        try:
            stream.send(stdin.write, last.encode())
        except OSError as error:
            name = spelled(os.fsencode(error.filename or top))
            failures.append(VertuiError(f"cannot read {name}: {error.strerror}"))
        stdin.eof()  # before the last member, nothing of it stays

    code = side.run(("sh", "-c", TAKE, "sync", last), feed, lambda _: None)
    if failures:
        raise failures[0]
    if code:
        raise GuestFailed(f"sync to {side.place} failed: {_reason(side.said) or f'exit status {code}'}")
    return stream.tally


def _reason(said: bytes) -> str:
    """The first complaint that a guest's tar has of a file, or else the first of all."""
    lines = [line.removeprefix(b"tar: ").removeprefix(b"./") for line in said.split(b"\n") if line.strip()]
    line = next((line for line in lines if not line.startswith(CONSEQUENCES)), b"")
    name, cut_short, _ = line.partition(SHORT)
    return spelled(name + b": No space left on device" if cut_short else line)


class _Left(Exception):
    """The guest takes no more."""


class _Stream:
    """An archive for the guest's tar; `moved` hears of its bytes."""

    def __init__(self, top: bytes, rules: Rules, moved: Callable[[int], None]) -> None:
        self._top, self._rules, self._moved = top, rules, moved
        self._waiting: list[bytes] = []
        self._waiting_bytes = self._files = self._size_bytes = 0
        self._left_out: list[bytes] = []

    @property
    def tally(self) -> Tally:
        """Of what was sent."""
        return Tally(self._files, self._size_bytes, 0, tuple(self._left_out))

    def send(self, write: Callable[[bytes], bool], last: bytes) -> None:
        """Write it all, an empty file called `last` behind it, unless `write` says that nobody takes it. OSError for
        what cannot be read.
        """
        self._write = write
        with suppress(_Left):
            self._add(tarfile.DIRTYPE, b".", os.stat(self._top))
            for name, entry, ignored in self._rules.within(self._top).walk():
                if not ignored:
                    with suppress(FileNotFoundError):  # it went away: it is none to be brought
                        self._send(name, os.fsencode(entry.path))
            self._put(gnu_header(tarfile.TarInfo(os.fsdecode(last))), END)
            self._flush()

    def _send(self, name: bytes, path: bytes) -> None:
        info = os.lstat(path)
        if stat.S_ISDIR(info.st_mode):
            self._add(tarfile.DIRTYPE, name, info)
        elif stat.S_ISLNK(info.st_mode):
            self._add(tarfile.SYMTYPE, name, info, link=os.readlink(path))
        elif stat.S_ISREG(info.st_mode):
            self._send_file(name, path)
        else:
            self._left_out.append(name)

    def _send_file(self, name: bytes, path: bytes) -> None:
        descriptor = os.open(path, OPEN)
        try:
            info = os.fstat(descriptor)
            size = info.st_size
            if size <= AT_ONCE_BYTES:
                data = os.read(descriptor, size)
                size = len(data)
                self._add(tarfile.REGTYPE, name, info, size=size)
                self._put(data)
            else:
                self._add(tarfile.REGTYPE, name, info, size=size)
                self._send_pieces(descriptor, path, size)
            self._put(padding(size))
        finally:
            os.close(descriptor)
        self._files += 1
        self._size_bytes += size

    def _send_pieces(self, descriptor: int, path: bytes, size: int) -> None:
        while size:
            piece = os.read(descriptor, min(size, PIECE_BYTES))
            if not piece:
                raise OSError(errno.EIO, "it became shorter while it was read", path)
            size -= len(piece)
            self._put(piece)

    def _add(
        self, kind: bytes, name: bytes, info: os.stat_result, *, link: bytes = b"", size: int = 0
    ) -> None:
        member = tarfile.TarInfo(os.fsdecode(name))
        member.type, member.mode, member.size = kind, stat.S_IMODE(info.st_mode), size
        member.linkname = os.fsdecode(link)
        self._put(pax_header(member, {b"mtime": _seconds(info.st_mtime_ns)}))

    def _put(self, *parts: bytes) -> None:
        self._waiting += parts
        self._waiting_bytes += sum(map(len, parts))
        if self._waiting_bytes >= PIECE_BYTES:
            self._flush()

    def _flush(self) -> None:
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        self._moved(len(data))
        if not self._write(data):
            raise _Left


def _seconds(time_ns: int) -> bytes:
    """As a number of a pax header."""
    return b"%s%d.%09d" % (b"-" if time_ns < 0 else b"", *divmod(abs(time_ns), 1_000_000_000))
