"""What the kernel says on /dev/fuse and how it is answered: the few structs and operations that read-only files need.

One read(2) gives one request, a header and the operation's arguments; one write(2) gives one answer.
Source: Linux include/uapi/linux/fuse.h, protocol 7.40 (Linux 6.9), little-endian.
"""

import stat
import struct
from dataclasses import dataclass
from enum import IntEnum

VERSION = (7, 40)
ROOT = 1  # the root directory's node
REQUEST_BYTES = 8192  # FUSE_MIN_READ_BUFFER: room for any request when no write is longer than 4096
LARGEST_WRITE_BYTES = 4096  # the least the kernel takes; every write is refused
FOREVER_S = 1 << 31  # how long the kernel may believe what it was told: nothing here ever changes
FIRST_INODE = 1 << 48  # far above other filesystems' numbers, for whoever looks for a file by its inode alone

ASYNC_READ, PARALLEL_DIROPS, MAX_PAGES, NO_OPENDIR = 1 << 0, 1 << 18, 1 << 22, 1 << 24
KEEP_CACHE = 1 << 1  # FOPEN_KEEP_CACHE: all who open a view share its pages
NOTIFY_STORE = 4

IN_HEADER = struct.Struct("<IIQQ3IHH")  # length, opcode, unique, node, uid, gid, pid, extensions, padding
OUT_HEADER = struct.Struct("<IiQ")  # length, error, unique
INIT_IN = struct.Struct("<4I")  # major, minor, max_readahead, flags
INIT_OUT = struct.Struct(
    "<4I2H2I2HI28x"
)  # …, background, congestion, max_write, time_gran, max_pages, align, flags2
ATTRIBUTES = struct.Struct("<6Q10I")  # ino size blocks 3 times, 3 x ns, mode nlink uid gid rdev blksize flags
ENTRY = struct.Struct("<4Q2I")  # node, generation, entry and attribute validity in s, in ns
VALID = struct.Struct("<QII")  # attribute validity in s, in ns, padding
OPEN_IN = struct.Struct("<2I")  # open(2) flags, padding
OPEN_OUT = struct.Struct("<QIi")  # handle, FOPEN flags, backing
READ_IN = struct.Struct("<2Q2IQ2I")  # handle, offset, size, …
STORE_OUT = struct.Struct("<2Q2I")  # node, offset, size, padding; then so many bytes
STATFS_OUT = struct.Struct(
    "<5Q4I24x"
)  # blocks, free, available, files, free, block size, name length, fragment size
XATTR_IN = XATTR_OUT = struct.Struct("<2I")  # size, padding
ENTRY_NAME = struct.Struct("<2Q2I")  # inode, next offset, name length, type


class Opcode(IntEnum):
    """Opcodes that are answered; to all others the kernel is told -ENOSYS, and most of them it never sends again."""

    LOOKUP = 1
    FORGET = 2  # wants no answer
    GETATTR = 3
    SETATTR = 4
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    SETXATTR = 21
    GETXATTR = 22
    REMOVEXATTR = 24
    INIT = 26
    READDIR = 28
    RELEASEDIR = 29
    DESTROY = 38
    BATCH_FORGET = 42  # wants no answer


CAPABILITY = "security.capability"

SILENT = frozenset({Opcode.FORGET, Opcode.BATCH_FORGET})


@dataclass(frozen=True, slots=True)
class Request:
    """One question of the kernel's."""

    opcode: int
    unique: int
    node: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Attributes:
    """What stat(2) shows of a node."""

    node: int
    mode: int
    size_bytes: int


def parse(data: memoryview) -> Request:
    """The request in `data`. ValueError when it is not one whole request."""
    if len(data) < IN_HEADER.size:
        raise ValueError(f"a request of {len(data)} bytes")
    length, opcode, unique, node, *_ = IN_HEADER.unpack_from(data)
    if length != len(data):
        raise ValueError(f"a request of {len(data)} bytes that says it has {length}")
    return Request(opcode, unique, node, bytes(data[IN_HEADER.size :]))


def name(body: bytes) -> str:
    """The file name a LOOKUP asks for; names that are not text become ones that do not exist."""
    return body.partition(b"\0")[0].decode("ascii", "replace")


def init(body: bytes, readahead_bytes: int, read_bytes: int, background: int) -> bytes:
    """The answer to INIT: agree on what both sides know and on how much is read at once."""
    _, minor, most_readahead, flags = INIT_IN.unpack_from(body)
    return INIT_OUT.pack(
        VERSION[0], min(VERSION[1], minor), min(readahead_bytes, most_readahead),
        flags & (ASYNC_READ | PARALLEL_DIROPS | MAX_PAGES | NO_OPENDIR),
        background, background, LARGEST_WRITE_BYTES, 1, read_bytes // 4096, 0, 0,
    )  # fmt: skip


def entry(attributes: Attributes) -> bytes:
    """The answer to LOOKUP."""
    return ENTRY.pack(attributes.node, 0, FOREVER_S, FOREVER_S, 0, 0) + _pack(attributes)


def attributes(attributes: Attributes) -> bytes:
    """The answer to GETATTR."""
    return VALID.pack(FOREVER_S, 0, 0) + _pack(attributes)


def opened() -> bytes:
    """The answer to OPEN: no handle is needed, and the page cache stays."""
    return OPEN_OUT.pack(0, KEEP_CACHE, 0)


def capability(body: bytes) -> bytes | None:
    """The answer to GETXATTR: every file says that it has a capability of one byte. None: no such attribute.

    Before it writes, write(2) has to remove that. When it may not, it fails before it copies a byte; otherwise the
    kernel would put the bytes into the page cache, where all see them, and only then learn that they are refused.
    """
    size, _ = XATTR_IN.unpack_from(body)
    if name(body[XATTR_IN.size :]) != CAPABILITY:
        return None
    return b"\0" if size else XATTR_OUT.pack(1, 0)


def filesystem() -> bytes:
    """The answer to STATFS: all is full."""
    return STATFS_OUT.pack(0, 0, 0, 0, 0, 4096, 64, 4096, 0)


def listing(names: list[tuple[str, int, int]], offset: int, size: int) -> bytes:
    """The answer to READDIR: of (name, node, mode), as many from `offset` on as fit into `size` bytes."""
    found = b""
    for position, (text, node, mode) in enumerate(names[offset:], offset + 1):
        record = (
            ENTRY_NAME.pack(FIRST_INODE + node, position, len(text), stat.S_IFMT(mode) >> 12) + text.encode()
        )
        record += bytes(-len(record) % 8)
        if len(found) + len(record) > size:
            break
        found += record
    return found


def store(node: int, offset: int, size: int) -> bytes:
    """The head of the notification that puts `size` bytes, to follow, into a file's page cache. They must lie in it."""
    length = OUT_HEADER.size + STORE_OUT.size + size
    return OUT_HEADER.pack(length, NOTIFY_STORE, 0) + STORE_OUT.pack(node, offset, size, 0)


def _pack(facts: Attributes) -> bytes:
    blocks, links = -(-facts.size_bytes // 512), 1
    return ATTRIBUTES.pack(
        FIRST_INODE + facts.node,
        facts.size_bytes,
        blocks,
        0,
        0,
        0,
        0,
        0,
        0,
        facts.mode,
        links,
        0,
        0,
        0,
        4096,
        0,
    )
