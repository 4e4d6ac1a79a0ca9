"""Which of a guest's paths are not on its root disk, because other filesystems are mounted over them: mostly tmpfs, as
at /tmp.

Diffs, patches and exports read disks. Under such a path they would find nothing, or what the mount hides. A running
guest tells what it has mounted; of a commit and of a paused branch only that is known which every image mounts.
"""

import asyncio
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from core.diff.ext4 import Volume
from core.diff.filesystem import is_there, names_at
from core.diff.select import absolute, is_below
from core.engine import guests
from core.engine.live import Live
from core.engine.points import State
from core.errors import Conflict, GuestFailed, NotOnDisk
from core.names import spelled
from core.patience import patient

Mounts = Mapping[bytes, str]
"""Mount points but the root directory, and the type of filesystem there."""

OF_EVERY_IMAGE: Mounts = {
    b"/tmp": "tmpfs",
    b"/run": "tmpfs",
    b"/dev": "devtmpfs",
    b"/proc": "proc",
    b"/sys": "sysfs",
}
"""What core/guest/init.sh mounts, whatever is mounted below them left out."""
HOLD_FILES = frozenset(
    {"tmpfs", "ramfs", "devtmpfs", "overlay", "ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "squashfs"}
)
ASK_DEADLINE_S = patient(10.0)
LOOK_DEADLINE_S = patient(5.0)

_OCTAL = re.compile(rb"\\([0-7]{3})")
_LOOK = r"""
points=$(sed -nE 's,^[^ ]+ [^ ]+ [^ ]+ / ([^ ]+) .* - (tmpfs|ramfs) .*,\1,p' /proc/self/mountinfo)
for point in $points; do
    [ "$point" = /run ] || printf '%s %s\n' "$point" "$(find "$point" -xdev TEST)"
done
"""  # in /run each branch has its own identity, and daemons their numbers: that differs always, and is nobody's work
_CONTENT = (
    r"""\( -type d -printf '%p %y %m %U %G\0' -o -printf '%p %y %m %U %G %s %T@ %l\0' \) | sort -z | md5sum"""
)


class Where(Enum):
    """On which filesystem a path of a state lies."""

    ON_DISK = auto()
    MOUNTED = auto()
    UNKNOWN = auto()
    """Every image mounts something there, nothing lies on the disk, and no guest can be asked."""


@dataclass(frozen=True)
class MountLayout:
    """Which of a state's paths are on its disk. `mounts` are None when no guest could tell."""

    state: State
    mounts: Mounts | None

    @classmethod
    async def of(cls, state: State) -> "MountLayout":
        """Ask the guest, if it runs and could be frozen: one that could not be would keep everybody waiting again."""
        if state.live is None or state.note:
            return cls(state, None)
        try:
            told = await guests.output_of(state.live, ("cat", "/proc/self/mountinfo"), ASK_DEADLINE_S)
        except (Conflict, GuestFailed):  # paused or silent: its disk is read from outside
            return cls(state, None)
        return cls(state, parse_mounts(told))

    def where(self, path: bytes) -> Where:
        """Where the file at an absolute path lies."""
        if self.mounts is not None:
            return Where.MOUNTED if over(self.mounts, path) else Where.ON_DISK
        point = over(OF_EVERY_IMAGE, path)
        return Where.UNKNOWN if point and not self._has(path, point) else Where.ON_DISK

    def _has(self, path: bytes, point: bytes) -> bool:
        """Does anything lie on the disk there, though it is a mount point in every image?"""
        volume = Volume(self.state.disk)
        return bool(names_at(volume, path)) if path == point else is_there(volume, path)


def parse_mounts(told: bytes) -> Mounts:
    """What /proc/PID/mountinfo says (proc(5)); lines that make no sense are left out: a guest may say anything."""
    mounts = {}
    for line in told.split(b"\n"):
        fields, _, rest = line.partition(b" - ")
        words = fields.split(b" ")
        if len(words) > 4 and words[4] != b"/":
            point = _OCTAL.sub(lambda code: bytes((int(code[1], 8) & 0xFF,)), words[4])
            mounts[point] = spelled(rest.split(b" ")[0])
    return mounts


def over(mounts: Mounts, path: bytes) -> bytes | None:
    """The mount point that a path is or lies below; the nearest of several."""
    return max((point for point in mounts if is_below(path, point)), key=len, default=None)


async def beside_the_disk(states: Sequence[State], paths: Iterable[bytes]) -> tuple[bytes, ...]:
    """The `paths` that lie on other filesystems, when all guests run and can be asked for them instead.

    NotOnDisk for a path that is on no disk and cannot be compared.
    """
    tops = tuple(map(absolute, paths))
    if not tops:
        return ()
    layouts = await asyncio.gather(*(MountLayout.of(state) for state in states))
    places = await asyncio.to_thread(lambda: [[layout.where(top) for layout in layouts] for top in tops])
    mounted = []
    for top, where in zip(tops, places, strict=True):
        if Where.MOUNTED in where and all(layout.mounts is not None for layout in layouts):
            _check_kind(layouts, top)
            mounted.append(top)
        elif Where.MOUNTED in where or (Where.UNKNOWN in where and Where.ON_DISK not in where):
            raise not_on_disk(layouts, top)
    return tuple(mounted)


async def require_disk(states: Sequence[State], paths: Iterable[bytes]) -> None:
    """NotOnDisk when any of `paths` lies on no disk."""
    beside = await beside_the_disk(states, paths)
    if beside:
        raise await refusal(states, beside[0])


async def refusal(states: Sequence[State], path: bytes) -> NotOnDisk:
    """Why a path that lies on no disk is refused."""
    return not_on_disk([await MountLayout.of(state) for state in states], path)


def not_on_disk(layouts: Sequence[MountLayout], path: bytes) -> NotOnDisk:
    """The refusal, with what can be done instead."""
    known = next((layout for layout in layouts if layout.mounts and over(layout.mounts, path)), None)
    mounts = known.mounts if known and known.mounts else OF_EVERY_IMAGE
    point = over(mounts, path) or path
    refs = [layout.state.ref for layout in layouts if layout.state.live] or ["BRANCH"]
    copy = shlex.quote(f"{known.state.ref if known else refs[0]}:{spelled(path)}")
    kind = mounts.get(point, "mount point")
    return NotOnDisk(
        f"{spelled(path)} is not on the disk, {spelled(point)} is a {kind}: `diff` compares it between two running"
        f" branches, `vertui cp {copy} .` copies it out of one"
    )


def _check_kind(layouts: Sequence[MountLayout], path: bytes) -> None:
    for layout in layouts:
        point = over(layout.mounts or {}, path)
        kind = (layout.mounts or {}).get(point or b"", "tmpfs")
        if point and kind not in HOLD_FILES:
            raise NotOnDisk(
                f"{spelled(path)} is not on the disk and cannot be compared: {spelled(point)} is a {kind}"
            )


async def unseen(before: State, after: State, since: float) -> list[str]:
    """Notes on filesystems in memory that a diff of the disks says nothing of, though something there changed.

    Between two running guests: those that look different. Otherwise: those of the running guest in which something
    changed after the time `since`, when its other side was committed.
    """
    if any(state.live and state.note for state in (before, after)):
        return []  # a guest that could not be frozen does not answer
    lives = [(state.ref, state.live) for state in (before, after) if state.live]
    both = len(lives) == 2
    test = _CONTENT if both else f"-newerct @{since:.3f} -print -quit"
    answers = await asyncio.gather(*(_look(ref, live, test) for ref, live in lives))
    told = [answer for answer in answers if isinstance(answer, dict)]
    if not lives or len(told) < len(lives):
        return [
            f"not on the disks, and not looked at: {answer}" for answer in answers if isinstance(answer, str)
        ]
    changed = sorted(
        point
        for point in set[str]().union(*told)
        if (told[0].get(point) != told[1].get(point) if both else told[0][point])
    )
    if not changed:
        return []
    if both:
        return [f"not on the disks, and different too: {', '.join(changed)}: name a path there to compare it"]
    ref = before.ref if before.live else after.ref
    listed = ", ".join(changed)
    return [
        f"not on the disk, and changed in {ref}: {listed}: no diff with a commit has it, `vertui cp` copies"
    ]


async def _look(ref: str, live: Live, test: str) -> dict[str, str] | str | None:
    """What `find` says with `test` of each filesystem in memory; why it says nothing, or None of a paused guest."""
    try:
        told = await guests.output_of(live, ("sh", "-c", _LOOK.replace("TEST", test)), LOOK_DEADLINE_S)
    except Conflict:
        return None
    except GuestFailed as error:  # a diff does not fail for want of a note
        return f"what {ref} holds in memory, as in /tmp ({error})"
    lines = (line.partition(b" ") for line in told.split(b"\n") if line)
    return {spelled(point): spelled(content) for point, _, content in lines}
