"""Values that people keep in a file: `@FILE` stands for its lines."""

import json
from collections.abc import Iterable
from pathlib import Path

from core.errors import UsageError

MOST_BYTES = 1 << 20  # of a file: a thousand commands of a thousand letters
JSONL = (".jsonl", ".ndjson")
COMMAND = "command"


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
    """The lines of a file, those that are empty left out. In a file of JSON each is a text, or an object's command."""
    try:
        path = path.expanduser()
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except RuntimeError as error:
        raise UsageError(f"{path} leads nowhere: there is no such user") from error
    except ValueError as error:
        raise UsageError(f"{path} is no text") from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES >> 20} MiB")
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise UsageError(f"{path} has no lines")
    if path.suffix not in JSONL:
        return tuple(line for _, line in lines)
    return tuple(_told(path, number, line) for number, line in lines)


def _told(path: Path, number: int, line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    value = value.get(COMMAND) if isinstance(value, dict) else value
    if not isinstance(value, str) or not value:
        raise UsageError(f'{path}, line {number}: give a text, or an object such as {{"{COMMAND}": "make"}}')
    return value
