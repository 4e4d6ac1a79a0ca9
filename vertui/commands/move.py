"""Commits to and from other homes, as files."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from core.errors import Conflict, NotFound, VertuiError
from core.files import disk_error
from core.model import Origin
from core.verbs.base import Kind
from vertui.options import Json, argument, new_app
from vertui.output import say_json
from vertui.session import connect
from vertui.text import printable, short, size

app = new_app()

PIECE_BYTES = 1 << 20
HIDDEN = ".tmp"
NO_UNNAMED = (21, 95)  # EISDIR, EOPNOTSUPP: a filesystem without O_TMPFILE
File = Annotated[str, typer.Argument(metavar="FILE", help="The file.", show_default=False)]


@app.command("export")
def export(
    ref: Annotated[str, argument("COMMIT", "A commit, or a branch's head.", Kind.COMMIT)],
    file: File,
    json: Json = False,
) -> None:
    """Write a commit to one self-contained file, which `import` takes in any home. FILE must not exist.

    \b
    Example:
      vertui commit main && vertui export main warm-server.vertui
    """
    target = Path(file)
    if os.path.lexists(target):
        raise Conflict(f"{printable(file)} exists already: choose another name, or remove it")
    from vertui.progress import Meter

    pieces = Meter().along(connect().export(ref))
    try:
        written = write_whole(target, pieces)
    except OSError as error:
        raise disk_error(error, target) from error
    if json:
        say_json({"ref": ref, "file": printable(file), "size_bytes": written})
    else:
        print(f"{ref} is in {printable(file)}, {size(written)}")


@app.command("import")
def import_(
    file: File,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let it start: QEMU will load device state from this file.")
    ] = False,
    json: Json = False,
) -> None:
    """Take in an exported commit, every page verified. It does not start until you say that you trust it.

    \b
    Examples:
      vertui import warm-server.vertui
      vertui fork 3fa9c1d2 --trust
    """
    from vertui.progress import Meter

    pieces = _pieces(Path(file))
    done = connect().import_commit(Meter(Path(file).stat().st_size).along(pieces), trust)
    if json:
        say_json(done)
        return
    commit = done.commit
    text = f"  {printable(commit.message)}" if commit.message else ""
    added = f"{size(done.stored_bytes)} added" if done.added else "it was here already"
    print(f"{short(commit.id)}{text}  {added}")
    if commit.origin is Origin.FOREIGN:
        print(f"it is foreign: `vertui fork {short(commit.id)} --trust` starts it")


def write_whole(target: Path, pieces: Iterable[bytes]) -> int:
    """Write a new file that appears under its name when it is whole and durable, or not at all; its size.

    Raises OSError, Conflict when the name was taken meanwhile, and what `pieces` raises.
    """
    descriptor, name = _unnamed(target)
    try:
        written = 0
        for piece in pieces:
            view = memoryview(piece)
            while view:
                count = os.write(descriptor, view)
                written, view = written + count, view[count:]
        os.fsync(descriptor)
        os.link(
            name, target, src_dir_fd=descriptor
        )  # given one, though unused, Python follows the link in /proc
        return written
    except FileExistsError as error:
        raise Conflict(f"{target.name} exists already: choose another name, or remove it") from error
    finally:
        os.close(descriptor)
        if name.suffix == HIDDEN:
            name.unlink(missing_ok=True)


def _unnamed(target: Path) -> tuple[int, Path]:
    """A file beside `target` that goes with this process, or else a hidden one; and a path to link it by."""
    try:
        descriptor = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        return descriptor, Path(f"/proc/self/fd/{descriptor}")
    except OSError as error:
        if error.errno not in NO_UNNAMED:
            raise
    hidden = target.absolute().with_name(f".{target.name}.{os.getpid()}{HIDDEN}")
    return os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), hidden


def _pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes; refused before anything is sent when it cannot be read."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {printable(str(path))}") from error
    except OSError as error:
        raise VertuiError(f"cannot read {printable(str(path))}: {error.strerror}") from error

    def read() -> Iterator[bytes]:
        with file:
            while data := file.read(PIECE_BYTES):
                yield data

    return read()
