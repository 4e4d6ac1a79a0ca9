"""What `sync` does, once: a directory here brought into one of a branch, or back."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from core.daemon.client import Client
from core.errors import GuestFailed, NotFound, VertuiError
from core.files import disk_error
from core.guest.scripts import guest_script
from core.guest.scripts.ignored import Rules
from core.model import ExecRequest
from core.names import spelled
from vertui.streaming import capture
from vertui.sync import rsync
from vertui.sync.first import bring
from vertui.sync.guest import GuestSide, NothingThere, rooted
from vertui.sync.hearing import Tally
from vertui.sync.receiver import Receiver
from vertui.transfer import Place, most_bytes

WITHOUT = ("--from0", "--exclude-from=-")
NAMED = ("--from0", "--files-from=-", "--ignore-missing-args", "--force")
REMOVED = ("--from0", "--recursive", "--include-from=-", "--exclude=*", "--delete", "--force")
WILD = (b"*", b"?", b"[")


@dataclass(frozen=True)
class Sync:
    """How to do it: by rules that leave files out, and with `delete` so that nothing else is there afterwards.

    `moved` hears of the bytes that come and go.
    """

    client: Client
    rules: Rules | None = None
    delete: bool = False
    moved: Callable[[int], None] = lambda _: None

    def push(self, directory: Path, place: Place) -> Tally:
        """All of a directory into one of a branch, which is made where it is missing."""
        try:
            side = replace(self._side(place), unless_empty=True)
            return self._whole(side, directory, place, incoming=False)
        except NothingThere:
            return bring(self._side(place), directory, self.rules or Rules())

    def pull(self, place: Place, directory: Path) -> Tally:
        """All of a branch's directory into one here, which is made where it is missing."""
        side = GuestSide(self.client.endpoint, place, self.moved, most_bytes=most_bytes(self.client, place))
        try:
            directory.mkdir(exist_ok=True)
            return self._whole(side, directory, place, incoming=True)
        except OSError as error:
            raise disk_error(error, directory) from error

    def send(self, directory: Path, place: Place, names: Iterable[bytes], removed: Iterable[bytes]) -> Tally:
        """What has these names into a branch's directory, after what is at those is removed there."""
        run = partial(rsync.run, self._side(place), directory)
        names, gone = list(names), list(chain.from_iterable(map(on_the_way, removed)))
        tally = run(REMOVED, gone) if gone else Tally()
        return tally.plus(run(NAMED, names)) if names else tally

    def receiver(self, place: Place, stalled: Callable[[VertuiError], None]) -> Receiver:
        """What brings small edits to a branch that follows."""
        return Receiver(self.client, place, stalled)

    def _side(self, place: Place) -> GuestSide:
        return GuestSide(self.client.endpoint, place, self.moved, receives=True)

    def _whole(self, side: GuestSide, directory: Path, place: Place, *, incoming: bool) -> Tally:
        run = partial(rsync.run, side, directory, incoming=incoming)
        delete = ["--delete"] if self.delete else []
        if self.rules is None:
            return run(["--recursive", *delete])
        source, target = self._left_out_here(directory), self._left_out_there(place)
        source, target = (target, source) if incoming else (source, target)
        left_out = list(source)
        tally = run(["--recursive", *WITHOUT], left_out)
        if delete:  # once the rules on both sides are the same
            tally = tally.plus(run(["--recursive", *WITHOUT, *delete], [*left_out, *target]))
        return tally

    def _left_out_here(self, directory: Path) -> Iterator[bytes]:
        assert self.rules
        try:
            yield from map(literally, self.rules.within(os.fsencode(directory)).left_out())
        except OSError as error:
            raise VertuiError(
                f"cannot read {spelled(os.fsencode(error.filename))}: {error.strerror}"
            ) from error

    def _left_out_there(self, place: Place) -> Iterator[bytes]:
        assert self.rules and place.branch
        told = capture(
            self.client.endpoint,
            ExecRequest(
                place.branch,
                guest_script("ignored", rooted(place.path), self.rules.tell()),
                lossless=True,
                inner=True,
            ),
        )
        if told.code:
            reason = spelled(told.stderr.strip().rpartition(b"\n")[2])
            raise GuestFailed(f"{place} cannot be read: {reason}")
        yield from map(literally, told.stdout.split(b"\0")[:-1])


def literally(name: bytes, then: bytes = b"") -> bytes:
    """A name as a pattern of rsync's that fits it alone, from the top on: only beside a wildcard backslashes escape."""
    if any(char in name + then for char in WILD):
        name = re.sub(rb"[\\*?[]", rb"\\\g<0>", name)
    return b"/" + name + then


def on_the_way(name: bytes) -> Iterator[bytes]:
    """Patterns for a name, all that is below it, and the directories that lead there."""
    parts = name.split(b"/")
    for depth in range(1, len(parts)):
        yield literally(b"/".join(parts[:depth]), b"/")
    yield literally(name)
    yield literally(name, b"/***")


def rules_for(directory: Path | None, ignore_from: str) -> Rules:
    """Rules by the name of the files that hold them, for a directory here or one in a branch, or by the path of one."""
    if "/" not in ignore_from:
        name = os.fsencode(ignore_from)
        return Rules.of(os.fsencode(directory), name) if directory else Rules(name)
    try:
        return Rules(above={b"": Path(ignore_from).read_bytes()})
    except OSError as error:
        raise NotFound(f"cannot read {spelled(os.fsencode(ignore_from))}: {error.strerror}") from error
