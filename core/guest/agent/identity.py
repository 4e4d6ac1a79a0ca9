"""What makes a forked machine distinct, done while everything else is frozen.

The values lie on the tmpfs /run. In the image the names that programs read them under are symbolic links to there, so
the root disk shows no identity, and a program of the guest may do with such a name whatever it may on any Debian:
remove it, replace it (`sed -i`, `mv`, `ssh-keygen -A`), or write through it.

Nothing of that is taken for granted when an identity is assumed, nor is /run. A name that does not read as it should,
because the guest put a file of its own there or took it away, becomes the link again: this is the one change an
identity makes to a disk, and a diff shows it. Where no link can be (the disk is read-only, the file immutable or a
mount point; boot_id is the kernel's) the value is bound over the name. A name that then leads to no file, as without
/etc/ssh or with a directory in its place, shows nobody's identity and stays as it is.

The files are rewritten in place, by open, truncate, write: readers are frozen meanwhile, and a watch (inotify
IN_MODIFY, IN_CLOSE_WRITE) on them, foremost on /run/vertui/generation, fires after the thaw.

Out of reach: what a container inside the guest reads of the kernel's own boot_id by a /proc of its own.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from binascii import a2b_base64, crc32
from contextlib import suppress
from functools import cache

from .bounded import Calls, Late
from .clock import Clock
from .kernel import bind_anew, bind_mount, mount_tmpfs
from .sockets import close_outside

DIRECTORY = "/run/vertui"
OWN = f"{DIRECTORY}/identity"
GENERATION = f"{DIRECTORY}/generation"

NAMES = {
    "machine_id": "/etc/machine-id",
    "boot_id": "/proc/sys/kernel/random/boot_id",
    "hostname": "/etc/hostname",
    "ssh_host_key": "/etc/ssh/ssh_host_ed25519_key",
    "ssh_public_key": "/etc/ssh/ssh_host_ed25519_key.pub",
}
"""Field of the request → the name its value appears under."""

COPIES = {"machine_id": "/var/lib/dbus/machine-id"}
"""Names that packages may copy a value to; where there is none, none is made."""

PRIVATE = (f"{OWN}/ssh_host_key",)

UNANSWERED = "\0unanswered"
"""What a name is said to read as while a frozen process would have to answer; no value is this."""

ANSWER_S = 2.0
"""How long all files may take: those that are nobody's to serve take no millisecond."""

_MOST_BYTES = 64 * 1024
_RNDADDENTROPY = 0x40085203
_RNDRESEEDCRNG = 0x5207


def assume(request: dict[str, str | int], clock: Clock, calls: Calls) -> dict[str, str | int | None]:
    """Become the machine the request describes; returns what the guest now reads back. OSError, Late on any failure."""
    _reseed(a2b_base64(str(request["seed"])))
    told = clock.follow(int(request["unix_time_ns"]), exactly=True)
    socket.sethostname(str(request["hostname"]))
    values = {field: f"{request[field]}\n" for field in NAMES}
    own = {f"{OWN}/{field}": text for field, text in values.items()}
    _write_files(own | {GENERATION: f"{request['generation']}\n"}, calls)
    fields = {name: field for field, name in [*NAMES.items(), *COPIES.items()]}
    texts = read_all([*fields, GENERATION], calls)
    for name, field in fields.items():
        if texts[name] != values[field] and not (name in COPIES.values() and texts[name] is None):
            texts[name] = _present(name, f"{OWN}/{field}", values[field], texts[name], calls)
    return {"closed": close_outside(), **told, **_told(texts)}


@cache
def _random() -> int:
    """The random device, opened once: the guest may do without its name later."""
    return os.open("/dev/random", os.O_WRONLY | os.O_CLOEXEC)


