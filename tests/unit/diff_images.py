"""Real disks for the diff's tests: made by mke2fs, changed by debugfs or by the running kernel.

Run as a program it is the actor inside a mounted disk: `diff_images.py (tour|history SEED|many FILES) MOUNT RESULT`
changes the tree at MOUNT and leaves in RESULT what the kernel saw before and after.
"""

# The names are bytes that pathlib cannot hold.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH105, PTH108, PTH112, PTH114, PTH115, PTH118, PTH123, PTH202, PTH211

import hashlib
import os
import pickle
import random
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

MIB = 1 << 20

# Exports a qcow2 chain as a file by FUSE and loop-mounts it where nobody else sees it, so that the kernel's own
# ext4 writes the topmost overlay. Arguments: work directory, base, actor's command in $ACT, overlays bottom first.
_ON_KERNEL = r"""
set -eu
work=$1 base=$2; shift 2
mkdir -p "$work/mnt"; : > "$work/export"
args=(--blockdev "driver=file,filename=$base,node-name=f0,read-only=on"
      --blockdev "driver=raw,file=f0,node-name=n0,read-only=on")
i=0
for overlay in "$@"; do
  j=$((i+1)); ro=on; [ $j = $# ] && ro=off
  args+=(--blockdev "driver=file,filename=$overlay,node-name=f$j,read-only=$ro"
         --blockdev "driver=qcow2,file=f$j,backing=n$i,node-name=n$j,read-only=$ro")
  i=$j
done
qemu-storage-daemon "${args[@]}" --export "fuse,id=e,node-name=n$i,mountpoint=$work/export,writable=on" &
daemon=$!
trap 'umount "$work/mnt" 2>&- || :; umount "$work/export" 2>&- || :; kill $daemon 2>&- || :; wait $daemon || :' EXIT
for _ in $(seq 1500); do [ -s "$work/export" ] && break; sleep 0.02; done
mount -o loop "$work/export" "$work/mnt"
eval "$ACT"
"""


class Seen(NamedTuple):
    """What the kernel tells of one path."""

    mode: int
    uid: int
    gid: int
    size: int
    links: int
    device: int
    mtime_ns: int
    target: bytes | None
    content: bytes | None
    xattrs: tuple[tuple[str, bytes], ...]


