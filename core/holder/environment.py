"""What the holder, and with it every process of a home, is started with: the first verb's own environment passes on
only what still means the same hours later.
"""

import os

from core.home import Home

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
PYTHON = {
    "PYTHONSAFEPATH": "1",  # `python -m` imports nothing from the directory that somebody happened to be in
    "PYTHONUTF8": "1",
    "PYTHONIOENCODING": "utf-8:backslashreplace",  # a log takes any text
}
TEMPORARY = ("TMPDIR", "TEMP", "TMP")


def settled(home: Home) -> dict[str, str]:
    """The environment for the processes of a home.

    PATH ends with the system's directories: an ordinary user's often lacks mke2fs, and a bare one QEMU. A directory
    for temporary files that is none is left out. Where sockets lie is named, as it would else depend on the user's
    number, which is another one in the holder's user namespace.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in TEMPORARY or os.access(value, os.W_OK)
    }
    given = [part for part in kept.get("PATH", "").split(":") if part.startswith("/")]
    path = ":".join(dict.fromkeys((*given, *SYSTEM_PATH)))
    where = {"VERTUI_HOME": str(home.root), "XDG_RUNTIME_DIR": str(home.runtime.parent)}
    return kept | PYTHON | {"PATH": path} | where


def private(path: str, flags: int) -> int:
    """An `opener` whose files are readable by this user alone, whatever the umask."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor
