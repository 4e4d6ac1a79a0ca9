"""Crash disks: what a machine that died had written, as it left it."""

from msgspec import Struct


class CrashDisk(Struct, frozen=True):
    """The disk that a branch's machine left when it ended without being asked to: `layers`, oldest first, over the disk
    of commit `base`. `head` is the nearest commit that its branch had then and that is not gone.
    """

    died: float
    base: str
    layers: tuple[str, ...]
    head: str
    size_bytes: int = 0
