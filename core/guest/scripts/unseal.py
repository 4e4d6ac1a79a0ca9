"""Runs in a guest in a command's place: is given variables that only this process can read, and becomes the command.

Arguments: the number of a process whose standard output leads to the host and whose input comes from there, and the
command. Out go the bytes of a public key; in come the host's and what `veiled` made of `NAME=VALUE` strings, between
them its length (u32, little-endian), the strings with zero bytes between them.

The keys are made for this once (Diffie-Hellman in group 14 of RFC 3526), and ours goes with this process's memory when
it becomes the command. What passes through the agent, and stays in its memory or in the line's buffers, opens nothing.
"""

# ruff: noqa: PTH123

import hashlib
import os
import signal
import struct
import sys
from typing import BinaryIO

PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB"
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
KEY_BYTES, PRIVATE_BYTES = 256, 32
LENGTH = struct.Struct("<I")


def public(private: int) -> bytes:
    """The key to be told for one that is kept."""
    return pow(2, private, PRIME).to_bytes(KEY_BYTES, "big")


def veiled(data: bytes, private: int, theirs: bytes) -> bytes:
    """Data that only the two can read, or that made readable: by bits that no other can know. Once for a key.

    What is changed on its way is not noticed; whoever can do that is root in the guest.
    """
    shared = pow(int.from_bytes(theirs, "big"), private, PRIME).to_bytes(KEY_BYTES, "big")
    bits = hashlib.shake_256(shared).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, bits, strict=True))


def new_private() -> int:
    """A key to be kept."""
    return int.from_bytes(os.urandom(PRIVATE_BYTES), "big")


def received(holder: str) -> list[bytes]:
    """The variables that the host sends; OSError when they do not come."""
    own = new_private()
    with open(f"/proc/{holder}/fd/0", "rb") as source:
        _write(f"/proc/{holder}/fd/1", public(own))
        theirs = _exactly(source, KEY_BYTES)
        sealed = _exactly(source, LENGTH.unpack(_exactly(source, LENGTH.size))[0])
    return veiled(sealed, own, theirs).split(b"\0")


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _exactly(source: BinaryIO, count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise OSError("the host has not sent them")
    return data


def become(argv: list[str], variables: list[bytes]) -> None:
    """Be the command from here on; OSError when it cannot be run."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    own = dict(variable.split(b"=", 1) for variable in variables)
    os.execvpe(argv[0], argv, {**os.environb, **own})


def main() -> int:
    """Exit status, as a shell has it: 127 for no such program, 126 for one that cannot be run or was given nothing."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    holder, *argv = sys.argv[1:]
    try:
        variables = received(holder)
    except OSError as error:
        return failed("its secrets", error, 126)
    try:
        become(argv, variables)
    except FileNotFoundError as error:
        return failed(argv[0], error, 127)
    except OSError as error:
        return failed(argv[0], error, 126)
    return 0


def failed(what: str, error: OSError, status: int) -> int:
    """Say so, as the agent does of a program that does not start."""
    print(f"vertui: {what}: {error.strerror or error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
