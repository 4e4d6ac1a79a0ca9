"""Every part of a file's state that ext4 keeps, and what becomes of it: in a diff, in a tar, in `apply`, in a patch.

The numbers are of struct ext4_inode (the kernel's Documentation/filesystems/ext4); its flags are in `flags`. A part
that a tar, an `apply` or a patch does not carry is named where a difference in it is met, or said in the help of the
verb; one that is not compared has its reason here.
"""

from dataclasses import dataclass
from enum import Enum, auto

from core.diff.entry import Aspect


class Leaves(Enum):
    """By which ways a part leaves a disk."""

    TAR = auto()
    APPLY = auto()
    PATCH = auto()


ALL = frozenset(Leaves)
BUT_PATCHES = frozenset((Leaves.TAR, Leaves.APPLY))
NOWHERE = frozenset[Leaves]()
INODE_BYTES = 160  # what lies behind them in an inode are attributes


@dataclass(frozen=True)
class Part:
    """One part: where it lies in an inode (first byte, length), the change a diff tells, else why it tells none."""

    name: str
    places: tuple[tuple[int, int], ...]
    change: Aspect | None
    carried: frozenset[Leaves]
    why: str = ""


PARTS = (
    Part("type", ((0, 2),), Aspect.TYPE, ALL),
    Part("mode", ((0, 2),), Aspect.MODE, BUT_PATCHES, "a patch has whether its owner may execute it"),
    Part("owner", ((2, 2), (24, 2), (120, 4)), Aspect.OWNER, BUT_PATCHES),
    Part("size", ((4, 4), (108, 4)), Aspect.SIZE, ALL),
    Part("content", (), Aspect.CONTENT, ALL),
    Part("symlink target", ((40, 60),), Aspect.TARGET, ALL),
    Part("device numbers", ((40, 60),), Aspect.DEVICE, BUT_PATCHES),
    Part("attributes, access lists and capabilities", ((104, 4), (118, 2)), Aspect.XATTR, BUT_PATCHES),
    Part("chattr flags", ((32, 4),), Aspect.FLAGS, NOWHERE, "named: GNU tar has no place for them"),
    Part("project id", ((156, 4),), Aspect.PROJECT, NOWHERE, "named: GNU tar has no place for it"),
    Part(
        "time of the last change of content",
        ((16, 4), (136, 4)),
        Aspect.MTIME,
        BUT_PATCHES,
        "told when asked for",
    ),
    Part("time of the last access", ((8, 4), (140, 4)), None, NOWHERE, "reading a file is no change"),
    Part(
        "time of the last change of state",
        ((12, 4), (132, 4)),
        None,
        NOWHERE,
        "cannot be set; what changed is told",
    ),
    Part(
        "time of creation",
        ((144, 8),),
        None,
        NOWHERE,
        "cannot be set; tells a file from a later one of its number",
    ),
    Part("time of deletion", ((20, 4),), None, NOWHERE, "of files that are gone"),
    Part("number of links", ((26, 2),), None, BUT_PATCHES, "follows from the names, each of which is told"),
    Part("version", ((36, 4), (152, 4)), None, NOWHERE, "counts changes, each of which is told"),
    Part("generation", ((100, 4),), None, NOWHERE, "for NFS; tells a file from a later one of its number"),
    Part(
        "where blocks lie",
        ((28, 4), (40, 60), (116, 2)),
        None,
        BUT_PATCHES,
        "holes read as zeros; they stay holes",
    ),
    Part("checksum and size of the inode itself", ((124, 2), (128, 2), (130, 2)), None, NOWHERE, "checked"),
    Part("unused", ((112, 4), (126, 2)), None, NOWHERE, "no kernel uses them"),
)