def run(*command: str | Path, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def make_image(path: Path, tree: Path, size_mib: int = 64, *options: str) -> Path:
    with path.open("wb") as file:
        file.truncate(size_mib * MIB)
    options = options or ("-b", "4096")
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", *options, "-d", tree, path)
    return path


def make_overlay(path: Path, size: int) -> Path:
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", path, str(size))
    return path


def copy_sparse(source: Path, target: Path) -> Path:
    run("cp", "--sparse=always", source, target)
    return target


def debugfs(image: Path, *commands: str) -> str:
    return run("debugfs", "-w", "-f", "-", image, stdin="\n".join(commands))


def kernel_mounts() -> str | None:
    """Why the kernel cannot be made to write a test disk here; None when it can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    for needed in ("/dev/fuse", "/dev/loop-control"):
        if not Path(needed).exists():
            return f"there is no {needed}"
    return None if shutil.which("qemu-storage-daemon") else "there is no qemu-storage-daemon"


def on_kernel(
    work: Path, base: Path, overlays: Sequence[Path], *act: str
) -> tuple[dict[bytes, Seen], dict[bytes, Seen]]:
    """Let the actor change the disk through the kernel; what it saw before and after."""
    result = work / "seen"
    command = " ".join([sys.executable, __file__, *act, str(work / "mnt"), str(result)])
    script = ["unshare", "-m", "bash", "-c", _ON_KERNEL, "on-kernel", *map(str, (work, base, *overlays))]
    done = subprocess.run(script, env=os.environ | {"ACT": command}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = pickle.loads(result.read_bytes())
    return {path: Seen(*seen) for path, seen in before}, {path: Seen(*seen) for path, seen in after}


def see(root: bytes) -> dict[bytes, Seen]:
    found = {b"/": _look(root)}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(directory, name)
            found[path[len(root) :]] = _look(path)
    return found


def _look(path: bytes) -> Seen:
    info = os.lstat(path)
    regular, folder = stat.S_ISREG(info.st_mode), stat.S_ISDIR(info.st_mode)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return Seen(
        info.st_mode,
        info.st_uid,
        info.st_gid,
        0 if folder else info.st_size,
        info.st_nlink,
        info.st_rdev,
        info.st_mtime_ns,
        os.readlink(path) if stat.S_ISLNK(info.st_mode) else None,
        _content(path, info.st_size) if regular else None,
        tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
    )


def _content(path: bytes, size: int) -> bytes:
    """Digest of the blocks that are not zero and where they lie: a sparse gigabyte in no time."""
    digest = hashlib.blake2b()
    with open(path, "rb", buffering=0) as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // 4096 * 4096
            except OSError:  # nothing but a hole up to the end
                break
            block = os.pread(file.fileno(), 4096, at)
            if block.strip(b"\0"):
                digest.update(at.to_bytes(8, "little") + block)
            at += 4096
    return digest.digest()


def write_at(path: bytes, offset: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(descriptor, data, offset)
    os.close(descriptor)


def tour(root: bytes, _: random.Random) -> None:
    """One change of every kind, and everything that is none though it looks like one."""
    os.chdir(root)
    write_at(b"modified", 2, b"XX")
    os.unlink(b"deleted")
    write_at(b"created", 0, b"new\n")
    os.rename(b"renamed", b"folder/moved")
    os.chmod(b"tool", 0o755)
    os.unlink(b"link")
    os.symlink(b"elsewhere", b"link")
    for directory, _folders, files in os.walk(
        b"."
    ):  # atime, mtime and rewriting the same bytes are no changes
        for name in files:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                Path(os.fsdecode(path)).read_bytes()
    os.utime(b"touched")
    os.utime(b"folder")
    write_at(b"rewritten", 0, b"same")
    os.link(b"touched", b"folder/temporary")
    os.unlink(b"folder/temporary")


def history(root: bytes, rng: random.Random) -> None:
    """A random life of a tree. Walking takes its time: what is acted on is looked for now and then."""
    os.chdir(root)
    for number in range(50):
        if number % 10 == 0:
            walked = sorted(os.walk(b"."))
            files = [os.path.join(at, name) for at, _, names in walked for name in sorted(names)]
        regular = [path for path in rng.sample(files, min(len(files), 9)) if _is_regular(path)]
        folders = [at for at, _, _ in rng.sample(walked, min(len(walked), 9)) if os.path.isdir(at)] or [b"."]
        fresh = os.path.join(folders[-1], _name(rng))
        if not os.path.lexists(fresh) and regular:
            rng.choice(_ACTS)(rng, regular[0], fresh, folders[0])


def many(root: bytes, files: int) -> None:
    """So many small files at once."""
    for number in range(files):
        folder = root + b"/many/%d" % (number // 1000)
        os.makedirs(folder, exist_ok=True)
        write_at(folder + b"/%d" % number, 0, b"%d\n" % number)


def _is_regular(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:  # gone, or below what a file has replaced
        return False


def _is_movable(folder: bytes) -> bool:
    return folder not in (b".", b"./lost+found")


def _name(rng: random.Random) -> bytes:
    odd = [b"\n", b"\xff\xfe", b" ", "ü".encode(), b'"', b"\\", b"\t"]
    return b"f%d" % rng.randrange(1000) + rng.choice([b"", b"", *odd]) + b"x" * rng.choice([0, 0, 200])


def _move_folder(rng: random.Random, _: bytes, fresh: bytes, folder: bytes) -> None:
    if _is_movable(folder) and not fresh.startswith(folder + b"/"):
        os.rename(folder, fresh)


def _replace_by_folder(rng: random.Random, file: bytes, fresh: bytes, _: bytes) -> None:
    os.unlink(file)
    os.mkdir(file)
    write_at(file + b"/inside", 0, b"here")


def _replace_by_file(rng: random.Random, file: bytes, fresh: bytes, _: bytes) -> None:
    write_at(fresh, 0, rng.randbytes(rng.randrange(9000)))
    os.replace(fresh, file)


def _deep(rng: random.Random, file: bytes, fresh: bytes, _: bytes) -> None:
    os.makedirs(fresh + b"/d" * 30)
    write_at(fresh + b"/d" * 30 + b"/bottom", 0, b"deep")


def _many(rng: random.Random, file: bytes, fresh: bytes, _: bytes) -> None:
    os.mkdir(fresh)
    for number in range(200):
        write_at(fresh + b"/%d" % number + b"n" * 30, 0, b"%d" % number)


def _sparse(rng: random.Random, file: bytes, fresh: bytes, _: bytes) -> None:
    for _extent in range(12):  # more extents than an inode holds
        write_at(fresh, rng.randrange(1 << 30), b"drop")


def _access_list(rng: random.Random, file: bytes, fresh: bytes, _: bytes) -> None:
    """Reads for everybody, and rights of a certain user (linux/posix_acl_xattr.h)."""
    entries = [
        (1, 6, -1),
        (2, rng.randrange(8), 1000 + rng.randrange(9)),
        (4, 4, -1),
        (16, 7, -1),
        (32, 4, -1),
    ]
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(file, "system.posix_acl_access", struct.pack("<I", 2) + packed)


_ACTS: list[Callable[[random.Random, bytes, bytes, bytes], object]] = [
    lambda rng, file, fresh, folder: write_at(fresh, 0, rng.randbytes(rng.randrange(20000))),
    lambda rng, file, fresh, folder: write_at(file, os.path.getsize(file), b"appended"),
    lambda rng, file, fresh, folder: os.truncate(file, rng.randrange(12000)),
    lambda rng, file, fresh, folder: write_at(
        file, rng.randrange(os.path.getsize(file) + 1), rng.randbytes(3)
    ),
    lambda rng, file, fresh, folder: os.rename(file, fresh),
    lambda rng, file, fresh, folder: os.link(file, fresh),
    lambda rng, file, fresh, folder: os.unlink(file),
    lambda rng, file, fresh, folder: os.symlink(b"t" * rng.choice([5, 59, 60, 900]), fresh),
    lambda rng, file, fresh, folder: os.chmod(file, rng.randrange(0o10000)),
    lambda rng, file, fresh, folder: os.chown(rng.choice([file, folder]), rng.randrange(1 << 20), 7),
    lambda rng, file, fresh, folder: os.setxattr(file, "user.note", b"v" * rng.choice([3, 1500])),
    lambda rng, file, fresh, folder: os.mknod(fresh, stat.S_IFCHR | 0o600, os.makedev(300, 70000)),
    lambda rng, file, fresh, folder: os.mkfifo(fresh),
    _access_list,
    lambda rng, file, fresh, folder: os.mkdir(fresh),
    lambda rng, file, fresh, folder: shutil.rmtree(folder) if _is_movable(folder) else None,
    _move_folder,
    _replace_by_folder,
    _replace_by_file,
    _deep,
    _many,
    _sparse,
]


def main(act: str, *arguments: str) -> None:
    *number, mount, result = arguments
    root = os.fsencode(mount)
    before = _plain(see(root))
    if act == "many":
        many(root, *map(int, number))
    else:
        {"tour": tour, "history": history}[act](root, random.Random(*map(int, number)))
    Path(result).write_bytes(pickle.dumps((before, _plain(see(root)))))


def _plain(found: dict[bytes, Seen]) -> list[tuple[bytes, tuple[object, ...]]]:
    """Without our own types: pickle would look for them in another program's main module."""
    return [(path, tuple(seen)) for path, seen in found.items()]


if __name__ == "__main__":
    main(*sys.argv[1:])
