"""Values that people keep in files: `@FILE` stands for its lines, `@DIR` for commands that bring in its patches."""

import base64
import json
import shlex
from collections.abc import Iterable
from pathlib import Path

from core.errors import UsageError

MOST_BYTES = 1 << 20  # of a file: a thousand commands of a thousand letters
JSONL = (".jsonl", ".ndjson")
COMMAND = "command"
PATCHES = (".patch", ".diff")
MOST_PATCH_BYTES = 70_000  # what a command may take, as text
APPLY = "base64 -d <<'END-OF-PATCH' | git apply --whitespace=nowarn\n{0}\nEND-OF-PATCH"
"""A line of shell that applies a patch, whatever is in it."""


def values_of(given: Iterable[str]) -> tuple[str, ...]:
    """What is meant by these: each itself, `@@` being `@`, or the lines of the file that it names. UsageError names the
    line at fault.
    """
    found = list[str]()
    for text in given:
        if text.startswith("@") and not text.startswith("@@"):
            found += lines_of(Path(text[1:]))
        else:
            found.append(text.removeprefix("@"))
    return tuple(found)


def lines_of(path: Path) -> tuple[str, ...]:
    """The lines of a file, those that are empty left out. In a file of JSON each is a text, or an object's command.

    Of a directory, DIR or DIR:PLACE, a command for each patch in it, that applies it at that place of a guest.
    """
    try:
        path = path.expanduser()
        if path.is_dir():
            return patches_of(path)
        directory, colon, place = str(path).rpartition(":")
        if colon and not path.exists() and Path(directory).is_dir():
            return patches_of(Path(directory), place)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except RuntimeError as error:
        raise UsageError(f"{path} leads nowhere: there is no such user") from error
    text = text_of(path)
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise UsageError(f"{path} has no lines")
    if path.suffix not in JSONL:
        return tuple(line for _, line in lines)
    return tuple(_told(path, number, line) for number, line in lines)


def text_of(path: Path) -> str:
    """What a file says. UsageError when it cannot be read, is no text, or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no text") from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES >> 20} MiB")
    return text


def patches_of(directory: Path, place: str = "") -> tuple[str, ...]:
    """A command for each patch in a directory, in the order of their names; they are applied in the guest's home, or at
    a place of it. UsageError where there are none; OSError.
    """
    found = sorted(path for path in directory.iterdir() if path.suffix in PATCHES)
    if not found:
        raise UsageError(f"{directory} has no patches: they are called *.patch or *.diff")
    goes = f"cd {shlex.quote(place)} && " if place else ""
    return tuple(goes + APPLY.format(_in_letters(path)) for path in found)


def _in_letters(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > MOST_PATCH_BYTES:
        raise UsageError(f"{path} is larger than {MOST_PATCH_BYTES} bytes: bring it in by `vertui cp`")
    return base64.b64encode(data).decode()


def _told(path: Path, number: int, line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    value = value.get(COMMAND) if isinstance(value, dict) else value
    if not isinstance(value, str) or not value:
        raise UsageError(f'{path}, line {number}: give a text, or an object such as {{"{COMMAND}": "make"}}')
    return value
