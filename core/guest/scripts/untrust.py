"""Runs in a guest: removes files, and the certificates that a host had handed in from all that it trusts.

Arguments: the files to remove, by absolute paths; those that are not there are no matter.
"""

import stat
import sys
from pathlib import Path

HANDED_IN = Path("/usr/local/share/ca-certificates")
TRUSTED = Path("/etc/ssl/certs")
BUNDLE = TRUSTED / "ca-certificates.crt"


def untrust(path: Path) -> None:
    """Take one certificate out of the bundle, remove the links to it, and itself."""
    certificate = path.read_bytes()
    before = BUNDLE.read_bytes() if BUNDLE.exists() else b""
    if certificate in before:
        replace(BUNDLE, before.replace(certificate, b""))
    for link in TRUSTED.glob("*"):
        if link.is_symlink() and link.readlink() == path:
            link.unlink()
    path.unlink()


def replace(path: Path, data: bytes) -> None:
    """Have other bytes in a file, at once, with the mode that it has."""
    new = path.with_name(f"{path.name}.vertui")
    new.write_bytes(data)
    new.chmod(stat.S_IMODE(path.stat().st_mode))
    new.replace(path)


def main() -> None:
    """All of it."""
    for path in map(Path, sys.argv[1:]):
        path.unlink(missing_ok=True)
    for path in HANDED_IN.glob("vertui-host-*.crt"):
        untrust(path)


if __name__ == "__main__":
    main()
