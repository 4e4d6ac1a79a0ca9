"""Which of the kernel's modules an image keeps, and the initrd that loads the first of them."""

import fnmatch
import shutil
from collections.abc import Mapping
from pathlib import Path

from core.errors import Damaged
from core.image import cpio
from core.image.recipe import GUEST

INITRD_MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio-rng",
    "inet_diag",
    "tcp_diag",
    "udp_diag",
)
"""Loaded by the initrd in this order: buses, disk, ports, network, entropy, then what `ss -K` needs."""

KEPT_MODULES = (
    "kernel/crypto/*",
    "kernel/lib/*",
    "kernel/drivers/block/loop.ko",
    "kernel/drivers/net/dummy.ko",
    "kernel/drivers/net/macvlan.ko",
    "kernel/drivers/net/tun.ko",
    "kernel/drivers/net/veth.ko",
    "kernel/drivers/net/vxlan/*",
    "kernel/drivers/net/wireguard/*",
    "kernel/fs/fuse/fuse.ko",
    "kernel/fs/nls/*",
    "kernel/fs/overlayfs/*",
    "kernel/net/bridge/*",
    "kernel/net/ipv4/*",
    "kernel/net/ipv6/*",
    "kernel/net/netfilter/*",
    "kernel/net/sched/*",
    "kernel/net/unix/*",
    "kernel/net/xfrm/*",
)
"""What software in a guest may ask for later: containers, tunnels, filters. What these depend on comes with them."""

APPLETS = ("insmod", "mount", "sh", "switch_root")


def keep_modules(source: Path, target: Path) -> None:
    """Copy the kept modules of a kernel's module directory, which has been through depmod, with their index."""
    needs = read_dependencies((source / "modules.dep").read_text())
    wanted = {name for name in needs if _is_kept(name)}
    for name in sorted(with_dependencies(wanted, needs)):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for index in source.glob("modules.*"):
        shutil.copyfile(index, target / index.name)


def read_dependencies(index: str) -> dict[str, tuple[str, ...]]:
    """modules.dep as a mapping from each module's path to the paths it needs, itself not among them."""
    lines = (line.partition(":") for line in index.split("\n") if line)
    return {name: tuple(needs.split()) for name, _, needs in lines}


def with_dependencies(wanted: set[str], needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The modules and all they need, transitively."""
    found: set[str] = set()
    pending = list(wanted)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(needs.get(name, ()))
    return found


def initrd(modules: Path, busybox: Path) -> bytes:
    """The initrd as the kernel unpacks it: uncompressed, since unpacking costs a slow guest more than reading."""
    paths = {path.stem: path for path in modules.rglob("*.ko")}
    if missing := [name for name in INITRD_MODULES if name not in paths]:
        raise Damaged(f"Debian's kernel package has no module {missing[0]}")
    return cpio.pack(
        [
            *(cpio.directory(name) for name in ("bin", "dev", "modules", "root")),
            cpio.character_device("dev/console", 5, 1),
            cpio.regular("bin/busybox", busybox.read_bytes(), executable=True),
            *(cpio.symlink(f"bin/{applet}", "busybox") for applet in APPLETS),
            *(cpio.regular(f"modules/{name}.ko", paths[name].read_bytes()) for name in INITRD_MODULES),
            cpio.regular("modules/order", "".join(f"{name}\n" for name in INITRD_MODULES).encode()),
            cpio.regular("init", (GUEST / "initrd.sh").read_bytes(), executable=True),
        ]
    )


def _is_kept(name: str) -> bool:
    by_path = any(fnmatch.fnmatchcase(name, pattern) for pattern in KEPT_MODULES)
    return by_path or Path(name).stem in INITRD_MODULES
