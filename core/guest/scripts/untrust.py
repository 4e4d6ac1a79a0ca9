"""Runs in a guest: removes files, and the certificates that a host had handed in from all that it trusts.

Arguments: the files to remove, by absolute paths; those that are not there are no matter.
"""

# The paths are strings, as for a shell.
# ruff: noqa: PTH101, PTH105, PTH108, PTH114, PTH115, PTH116, PTH118, PTH123, PTH207, PTH208

import os
import sys
from contextlib import suppress
from glob import glob

HANDED_IN = "/usr/local/share/ca-certificates/vertui-host-*.crt"
TRUSTED = "/etc/ssl/certs"
BUNDLE = f"{TRUSTED}/ca-certificates.crt"


def untrust(path: str) -> None:
    """Take one certificate out of the bundle, remove the links to it, and itself."""
    with open(path, "rb") as file:
        certificate = file.read()
    with suppress(FileNotFoundError):
        with open(BUNDLE, "rb") as file:
            before = file.read()
        if certificate in before:
            replace(BUNDLE, before.replace(certificate, b""))
        for name in os.listdir(TRUSTED):
            link = os.path.join(TRUSTED, name)
            if os.path.islink(link) and os.readlink(link) == path:
                os.unlink(link)
    os.unlink(path)


def replace(path: str, data: bytes) -> None:
    """Have other bytes in a file, at once, with the mode that it has."""
    new = f"{path}.vertui"
    with open(new, "wb") as file:
        file.write(data)
    os.chmod(new, os.stat(path).st_mode & 0o7777)
    os.replace(new, path)


def main() -> None:
    """All of it."""
    for path in sys.argv[1:]:
        with suppress(FileNotFoundError):
            os.unlink(path)
    for path in glob(HANDED_IN):
        untrust(path)


if __name__ == "__main__":
    main()
