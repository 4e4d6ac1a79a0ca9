"""The files of a machine's disk, opened here: QEMU may open none, and knows each by the number of a set of descriptors.

A layer that is written has two: QEMU takes one for writing at first, and one for reading once another layer lies over
it. The first then goes, so that a machine can write its own layer and no other. With each descriptor goes the id of
what it is of: a daemon that adopts the machine asks for it. Source: QEMU qapi/misc.json (add-fd), monitor/fds.c.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from core.errors import MachineFailed
from core.files import want_of_means
from core.machine.arguments import READER_FD, WRITER_FD
from core.machine.monitor import Answer, Monitor
from core.machine.protocol import Layer

FIRST = 100  # QEMU numbers other sets itself, from 0 on
WRITER = "w:"  # what is told of a descriptor for writing begins so


class PassedFiles:
    """What one machine was passed. Paths of layers are from `root`."""

    def __init__(self, root: Path, monitor: Monitor) -> None:
        self._root = root
        self._monitor = monitor
        self._numbers: dict[str, int] = {}
        self._writers: dict[str, int] = {}

    @property
    def ids(self) -> Mapping[str, str]:
        """Of what each name that QEMU has for a file is."""
        return {name(number): layer for layer, number in self._numbers.items()}

    async def find(self) -> None:
        """Learn from QEMU what it was passed."""
        sets = [each for each in await self._monitor.execute("query-fdsets") if each["fdset-id"] >= FIRST]
        for number, descriptor in [(each["fdset-id"], one) for each in sets for one in each["fds"]]:
            told = descriptor.get("opaque", "")
            self._numbers[told.removeprefix(WRITER)] = number
            if told.startswith(WRITER):
                self._writers[told.removeprefix(WRITER)] = descriptor["fd"]

    async def add(self, layers: Sequence[Layer], *, written: bool = False) -> list[Layer]:
        """Open files and pass them; the same layers, by the names that QEMU has for them. QEMU's answers are not waited
        for: a command that is sent after this finds the files. MachineFailed, NoRoom.
        """
        with ExitStack() as opened:
            files = await asyncio.to_thread(
                lambda: [open_file(opened, self._root / layer.path, written=written) for layer in layers]
            )
            return [self._pass(layer.id, *found) for layer, found in zip(layers, files, strict=True)]

    def written_is(self, layer: str) -> None:
        """Take back what all other layers were written by. The machine has to run: QEMU closes no such descriptor of
        one that stands still. Nobody waits for it.
        """
        for other in self._writers.keys() - {layer}:
            self._monitor.send("remove-fd", fdset_id=self._numbers[other], fd=self._writers.pop(other))

    def drop(self, layer: str) -> None:
        """Take back all of a file that no node needs. Nobody waits for it."""
        self._writers.pop(layer, None)
        if (number := self._numbers.pop(layer, None)) is not None:
            self._monitor.send("remove-fd", fdset_id=number)

    def _pass(self, layer: str, *descriptors: int) -> Layer:
        number = self._numbers[layer] = max(self._numbers.values(), default=FIRST - 1) + 1
        *writer, reader = descriptors
        for descriptor in writer:
            told = self._monitor.send("add-fd", descriptor, fdset_id=number, opaque=f"{WRITER}{layer}")
            told.add_done_callback(lambda answer: self._remember_writer(layer, answer))
        self._monitor.send("add-fd", reader, fdset_id=number, opaque=layer)
        return Layer(layer, Path(name(number)))

    def _remember_writer(self, layer: str, answer: Answer) -> None:
        if not answer.cancelled() and answer.exception() is None and layer in self._numbers:
            self._writers[layer] = answer.result()["fd"]


def open_file(opened: ExitStack, path: Path, *, written: bool = False) -> list[int]:
    """Descriptors of a file, closed with `opened`: for writing, if it is to be written, and for reading."""
    found = []
    for mode in [os.O_RDWR] * written + [os.O_RDONLY]:
        try:
            found.append(os.open(path, mode | os.O_CLOEXEC))
        except OSError as error:
            what = f"{path.name}, which a machine needs,"
            failure = MachineFailed(f"{what} cannot be opened: {error.strerror}")
            raise want_of_means(error, what) or failure from error
        opened.callback(os.close, found[-1])
    return found


def name(number: int) -> str:
    """What QEMU calls the file behind a set."""
    return f"/dev/fdset/{number}"


def first(layer: Layer) -> Layer:
    """The layer a machine writes from its start, by the name that QEMU has for it."""
    return Layer(layer.id, Path(name(FIRST)))


def first_options(layer: Layer) -> list[str]:
    """What tells QEMU of that layer's descriptors, which it has from its start."""
    given = ((WRITER_FD, f"{WRITER}{layer.id}"), (READER_FD, layer.id))
    return [word for fd, told in given for word in ("-add-fd", f"fd={fd},set={FIRST},opaque={told}")]
