"""Runs in a guest: changes files as standard input says, all of it or nothing.

Input: one line of JSON, a list of steps; then, for each regular file in their order, frames of (offset, length,
bytes), the last of length 0. A step: {path, expect, remove, kind, mode, uid, gid, mtime_ns, size, target, device,
xattrs, same_as, renew}; paths and attributes in hexadecimal. Everything new is first made in a directory beside,
then moved into place; what was there waits in that directory until the end. It ends with its input, and by no signal
that is said beside that: none comes between what it does and what it takes away.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH101, PTH102, PTH104, PTH105, PTH123, PTH211

import json
import os
import shutil
import signal
import stat
import struct
import sys
import tempfile
from collections.abc import Callable
from typing import BinaryIO, TypedDict

FRAME = struct.Struct("<QI")
ENDINGS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
CHANGED_MEANWHILE = 3  # exit status


class PutStep(TypedDict, total=False):
    """What to make of a path; one that is only removed has less."""

    path: str
    expect: list[int] | None
    remove: bool
    kind: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    target: str | None
    device: tuple[int, int] | None
    xattrs: list[tuple[str, str]]
    same_as: int | None
    renew: bool


class Putter:
    """Carries the steps out and can take them back."""

    def __init__(self, stage: bytes, steps: list[PutStep]) -> None:
        self._stage = stage
        self._steps = steps
        self._undo: list[Callable[[], object]] = []

    def make(self, source: BinaryIO) -> None:
        """Make everything new in the stage."""
        for number, step in enumerate(self._steps):
            if not step["remove"] and step["renew"]:
                self._make(self._staged(number), step, source)

    def changed(self) -> list[bytes]:
        """Paths that are not as they were when the steps were made."""
        return [_path(step) for step in self._steps if _found(_path(step)) != step["expect"]]

    def put(self) -> None:
        """Removals first, deepest first; then the rest, directories before what is in them."""
        numbered = sorted(enumerate(self._steps), key=lambda pair: _path(pair[1]))
        try:
            for number, step in reversed(numbered):
                if step["remove"]:
                    self._set_aside(number, _path(step))
            for number, step in numbered:
                if not step["remove"]:
                    self._place(number, step)
        except BaseException:
            for act in reversed(self._undo):
                act()
            raise

    def _staged(self, number: int) -> bytes:
        return self._stage + b"/%d" % number

    def _make(self, at: bytes, step: PutStep, source: BinaryIO) -> None:
        kind = step["kind"]
        if step["same_as"] is not None:
            os.link(self._staged(step["same_as"]), at, follow_symlinks=False)
            return
        if kind == stat.S_IFREG:
            _receive(at, step["size"], source)
        elif kind == stat.S_IFLNK:
            os.symlink(bytes.fromhex(step["target"] or ""), at)
        elif kind == stat.S_IFDIR:
            os.mkdir(at)
        else:
            os.mknod(at, kind | 0o600, os.makedev(*(step["device"] or (0, 0))))
        _dress(at, step)
        os.utime(at, ns=(step["mtime_ns"], step["mtime_ns"]), follow_symlinks=False)

    def _place(self, number: int, step: PutStep) -> None:
        path = _path(step)
        if not step["renew"]:
            earlier = _attire(path, step["kind"])
            self._undo.append(lambda: _dress(path, earlier))
            _dress(path, step)
            return
        old = _found(path) and os.lstat(path).st_mode
        if old and not stat.S_ISDIR(old) and step["kind"] != stat.S_IFDIR:  # then no moment without a file
            kept = self._kept(number)
            os.link(path, kept, follow_symlinks=False)
            os.replace(self._staged(number), path)
            self._undo.append(lambda: os.replace(kept, path))
            return
        if old:
            self._set_aside(number, path)
        os.rename(self._staged(number), path)
        self._undo.append(lambda: os.rename(path, self._staged(number)))

    def _set_aside(self, number: int, path: bytes) -> None:
        kept = self._kept(number)
        os.rename(path, kept)
        self._undo.append(lambda: os.rename(kept, path))

    def _kept(self, number: int) -> bytes:
        return self._stage + b"/old-%d" % number


def _receive(path: bytes, size: int, source: BinaryIO) -> None:
    with open(path, "xb", buffering=0) as file:
        file.truncate(size)
        while True:
            offset, length = FRAME.unpack(source.read(FRAME.size))
            if not length:
                return
            os.pwrite(file.fileno(), source.read(length), offset)


def _attire(path: bytes, kind: int) -> PutStep:
    info = os.lstat(path)
    names = map(os.fsencode, os.listxattr(path, follow_symlinks=False))
    xattrs = [(name.hex(), os.getxattr(path, name, follow_symlinks=False).hex()) for name in names]
    return {
        "kind": kind,
        "mode": stat.S_IMODE(info.st_mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
        "xattrs": xattrs,
    }


def _dress(path: bytes, step: PutStep) -> None:
    """Owner first: changing it takes set-id bits away."""
    os.lchown(path, step["uid"], step["gid"])
    if step["kind"] != stat.S_IFLNK:
        os.chmod(path, step["mode"])
    wanted = {bytes.fromhex(name): bytes.fromhex(value) for name, value in step["xattrs"]}
    for name in map(os.fsencode, os.listxattr(path, follow_symlinks=False)):
        if name not in wanted:
            os.removexattr(path, name, follow_symlinks=False)
    for name, value in wanted.items():
        os.setxattr(path, name, value, follow_symlinks=False)


def _found(path: bytes) -> list[int] | None:
    """What tells whether a path is as it was: a directory's size and time say nothing of its own."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [info.st_ino] if stat.S_ISDIR(info.st_mode) else [info.st_ino, info.st_size, info.st_mtime_ns]


def _path(step: PutStep) -> bytes:
    return bytes.fromhex(step["path"])


def main() -> int:
    """Exit status: 0 done, 3 with the paths in hexadecimal on standard error when something changed meanwhile."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    source = sys.stdin.buffer
    stage = os.fsencode(tempfile.mkdtemp(prefix=".vertui-apply-", dir="/"))
    try:
        putter = Putter(stage, json.loads(source.readline()))
        putter.make(source)
        changed = putter.changed()
        if changed:
            print(*(path.hex() for path in changed), file=sys.stderr)
            return CHANGED_MEANWHILE
        putter.put()
        return 0
    except (OSError, ValueError, struct.error) as error:  # the latter two: its input ends before it is whole
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(stage, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
