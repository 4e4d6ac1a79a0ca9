"""Two states of one filesystem as vertui has them: an image and an overlay, with so many files, 100 of them changed.

Made once and kept under build/bench. Needs no mount: mke2fs fills the image, debugfs changes a copy, and qemu-img
turns what differs into an overlay.
"""

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2] / "build" / "bench"
CHANGED = 100
FILES_A_DIRECTORY = 100
FILE_BYTES = 2000


@dataclass(frozen=True)
class Disks:
    """`before` and `after` are whole filesystems; `overlay` over `before` is `after`."""

    before: Path
    after: Path
    overlay: Path


def make_disks(files: int) -> Disks:
    """The disks with so many files; instant when they are there already."""
    directory = ROOT / str(files)
    disks = Disks(directory / "before.raw", directory / "after.raw", directory / "overlay.qcow2")
    if not all(path.exists() for path in (disks.before, disks.after, disks.overlay)):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        names = _fill(directory / "tree", files)
        _make_image(disks.before, directory / "tree", files)
        shutil.rmtree(directory / "tree")
        _change(disks, directory, names)
        _overlay(disks)
    return disks


def _fill(tree: Path, files: int) -> list[str]:
    rng, names = random.Random(files), []
    for number in range(files):
        name = f"d{number // FILES_A_DIRECTORY // 50}/e{number // FILES_A_DIRECTORY}/file-{number}"
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number} {rng.random()}\n" * (FILE_BYTES // 30))
        names.append(name)
    return names


def _make_image(image: Path, tree: Path, files: int) -> None:
    with image.open("wb") as file:
        file.truncate((files * 6 // 1024 + 128) << 20)  # a block and an inode each, and room to change
    options = ("-q", "-t", "ext4", "-O", "^has_journal", "-b", "4096", "-N", str(files + files // 5 + 2000))
    _run("mke2fs", *options, "-d", tree, image)


def _change(disks: Disks, directory: Path, names: list[str]) -> None:
    """Two fifths are rewritten; a fifth each is added, removed, made executable."""
    rng = random.Random(1)
    chosen = rng.sample(names, CHANGED)
    text = directory / "text"
    text.write_text("changed\n" * 200)
    commands = []
    for number, name in enumerate(chosen):
        folder = name.rpartition("/")[0]
        commands += [
            [f"rm {name}", f"write {text} {name}"],
            [f"rm {name}", f"write {text} {name}"],
            [f"write {text} {folder}/new-{number}"],
            [f"rm {name}"],
            [f"set_inode_field {name} mode 0100755"],
        ][number % 5]
    _run("cp", "--sparse=always", disks.before, disks.after)
    _run("debugfs", "-w", "-f", "-", disks.after, stdin="\n".join(commands))


def _overlay(disks: Disks) -> None:
    """What `after` has over `before`: qemu-img copies the clusters that differ when the backing file changes."""
    made = disks.overlay.with_suffix(".tmp")
    size = str(disks.before.stat().st_size)
    _run(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "cluster_size=4k",
        "-b",
        disks.after,
        "-F",
        "raw",
        made,
        size,
    )
    _run("qemu-img", "rebase", "-b", str(disks.before), "-F", "raw", made)
    _run("qemu-img", "rebase", "-u", "-b", "", made)
    made.rename(disks.overlay)


def _run(*command: str | Path, stdin: str = "") -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr.strip()}")
