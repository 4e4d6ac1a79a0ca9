"""Debian packages installed on a disk, from dpkg's own list, and how two lists differ."""

from collections.abc import Mapping

from core.diff.filesystem import read_file
from core.diff.result import Package, PackagesDiff, PackageUpgrade
from core.disk.blocks import Disk
from core.errors import NotFound
from core.names import spelled

_STATUS = b"/var/lib/dpkg/status"
_MOST_BYTES = 64 << 20  # twenty times that of a desktop

Packages = Mapping[str, str]
"""`name:architecture` to version, spelled as `core.names` has it."""


def installed_packages(disk: Disk) -> Packages:
    """What dpkg has installed; nothing where there is no dpkg."""
    try:
        told = read_file(disk, _STATUS, _MOST_BYTES)
    except NotFound:
        return {}
    found = {}
    for paragraph in told.split(b"\n\n"):
        lines = (line.partition(b": ") for line in paragraph.split(b"\n") if line[:1] not in b" \t")
        fields = {name: value for name, colon, value in lines if colon}
        if fields.get(b"Status", b"").endswith(b" installed") and b"Package" in fields:
            name = b"%s:%s" % (fields[b"Package"], fields.get(b"Architecture", b""))
            found[spelled(name)] = spelled(fields.get(b"Version", b""))
    return found


def compare_packages(before: Packages, after: Packages) -> PackagesDiff:
    """What was installed, removed, or is of another version."""
    kept = sorted(before.keys() & after.keys())
    upgrades = (
        PackageUpgrade(name, before[name], after[name]) for name in kept if before[name] != after[name]
    )
    return PackagesDiff(_named(after, before), _named(before, after), tuple(upgrades))


def _named(some: Packages, others: Packages) -> tuple[Package, ...]:
    return tuple(Package(name, some[name]) for name in sorted(some.keys() - others.keys()))
