"""What goes into an image, and the digest that says whether two images are the same."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from core.machine.arguments import CPU, MACHINE_TYPE
from core.model import MAX_MEMORY, MAX_VCPUS, MIN_MEMORY

MIB = 1 << 20
GIB = 1 << 30
MEMORY_STEP = 2 * MIB  # a huge page of the host, so that a base image can be mapped by them
MIN_DISK, MAX_DISK = GIB, 1024 * GIB
MOST_PACKAGE_CHARS = 16 * 1024  # a build's job is one message of 64 KiB

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian policy 5.6.1
SUITE = re.compile(r"[a-z][a-z-]*")
ESSENTIALS = (
    "bash",
    "ca-certificates",
    "coreutils",
    "git",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "rsync",
)
BASE_MAKERS = ("debian.py", "kernel.py", "modules.py", "extracted.sh", "fetch.sh")
"""Our sources that decide what a base holds: an edit makes another base, so there is no format number to forget."""

SOURCES = Path(__file__).parent
GUEST = SOURCES.parent / "guest"


@dataclass(frozen=True)
class Recipe:
    """The inputs of an image. Raises UsageError when one is out of range or malformed."""

    memory_bytes: int = 512 * MIB
    vcpus: int = 1
    disk_bytes: int = 4 * GIB
    packages: tuple[str, ...] = ()
    suite: str = "bookworm"

    def __post_init__(self) -> None:
        if not MIN_MEMORY <= self.memory_bytes <= MAX_MEMORY or self.memory_bytes % MEMORY_STEP:
            raise UsageError("memory must be 128 MiB to 64 GiB, a multiple of 2 MiB")
        if not MIN_DISK <= self.disk_bytes <= MAX_DISK or self.disk_bytes % MIB:
            raise UsageError("the disk must be 1 GiB to 1 TiB, a multiple of 1 MiB")
        if not 1 <= self.vcpus <= MAX_VCPUS:
            raise UsageError(f"vcpus must be 1 to {MAX_VCPUS}")
        if sum(map(len, self.packages)) > MOST_PACKAGE_CHARS:
            raise UsageError(
                f"the names of packages may take {MOST_PACKAGE_CHARS} characters together: name fewer"
            )
        for package in self.packages:
            if not PACKAGE.fullmatch(package):
                raise UsageError(f"'{package[:40]}' is no Debian package name: use a-z, 0-9, +, - and .")
        if not SUITE.fullmatch(self.suite):
            raise UsageError(f"'{self.suite[:40]}' is no Debian suite: bookworm, for example")

    @property
    def installed(self) -> tuple[str, ...]:
        """Every package asked of apt, sorted, each once."""
        return tuple(sorted({*ESSENTIALS, *self.packages}))

    def base_digest(self, kernel: str) -> str:
        """Names the base: what of the image costs a run of mmdebstrap. `kernel` is Debian's version of it."""
        makers = [SOURCES / name for name in BASE_MAKERS]
        return _digest(self.suite, *self.installed, kernel, *(path.read_bytes() for path in makers))

    def digest(self, kernel: str) -> str:
        """Names the image's files: equal exactly when all inputs are, our own sources included."""
        spec = (MACHINE_TYPE, CPU, str(self.memory_bytes), str(self.vcpus), str(self.disk_bytes))
        return _digest(self.base_digest(kernel), *spec, *_sources())


def _sources() -> Iterator[str | bytes]:
    """Names and contents of all that is copied into an image or decides how it is put together."""
    guest = [*GUEST.glob("*.sh"), GUEST / "inittab", *GUEST.glob("agent/**/*.py")]
    for path in sorted([*guest, *SOURCES.glob("*.py"), *SOURCES.glob("*.sh")]):
        yield str(path.relative_to(SOURCES.parent))
        yield path.read_bytes()


def _digest(*parts: str | bytes) -> str:
    """32 hex digits over the parts, each framed by its length so that no two lists read the same."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "little") + data)
    return hasher.hexdigest()[:32]
