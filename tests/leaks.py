"""What vertui could leave on a host, counted from outside: /proc, ip, nft and the filesystem."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.home import find_home


@dataclass(frozen=True)
class Traces:
    """Processes, memfds, namespaces and mounts of ours; the host's own interfaces and rules."""

    processes: frozenset[str] = frozenset()
    memfds: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    mounts: frozenset[str] = frozenset()
    sockets: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    def __sub__(self, other: "Traces") -> "Traces":
        return Traces(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))


def host_traces(root: Path) -> Traces:
    """What the host shows of the home at `root` now; its processes carry VERTUI_HOME in their environment."""
    processes, memfds, namespaces = set(), set(), set()
    mark = b"VERTUI_HOME=" + bytes(root) + b"\0"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if process.name == str(os.getpid()) or mark not in (process / "environ").read_bytes():
                continue
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            processes.add(f"{process.name} (of {parent}) {command[:200]}")
            namespaces.add(str((process / "ns/net").readlink()))
            targets = [str(descriptor.readlink()) for descriptor in (process / "fd").iterdir()]
        except OSError:
            continue
        memfds |= {f"{process.name} {target}" for target in targets if "memfd:vertui" in target}
    return Traces(
        frozenset(processes),
        frozenset(memfds),
        frozenset(namespaces),
        frozenset(line for line in Path("/proc/self/mounts").read_text().splitlines() if "vertui" in line),
        frozenset(str(path) for path in find_home(str(root)).runtime.glob("**/*")),
        frozenset(link["ifname"] for link in json.loads(_output("ip", "-j", "link"))),
        frozenset(_output("nft", "--stateless", "list", "ruleset").splitlines()),
    )


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
