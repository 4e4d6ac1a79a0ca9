"""Debian packages installed on a disk, from dpkg's own list, and how two lists differ."""

from collections.abc import Mapping
from typing import Any

from core.diff.disk import Disk
from core.diff.filesystem import read_file
from core.errors import NotFound

_STATUS = b"/var/lib/dpkg/status"
_MOST_BYTES = 64 << 20  # twenty times that of a desktop

Packages = Mapping[str, str]
"""`name:architecture` to version."""


def installed_packages(disk: Disk) -> Packages:
    """What dpkg has installed; nothing where there is no dpkg."""
    try:
        told = read_file(disk, _STATUS, _MOST_BYTES).decode(errors="replace")
    except NotFound:
        return {}
    found = {}
    for paragraph in told.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " "
        )
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            found[f"{fields['Package']}:{fields.get('Architecture', '')}"] = fields.get("Version", "")
    return found


def compare_packages(before: Packages, after: Packages) -> dict[str, Any]:
    """`{"added": [{name, version}], "removed": […], "changed": [{name, before, after}]}`."""
    return {
        "added": _named(after, before),
        "removed": _named(before, after),
        "changed": [
            {"name": name, "before": before[name], "after": after[name]}
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        ],
    }


def _named(some: Packages, others: Packages) -> list[dict[str, str]]:
    return [{"name": name, "version": some[name]} for name in sorted(some.keys() - others.keys())]
