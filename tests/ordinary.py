"""An ordinary user, whom root makes for one test, in a mount namespace of its own: the host knows nothing of him.

There are a line for him in passwd, ids for his image builds, devices that he may open, and a way to this tree.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UID = 52_000
NAME = "ordinary"
DEVICES = {"fuse": 229, "net/tun": 200, "kvm": 232}  # major 10, and these minors
PREFIX = Path(sys.base_prefix)

PREPARE = """
set -e
stage=$1
mount -t tmpfs -o mode=755 stage "$stage"
cover() {  # what the user changes or sees in this directory is seen here alone
    mkdir -p "$stage/$1/upper" "$stage/$1/work"
    mount -t overlay -o "lowerdir=/$1,upperdir=$stage/$1/upper,workdir=$stage/$1/work" overlay "/$1"
}
cover etc
printf '%s:x:%d:%d::%s:/bin/sh\\n' "$NAME" "$ID" "$ID" "$HOME" >> /etc/passwd
printf '%s:x:%d:\\n' "$NAME" "$ID" >> /etc/group
for file in subuid subgid; do printf '%s:6000000:65536\\n' "$NAME" >> /etc/$file; done
for hidden in $HIDDEN; do cover "$hidden"; chmod 755 "/$hidden"; done
mkdir -p "$stage/dev/net"
for device in $DEVICES; do
    path=${device%:*}
    [ -e "/dev/$path" ] || continue
    mknod -m 666 "$stage/dev/$path" c 10 "${device#*:}"
    mount --bind "$stage/dev/$path" "/dev/$path"
done
shift
exec setpriv --reuid "$ID" --regid "$ID" --clear-groups "$@"
"""


def needed() -> str | None:
    """Why there can be none here; None when there can."""
    if os.getuid() != 0:
        return "only root makes a user, and whoever runs this is an ordinary one already"
    missing = [device for device in ("fuse", "net/tun") if not Path("/dev", device).exists()]
    return f"no /dev/{missing[0]}" if missing else None


def run(line: str, directory: Path, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell as him, whose files lie in `directory`; `vertui` is a command there."""
    if trouble := needed():
        pytest.skip(trouble)
    stage = directory.parent / "stage"
    stage.mkdir(exist_ok=True)
    _open_way(directory)
    variables = {
        "NAME": NAME,
        "ID": str(UID),
        "HOME": str(directory),
        "VERTUI_HOME": str(directory / "vt"),
        "VERTUI_SLOW": os.environ.get("VERTUI_SLOW", "1"),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HIDDEN": " ".join(_hidden()),
        "DEVICES": " ".join(f"{name}:{minor}" for name, minor in DEVICES.items()),
    }
    entered = ["unshare", "--mount", "--propagation", "private", "sh", "-c", PREPARE, "sh", str(stage)]
    argv = [*entered, "sh", "-c", line]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, env=variables, cwd="/")


def given(source: Path, directory: Path) -> None:
    """Copy a home for him."""
    target = directory / "vt"
    subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", source, target], check=True)
    for unwanted in ("lock", "holder.lock", "log", "reserve"):
        path = target / unwanted
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    subprocess.run(["chown", "-R", f"{UID}:{UID}", target], check=True)


def _open_way(directory: Path) -> None:
    """A temporary directory is its maker's alone."""
    os.chown(directory, UID, UID)
    for parent in directory.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001 and str(parent).startswith("/tmp/"):
            parent.chmod(mode | 0o001)


def _hidden() -> list[str]:
    """Directories at the top in which Python or this tree lie, and which others may not enter."""
    tops = {Path("/", path.parts[1]) for path in (PREFIX, Path(__file__))}
    return [top.name for top in tops if not top.stat().st_mode & 0o001]
