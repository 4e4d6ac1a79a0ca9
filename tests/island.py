"""A host of one test's own: network, mounts and users apart from the real one, and whoever uses vertui there.

`run` starts this module as a program, alone in network and mount namespaces. It furnishes them (servers outside, as in
`tests.outside`; devices that an ordinary user may open; a line for him in passwd), runs a line of shell as that user or
as root, and fails when the host is not as it was before.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.network import namespace
from tests.outside import Servers, furnish

DEVICES = {"fuse": 229, "net/tun": 200, "kvm": 232}  # major 10, and these minors
WITH_IMAGES = ("catalog.db*", "commits", "images", "layers", "store")
"""Of a home. A build begins with its cache."""
PREFIX = Path(sys.base_prefix)
OTHER_THAN_BEFORE = 77
LINKS_COME_UP_S = 1.1
ENDING = "trap 'vertui daemon stop --all --now > /dev/null 2>&1' EXIT\n"
"""Of what fails nothing is left, either."""

PREPARE = """
set -e
stage=$1
mount -t tmpfs -o mode=755 stage "$stage"
cover() {  # what is changed or seen in this directory is so here alone
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
    IFS=: read -r path minor mode <<END
$device
END
    [ -e "/dev/$path" ] || continue
    mknod -m "$mode" "$stage/dev/$path" c 10 "$minor"
    mount --bind "$stage/dev/$path" "/dev/$path"
done
"""


@dataclass(frozen=True)
class User:
    """Whose vertui it is."""

    uid: int
    name: str


ROOT, ORDINARY = User(0, "root"), User(52_000, "ordinary")


def needed() -> str | None:
    """Why there can be none here; None when there can."""
    if os.getuid() != 0:
        return "only root makes a user, and whoever runs this is an ordinary one already"
    missing = [device for device in ("fuse", "net/tun") if not Path("/dev", device).exists()]
    return f"no /dev/{missing[0]}" if missing else None


def run(
    line: str,
    directory: Path,
    timeout_s: float,
    user: User = ORDINARY,
    *,
    closed: Sequence[str] = (),
    real_network: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell as a user whose files lie in `directory`, and to whom some devices are closed; `vertui` is a
    command there. What it needs of the real network it finds only in that, of which nobody says how it was before.
    """
    if trouble := needed():
        pytest.skip(trouble)
    stage = directory.parent / "stage"
    stage.mkdir(exist_ok=True)
    _open_way(directory, user)
    modes = {name: 600 if name in closed else 666 for name in DEVICES}
    variables = {
        "NAME": ORDINARY.name,
        "ID": str(ORDINARY.uid),
        "HOME": str(directory),
        "VERTUI_HOME": str(directory / "vt"),
        "VERTUI_MIRRORS": "none",
        "VERTUI_SLOW": os.environ.get("VERTUI_SLOW", "1"),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HIDDEN": " ".join(_hidden()),
        "DEVICES": " ".join(f"{name}:{minor}:{modes[name]}" for name, minor in DEVICES.items()),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    apart = ["unshare", "--mount", "--propagation", "private", *([] if real_network else ["--net"])]
    program = [
        sys.executable,
        "-m",
        "tests.island",
        str(stage),
        str(user.uid),
        str(real_network),
        ENDING + line,
    ]
    return subprocess.run(
        [*apart, *program], capture_output=True, text=True, timeout=timeout_s, env=variables, cwd="/"
    )


def given(source: Path, directory: Path, user: User = ORDINARY, names: Sequence[str] = WITH_IMAGES) -> None:
    """Copy for a user what these names are of a home, in which nothing runs."""
    target = directory / "vt"
    (target / "layers").mkdir(parents=True)  # by that it is a home
    parts = [path for name in names for path in source.glob(name)]
    subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", *parts, target], check=True)
    subprocess.run(["chown", "-R", f"{user.uid}:{user.uid}", target], check=True)


def _open_way(directory: Path, user: User) -> None:
    """A temporary directory is its maker's alone."""
    os.chown(directory, user.uid, user.uid)
    for parent in directory.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001 and str(parent).startswith("/tmp/"):
            parent.chmod(mode | 0o001)


def _hidden() -> list[str]:
    """Directories at the top in which Python or this tree lie, and which others may not enter."""
    tops = {Path("/", path.parts[1]) for path in (PREFIX, Path(__file__))}
    return [top.name for top in tops if not top.stat().st_mode & 0o001]


def state() -> dict[str, object]:
    """Interfaces, addresses, routes, rules, mounts and settings of the host that this process is on."""
    asked = {
        "interfaces": ("ip", "-j", "link"),
        "addresses": ("ip", "-j", "address"),
        "routes": ("ip", "-j", "route", "show", "table", "all"),
        "policies": ("ip", "-j", "rule"),
    }
    found: dict[str, object] = {name: json.loads(_output(*argv) or "[]") for name, argv in asked.items()}
    found["rules"] = _output("nft", "list", "ruleset")
    found["mounts"] = Path("/proc/self/mountinfo").read_text()
    settings = Path("/proc/sys/net/ipv4")
    kept = [settings / "ip_forward", settings / "ip_local_port_range", *settings.glob("conf/*/*")]
    found["settings"] = {str(path): path.read_text() for path in kept if path.stat().st_mode & 0o400}
    return found


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _settled() -> dict[str, object]:
    """The host's state once it stays as it is: links that were just made come up by and by."""
    while True:
        before = state()
        time.sleep(LINKS_COME_UP_S)
        if state() == before:
            return before


def main(stage: str, uid: str, real_network: str, line: str) -> int:
    """The exit status of the line, or OTHER_THAN_BEFORE."""
    del os.environ["PYTHONPATH"]  # by which this module was found
    subprocess.run(["sh", "-c", PREPARE, "sh", stage], check=True)
    before: dict[str, object] = {}
    if real_network == str(False):
        with contextlib.suppress(FileNotFoundError):  # an address would be tentative for seconds
            namespace.write_sysctl("ipv6/conf/default/disable_ipv6", 1)
        Servers(furnish()).serve()
        _output("nft", "add table inet own; add chain inet own input { type filter hook input priority 0; }")
        before = _settled()
    becoming = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] if uid != "0" else []
    status = subprocess.run([*becoming, "sh", "-c", line], check=False).returncode
    now = _settled() if before else {}
    changed = [f"{what}: {before[what]} → {now[what]}" for what in now if now[what] != before[what]]
    if changed:
        print("\n".join(changed), file=sys.stderr)
    return status or (OTHER_THAN_BEFORE if changed else 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
