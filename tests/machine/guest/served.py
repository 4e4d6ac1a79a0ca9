"""Runs in a guest: a filesystem served by this process, whose one file is cached for writing (fuse(4)).

usage: served.py DIRECTORY. Whatever flushes that file waits for this process.
"""

import ctypes
import os
import struct
import sys
import time

INIT, LOOKUP, GETATTR, SETATTR, OPEN, READ, WRITE = 26, 1, 3, 4, 14, 15, 16
STATFS, RELEASE, FSYNC, GETXATTR, FLUSH, OPENDIR, ACCESS, FORGET = 17, 18, 20, 22, 25, 27, 34, 2
WRITEBACK_CACHE = 1 << 16
ENOSYS = 38
HEADER, ANSWER = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
SIZE = 1 << 20


def attributes(node: int) -> bytes:
    """struct fuse_attr: node 1 is the directory, any other the file."""
    mode, size = (0o40755, 0) if node == 1 else (0o100644, SIZE)
    now = int(time.time())
    return struct.pack("<6Q3I7I", node, size, size // 512, now, now, now, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation: int, node: int, body: bytes) -> bytes | int:
    """What to say; a number is an error."""
    if operation == INIT:
        return struct.pack(
            "<4I2H2I2HI7I", 7, 31, 65536, WRITEBACK_CACHE, 12, 8, 65536, 1, 16, 0, 0, *[0] * 7
        )[:64]
    if operation == LOOKUP:
        return struct.pack("<4Q2I", 2, 0, 3600, 3600, 0, 0) + attributes(2)
    if operation in (GETATTR, SETATTR):
        return struct.pack("<Q2I", 3600, 0, 0) + attributes(node)
    if operation in (OPEN, OPENDIR):
        return struct.pack("<Q2I", 1, 0, 0)
    if operation == READ:
        return bytes(struct.unpack_from("<QQI", body)[2])
    if operation == WRITE:
        return struct.pack("<II", struct.unpack_from("<QQI", body)[2], 0)
    if operation == STATFS:
        return bytes(80)
    if operation in (RELEASE, FSYNC, FLUSH, ACCESS):
        return b""
    return ENOSYS


device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"served", sys.argv[1].encode(), b"fuse", 0, options.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))
while True:
    request = os.read(device, 1 << 20)
    _, operation, unique, node, *_ = HEADER.unpack_from(request)
    if operation != FORGET:
        said = answer(operation, node, request[HEADER.size :])
        body, error = (b"", -said) if isinstance(said, int) else (said, 0)
        os.write(device, ANSWER.pack(ANSWER.size + len(body), error, unique) + body)
