"""Images: what a first machine boots from.

recipe     what goes into an image; its digest names the outcome
rootfs     the Debian tree as a tar, made by mmdebstrap
kernel     Debian's cloud kernel: `vmlinux`, the ELF a PVH boot starts, and the modules a guest may need
initrd     busybox and the virtio modules: just enough to mount the root disk
root disk  ext4 without a journal: rootfs + modules + busybox + agent
base       rootfs, kernel and modules of one Debian state, kept in the cache and shared by images
whole      what says that a base or an image has lost nothing since it was made

build_files: recipe -> base (cached) -> root.raw, vmlinux, initrd, empty.qcow2 in a directory of the caller's.
Nothing here starts a machine; the golden commit is the engine's.
"""

from core.image.build import build_files, digest
from core.image.kernel import KERNEL_ARGS
from core.image.recipe import Recipe

__all__ = ["KERNEL_ARGS", "Recipe", "build_files", "digest"]
