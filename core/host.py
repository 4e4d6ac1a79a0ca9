"""What a host forbids an ordinary user that vertui needs, each with the one line by which root allows it.

Sources: user_namespaces(7), subuid(5), Linux Documentation/admin-guide/sysctl, Ubuntu's restriction of unprivileged
user namespaces by AppArmor.
"""

import contextlib
import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.model import Finding

LEAST_IDS = 65536  # of a Debian tree: `nobody` is 65534
FUSE, TUN = (Path("/dev/fuse"), "fuse"), (Path("/dev/net/tun"), "tun")
"""By which machines map their memory, and what their network cards are attached to; each with its kernel module."""
NEEDED_SYSCTLS = {
    "kernel.unprivileged_userns_clone": (0, 1),
    "kernel.apparmor_restrict_unprivileged_userns": (1, 0),
    "user.max_user_namespaces": (0, 10_000),
    "user.max_net_namespaces": (0, 10_000),
}
"""By name: the value that forbids private namespaces, and one that allows them."""


@dataclass(frozen=True)
class User:
    """Who uses vertui, whatever a user namespace makes of him."""

    uid: int
    name: str

    @property
    def is_root(self) -> bool:
        """May he do all?"""
        return self.uid == 0


def user() -> User:
    """Ours."""
    uid = os.getuid()
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/uid_map").read_text().split("\n"):
            inside, outside, count = map(int, line.split())
            if inside <= uid < inside + count:
                uid = outside + uid - inside
                break
    try:
        return User(uid, pwd.getpwuid(uid).pw_name)
    except KeyError:
        return User(uid, str(uid))


def no_namespaces() -> str:
    """Why no private namespace can be made, where one was refused, and what helps."""
    if values := forbidding():
        return f"private namespaces are forbidden on this host: as root, {_set(values)}"
    if user().is_root:
        return "no private network namespace can be made: this container lacks CAP_SYS_ADMIN (docker run --privileged)"
    return (
        "no private network namespace can be made though no sysctl forbids it: a container's seccomp profile may"
        " (docker run --security-opt seccomp=unconfined)"
    )


def forbidding(sysctls: Path = Path("/proc/sys")) -> list[str]:
    """The sysctls that forbid private namespaces, each with a value that would not."""
    return [
        f"{name}={allowing}"
        for name, (forbidding, allowing) in NEEDED_SYSCTLS.items()
        if _number(sysctls / name.replace(".", "/")) == forbidding
    ]


def device_fix(device: Path, module: str, of: User | None = None) -> str:
    """The line by which root lets a user open a device that he cannot; empty when he can."""
    if os.access(device, os.R_OK | os.W_OK):
        return ""
    try:
        facts = device.stat()
    except OSError:
        return f"modprobe {module}"
    if facts.st_gid and facts.st_mode & 0o060 == 0o060:
        with contextlib.suppress(KeyError):
            return f"usermod -aG {grp.getgrgid(facts.st_gid).gr_name} {(of or user()).name}, then log in anew"
    rule = f'KERNEL=="{device.name}", MODE="0666"'
    return (
        f"chmod 0666 {device}, and for good: echo '{rule}' > /etc/udev/rules.d/60-vertui-{device.name}.rules"
    )


def device(path: Path, module: str) -> Finding:
    """What `doctor` says of a device that machines need."""
    fix = device_fix(path, module)
    return Finding(str(path), not fix, "cannot be opened" if fix else "opens", fix)


def findings(
    of: User | None = None, etc: Path = Path("/etc"), sysctls: Path = Path("/proc/sys")
) -> list[Finding]:
    """What `doctor` says of it. Nothing of it is forbidden to root."""
    who = of or user()
    return [] if who.is_root else [_namespaces(sysctls), _subordinate(who, etc)]


def _namespaces(sysctls: Path) -> Finding:
    values = forbidding(sysctls)
    detail = f"forbidden by {', '.join(each.partition('=')[0] for each in values)}" if values else "allowed"
    return Finding("user namespaces", not values, detail, _set(values) if values else "")


def _subordinate(who: User, etc: Path) -> Finding:
    """The ids that an image build gives the files of other users in a Debian tree."""
    short = [name for name in ("subuid", "subgid") if max(_ranges(etc / name, who), default=0) < LEAST_IDS]
    detail = f"{who.name} has no {LEAST_IDS} in /etc/{' and /etc/'.join(short)}: image builds need them"
    fix = f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {who.name}"
    return Finding("subordinate ids", not short, detail if short else "enough", fix if short else "")


def _ranges(path: Path, who: User) -> Iterator[int]:
    try:
        lines = path.read_text().split("\n")
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            name, _, count = line.split(":")
            if name in (who.name, str(who.uid)):
                yield int(count)


def _number(path: Path) -> int | None:
    """A sysctl; None where the kernel does not have it."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _set(values: list[str]) -> str:
    return f"sysctl -w {' '.join(values)}"