def _reseed(seed: bytes) -> None:
    """Credit the seed and have every CPU's generator start over from it (random(4))."""
    fcntl.ioctl(_random(), _RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
    fcntl.ioctl(_random(), _RNDRESEEDCRNG)


def _write_files(files: dict[str, str], calls: Calls) -> None:
    """Write the files; where that cannot be done, as /run is full, read-only or not as it was, on a fresh tmpfs.

    A thread that nobody has answered writes none of the rest: it may go on in a machine that is another by then.
    """
    waiting = list(files.items())
    try:
        calls.run("writing the identity", lambda: _write_all(waiting), ANSWER_S)
    except (OSError, Late):
        waiting.clear()
        mount_tmpfs(DIRECTORY if os.path.isdir(DIRECTORY) else "/run")  # noqa: PTH112
        _write_all(list(files.items()))


def _write_all(waiting: list[tuple[str, str]]) -> None:
    if not os.access(OWN, os.F_OK):
        os.makedirs(OWN, exist_ok=True)  # noqa: PTH103
    while waiting:
        path, text = waiting.pop(0)
        write(path, text, 0o600 if path in PRIVATE else 0o644)


def _present(name: str, own: str, text: str, seen: str | None, calls: Calls) -> str | None:
    """Let a name that reads otherwise read as our file's text, if a file can be there at all; what it then reads as.

    Where nobody answers, the name is left to whoever serves it and covered. Late when it is not covered by that.
    """
    ways = (bind_mount, bind_anew) if seen == UNANSWERED else (_link, bind_mount, bind_anew)
    for way in ways:
        with suppress(OSError):
            way(own, name)
        seen = read_all([name], calls, f" after {way.__name__}")[name]
        if seen == text:
            break
    if seen == UNANSWERED:
        raise Late(f"reading {name} did not end within {ANSWER_S:g} s")
    return seen


def _link(target: str, name: str) -> None:
    """Make a name a link, in place of whatever it is unless that is a directory."""
    new = f"{name}.vertui"
    with suppress(FileNotFoundError):
        os.unlink(new)  # noqa: PTH108
    os.symlink(target, new)  # noqa: PTH211
    try:
        os.rename(new, name)  # noqa: PTH104
    except OSError:
        os.unlink(new)  # noqa: PTH108
        raise


def read_all(names: list[str], calls: Calls, when: str = "") -> dict[str, str | None]:
    """What names read as, UNANSWERED where that takes too long."""
    texts: dict[str, str | None] = {}
    while waiting := [name for name in names if name not in texts]:
        read: dict[str, str | None] = {}

        def read_on(waiting: list[str] = waiting, read: dict[str, str | None] = read) -> None:
            for name in waiting:
                read[name] = _read(name)

        try:
            calls.run(f"reading {waiting[0]}{when}", read_on, ANSWER_S)
        except Late:
            texts[next(name for name in waiting if name not in read)] = UNANSWERED
        texts |= read
    return texts


def _read(name: str) -> str | None:
    """What a name reads as; None when it leads to no file, or to one that cannot be read.

    A pipe or a terminal is not waited for. A frozen process that serves a filesystem is: only `read_all` calls this.
    """
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, _MOST_BYTES).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(fd)


def write(path: str, text: str, mode: int) -> None:
    """Write a file of ours in place; OSError when something else lies there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags, mode)
    try:
        os.fchmod(fd, mode)
        if os.write(fd, text.encode()) != len(text.encode()):
            raise OSError(f"{path} could not be written whole")
    finally:
        os.close(fd)


def _told(texts: dict[str, str | None]) -> dict[str, str | int | None]:
    """What programs see from now on, None where there is no file; of the private key only a checksum leaves."""
    seen: dict[str, str | int | None] = {
        field: (text := texts[name]) and text.strip() for field, name in NAMES.items()
    }
    key = seen["ssh_host_key"]
    seen["ssh_host_key"] = crc32(key.encode()) if isinstance(key, str) else None
    seen["kernel_hostname"] = socket.gethostname()
    seen["generation"] = (texts[GENERATION] or "").strip()
    return seen
