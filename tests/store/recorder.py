"""A filesystem seam that writes down every call, and a model of what a crash leaves of them.

The model is the one databases assume: bytes are safe after fsync of their file, names after fsync of their directory;
of everything else any part may or may not be there.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.files import Buffer, Files


@dataclass(frozen=True)
class Call:
    """A call on the filesystem, or a remark of the test: `ack` and `forget` of a commit stand for catalog rows."""

    verb: str
    path: Path
    data: bytes = b""
    target: Path | None = None


class Recorder(Files):
    """Does everything, and keeps a list of it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def append(self, path: Path, data: Buffer) -> None:
        self.calls.append(Call("append", path, bytes(data)))
        super().append(path, data)

    def fsync(self, path: Path) -> None:
        self.calls.append(Call("fsync", path))
        super().fsync(path)

    def rename(self, source: Path, target: Path) -> None:
        self.calls.append(Call("rename", source, target=target))
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        if path.exists():
            self.calls.append(Call("unlink", path))
        super().unlink(path)

    def note(self, verb: str, what: str) -> None:
        """Write a remark down."""
        self.calls.append(Call(verb, Path(what)))


@dataclass
class Inode:
    """A file's bytes, and how many of them are safe."""

    data: bytearray = field(default_factory=bytearray)
    safe: int = 0


@dataclass
class Disk:
    """A filesystem as its users see it (`names`) and as a power cut may leave it (`safe_names`)."""

    names: dict[Path, Inode] = field(default_factory=dict)
    safe_names: dict[Path, Inode] = field(default_factory=dict)
    rows: set[str] = field(default_factory=set)

    def play(self, call: Call) -> None:
        """Apply a call."""
        if call.verb == "append":
            self.names.setdefault(call.path, Inode()).data += call.data
        elif call.verb == "fsync" and call.path in self.names:
            self.names[call.path].safe = len(self.names[call.path].data)
        elif call.verb == "fsync":
            self._settle(call.path)
        elif call.verb == "rename":
            assert call.target
            self.names[call.target] = self.names.pop(call.path)
        elif call.verb == "unlink":
            del self.names[call.path]
        elif call.verb == "ack":
            self.rows.add(call.path.name)
        elif call.verb == "forget":
            self.rows.discard(call.path.name)

    def _settle(self, directory: Path) -> None:
        kept = {path: inode for path, inode in self.safe_names.items() if path.parent != directory}
        self.safe_names = kept | {p: inode for p, inode in self.names.items() if p.parent == directory}

    def crash(self, current: Callable[[Path], bool], whole: bool) -> dict[Path, bytes]:
        """What is found afterwards: names as of now where `current` says so of them, unsafe bytes if `whole`."""
        found = {}
        for path in self.names.keys() | self.safe_names.keys():
            inode = (self.names if current(path) else self.safe_names).get(path)
            if inode is not None:
                found[path] = bytes(inode.data if whole else inode.data[: inode.safe])
        return found


Crash = tuple[str, Callable[[Disk], dict[Path, bytes]]]


def crashes(directories: Sequence[Path], seed: int) -> list[Crash]:
    """Ways a power cut can fall out."""

    def one_ahead(directory: Path) -> Crash:
        return f"{directory.name} ahead", lambda disk: disk.crash(lambda p: p.parent == directory, True)

    def mixed(disk: Disk) -> dict[Path, bytes]:
        dice = random.Random(seed)
        return disk.crash(lambda path: dice.random() < 0.5, dice.random() < 0.5)

    return [
        ("nothing unsafe", lambda disk: disk.crash(lambda path: False, False)),
        ("everything", lambda disk: disk.crash(lambda path: True, True)),
        ("names only", lambda disk: disk.crash(lambda path: True, False)),
        *(one_ahead(directory) for directory in directories),
        (f"mixed by seed {seed}", mixed),
    ]
