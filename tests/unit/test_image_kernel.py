"""Finding the ELF in a bzImage, choosing modules, and the archive an initrd is."""

import gzip
import lzma
import struct
from pathlib import Path

import pytest

from core.errors import Damaged
from core.image import cpio
from core.image.kernel import has_pvh_note, unpack_kernel
from core.image.modules import read_dependencies, with_dependencies


def elf(owner: bytes = b"Xen\0", kind: int = 18) -> bytes:
    """The smallest 64-bit ELF with a PT_NOTE segment of two notes."""
    notes = struct.pack("<III", 4, 5, 1) + b"GNU\0" + bytes(8)
    notes += struct.pack("<III", len(owner), 4, kind) + owner + bytes(4)
    header = (
        b"\x7fELF\x02"
        + bytes(0x1B)
        + struct.pack("<Q", 64)
        + bytes(14)
        + struct.pack("<HH", 56, 1)
        + bytes(6)
    )
    return header + struct.pack("<IIQQQQQQ", 4, 0, 120, 0, 0, len(notes), len(notes), 4) + notes


def bzimage(payload: bytes) -> bytes:
    """A setup sector and a boot sector before the payload, as the build lays them out."""
    image = bytearray(2 * 512 + 256)
    image[0x1F1] = 1
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 256, len(payload) + 4)
    return bytes(image) + payload + bytes(4)


def test_pvh_note() -> None:
    assert has_pvh_note(elf())
    assert not has_pvh_note(elf(kind=17))
    assert not has_pvh_note(elf(owner=b"GNU\0"))
    assert not has_pvh_note(b"MZ" + bytes(200))


@pytest.mark.parametrize("packed", [gzip.compress(elf()), lzma.compress(elf())], ids=["gzip", "lzma"])
async def test_unpack(tmp_path: Path, packed: bytes) -> None:
    (tmp_path / "vmlinuz").write_bytes(bzimage(packed))
    await unpack_kernel(tmp_path / "vmlinuz", tmp_path / "vmlinux")
    assert (tmp_path / "vmlinux").read_bytes() == elf()


@pytest.mark.parametrize(
    "image",
    [
        b"no kernel",
        bzimage(b"\x1f\x8bbroken"),
        bzimage(b"unknown"),
        bzimage(gzip.compress(elf(kind=1))),
        bzimage(lzma.compress(b"no ELF")),
    ],
)
async def test_unpack_refuses(tmp_path: Path, image: bytes) -> None:
    (tmp_path / "vmlinuz").write_bytes(image)
    with pytest.raises(Damaged):
        await unpack_kernel(tmp_path / "vmlinuz", tmp_path / "vmlinux")


def test_modules_bring_what_they_need() -> None:
    needs = read_dependencies("a.ko: b.ko c.ko\nb.ko: d.ko\nc.ko:\nd.ko: b.ko\ne.ko:\n")
    assert needs["a.ko"] == ("b.ko", "c.ko")
    assert with_dependencies({"a.ko"}, needs) == {"a.ko", "b.ko", "c.ko", "d.ko"}


def test_cpio_layout() -> None:
    archive = cpio.pack(
        [cpio.directory("dev"), cpio.character_device("dev/console", 5, 1), cpio.regular("f", b"12345")]
    )
    names, at = {}, 0
    while at < len(archive):
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, major, minor, name_bytes = fields[1], fields[6], fields[9], fields[10], fields[11]
        data_at = at + 110 + name_bytes + 3 & ~3
        name = archive[at + 110 : at + 109 + name_bytes].decode()
        names[name] = (oct(mode), (major, minor), archive[data_at : data_at + size])
        at = data_at + size + 3 & ~3
    assert names == {
        "dev": ("0o40755", (0, 0), b""),
        "dev/console": ("0o20600", (5, 1), b""),
        "f": ("0o100644", (0, 0), b"12345"),
        "TRAILER!!!": ("0o0", (0, 0), b""),
    }
