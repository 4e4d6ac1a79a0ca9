"""The kernel a machine starts: the ELF inside Debian's vmlinuz, and its command line.

The boot header is that of the kernel's Documentation/arch/x86/boot.rst; the PVH note that of Xen's
include/public/elfnote.h: a kernel with it is started in 32-bit mode by the VMM, without firmware or decompressor.
"""

import lzma
import struct
import zlib
from pathlib import Path

import zstandard

from core.errors import Damaged
from core.image.tools import run

KERNEL_ARGS = " ".join(
    (
        "console=hvc0",
        "quiet",
        "cryptomgr.notests",  # half a second of boot under TCG
        "panic=-1",  # a dead guest resets at once: with -no-reboot QEMU ends and the holder sees it
        "tsc=nowatchdog",  # a busy or restored host makes the TSC look unstable, and the HPET is slower to read
        "mitigations=off",  # one tenant a machine; switching page tables at each system call is what TCG is worst at
        "transparent_hugepage=never",  # a huge page would change 512 pages of a commit at once
    )
)
"""The guest's command line. It names no root disk: the initrd knows only one."""

WIPED_BYTES = 1 << 30
"""The kernel of a guest with no more memory wipes what it frees: no later commit or fork holds what a process had. It
wipes all there is at boot first, which takes of the host as much, and more memory than that is not asked of it.
"""

LZ4_LEGACY, GZIP, XZ, ZSTD = b"\x02\x21\x4c\x18", b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
SETUP_SECTORS, MAGIC, PAYLOAD = 0x1F1, 0x202, 0x248
SIZE_TRAILER = 4  # the build appends the unpacked size to the payload
PT_NOTE = 4
XEN_PHYS32_ENTRY = 18


def command_line(memory_bytes: int) -> str:
    """The command line of a guest with this much memory."""
    return f"{KERNEL_ARGS} init_on_free=1" if memory_bytes <= WIPED_BYTES else KERNEL_ARGS


async def unpack_kernel(vmlinuz: Path, vmlinux: Path) -> None:
    """Write the ELF inside a bzImage. Damaged when it holds none that boots by PVH."""
    image = vmlinuz.read_bytes()
    if image[MAGIC : MAGIC + 4] != b"HdrS":
        raise Damaged(f"{vmlinuz.name} is no bzImage")
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    start = ((image[SETUP_SECTORS] or 4) + 1) * 512 + offset
    await _decompress(image[start : start + length - SIZE_TRAILER], vmlinux)
    if not has_pvh_note(vmlinux.read_bytes()):
        raise Damaged(f"{vmlinuz.name} holds no ELF with a PVH entry")


def has_pvh_note(elf: bytes) -> bool:
    """Whether these bytes are a 64-bit ELF carrying Xen's PHYS32_ENTRY note."""
    if elf[:5] != b"\x7fELF\x02":
        return False
    (table,) = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    for header in range(table, table + size * count, size):
        kind, offset, length = struct.unpack_from("<I4xQ16xQ", elf, header)
        if kind == PT_NOTE and (b"Xen", XEN_PHYS32_ENTRY) in _notes(elf[offset : offset + length]):
            return True
    return False


def _notes(segment: bytes) -> list[tuple[bytes, int]]:
    """Owner and type of each note; names and values are padded to four bytes."""
    notes, at = [], 0
    while at + 12 <= len(segment):
        name_bytes, value_bytes, kind = struct.unpack_from("<III", segment, at)
        notes.append((segment[at + 12 : at + 12 + name_bytes].rstrip(b"\0"), kind))
        at += 12 + (name_bytes + 3 & ~3) + (value_bytes + 3 & ~3)
    return notes


async def _decompress(payload: bytes, target: Path) -> None:
    packed = target.with_suffix(".packed")
    try:
        if payload.startswith(LZ4_LEGACY):
            packed.write_bytes(payload)
            await run(["lz4", "-dqf", str(packed), str(target)])
        else:
            target.write_bytes(_inflate(payload))
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        raise Damaged(f"the kernel's payload does not unpack: {error}") from error
    finally:
        packed.unlink(missing_ok=True)


def _inflate(payload: bytes) -> bytes:
    if payload.startswith(GZIP):
        return zlib.decompress(payload, wbits=31)
    if payload.startswith(XZ):
        return lzma.decompress(payload)
    if payload.startswith(ZSTD):
        return zstandard.ZstdDecompressor().decompressobj().decompress(payload)
    raise Damaged("the kernel's payload is packed in a way that is not known")
