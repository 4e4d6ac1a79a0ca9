"""Flags of ext4 inodes: each of the 32 bits, and whether it is a file's state or how ext4 stores it."""

SHOWN_FLAGS = {
    0x1: "s",
    0x2: "u",
    0x4: "c",
    0x8: "S",
    0x10: "i",
    0x20: "a",
    0x40: "d",
    0x80: "A",
    0x4000: "j",
    0x8000: "t",
    0x10000: "D",
    0x20000: "T",
    0x100000: "V",
    0x2000000: "x",
    0x20000000: "P",
    0x40000000: "F",
}
"""Flags that are a file's state, as lsattr(1) prints them."""
SHOWN_MASK = sum(SHOWN_FLAGS)
LAYOUT_FLAGS = 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x40000 | 0x80000 | 0x400000
"""How ext4 stores a file: compression that no kernel has, index, huge, extents, blocks behind the end."""
REFUSED_FLAGS = 0x800 | 0x200000 | 0x10000000
"""Encrypted, value of an attribute, data inside the inode: such a disk is refused as one that cannot be read."""
UNUSED_FLAGS = 0x800000 | 0x1000000 | 0x4000000 | 0x8000000 | 0x80000000
"""Snapshots no kernel has, and bits without a meaning."""


def lsattr(flags: int) -> str:
    """Flags as letters; "-" for none."""
    return "".join(letter for bit, letter in SHOWN_FLAGS.items() if flags & bit) or "-"
