"""A user's own keys, and what keys mean that are no action's.

`keys.toml` in `$XDG_CONFIG_HOME/vertui` (`~/.config/vertui`), and over it the one in the home, give actions other keys:

    fork = "f5"
    watch = ["w", "ctrl+w"]

What is wrong there is told and costs that line alone: each action keeps a key, and no key does two things. Keys that
move, leave, help and find an action are nobody's to take.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import ascii_letters, digits

from textual.keys import Keys

from vertui.actions import BY_ID, KEY_LABELS, as_printed
from vertui.text import printable

FILE = "keys.toml"
LONGEST_FILE = 64 * 1024  # bytes; every action with some keys takes a tenth of it
ALWAYS = ("help", "palette", "quit")
"""Whatever keys these are given, they keep their own."""

ELSEWHERE = {
    "j": "down", "down": "down", "k": "up", "up": "up", "h": "to the left", "g": "to the first",
    "home": "to the first", "G": "to the last", "end": "to the last",
    "ctrl+d": "down by pages", "pagedown": "down by pages", "ctrl+u": "up by pages", "pageup": "up by pages",
    "ctrl+down": "down, in the pane beside", "K": "up, in the pane beside", "ctrl+up": "up, in the pane beside",
    "ctrl+f": "down by pages, in the pane beside", "ctrl+pagedown": "down by pages, or the next tab",
    "ctrl+b": "up by pages, in the pane beside", "ctrl+pageup": "up by pages, or the tab before",
    "ctrl+g": "to the first, in the pane beside", "ctrl+home": "to the first, in the pane beside",
    "ctrl+l": "to the last, in the pane beside", "ctrl+end": "to the last, in the pane beside",
    "shift+pageup": "read back in a shell", "shift+pagedown": "read on in a shell",
    "tab": "to the next pane or field", "shift+tab": "to the one before",
    **dict.fromkeys("12345678", "to the pane or column of that number"),
    "n": "to the next that was found", "N": "to the one found before",
    "ctrl+right_square_bracket": "back from a shell",
    "right_square_bracket": "the next file", "left_square_bracket": "the file before",
    "right_parenthesis": "the next change", "left_parenthesis": "the change before",
    "vertical_line": "changes side by side", "backslash": "long lines wrapped", "underscore": "white space ignored",
    "exclamation_mark": "what is noise", "circumflex_accent": "compare with the first or the base",
    "percent_sign": "mark the others", "m": "compare memory too", "M": "bring a change into a branch",
    "C": "when each line came", "a": "type into commands", "ctrl+c": "interrupt commands",
    "ctrl+k": "check what is stored", "ctrl+t": "pack it anew",
    "ctrl+r": "read again", "ctrl+s": "save to a file", "ctrl+o": "open in the pager", "ctrl+e": "open in the editor",
    "ctrl+y": "copy as command, of what is being filled in",
}  # fmt: skip
"""Keys that are no action's, and the one meaning of each on whatever screen has it."""

ALIKE = {
    "left": "goes where it points: to the parent, the column, folder, pane or button at the left",
    "right": "the same at the right",
    "l": "to the right where something lies there; on the main screen, whose tree has parents at the left, the log",
    "enter": "does the main thing with what the cursor is on",
    "escape": "leaves the innermost thing: a line, a mark, a zoom, a screen",
    "q": "leaves a screen, and the last one the UI",
    "space": "marks; in a shell that is read back it goes on by a page, as in less",
    "slash": "looks for words",
    "y": "copies the command that does or prints what is shown",
    "tilde": "the other way round: an order, the sides of a diff, a plan's other way",
    "z": "folds and unfolds",
    "Z": "folds and unfolds all",
    "d": "compares, and leaves the comparison",
    "r": "brings back: what is paused, interrupted, ended, in the trash, or did not start",
    "x": "takes away: branches and commits, an image, a secret, a token, what is in the trash, what nothing needs",
    "U": "does once more: what was undone, a swarm",
    "X": "ends what goes on: an image's build, the playing of a swarm",
    "plus": "begins one more: a machine, a swarm, a secret, a token",
    "J": "scrolls the pane beside",
}
"""Actions' keys that other screens have for the same thing done to something else."""

LEAVING = ("enter", "escape", "left", "right", "ctrl+q", "ctrl+p")


@dataclass(frozen=True)
class Keymap:
    """Keys by action, as Textual spells them with commas between, and what was wrong with others, a line each."""

    keys: Mapping[str, str]
    problems: tuple[str, ...] = ()


def key_files(home: Path | None) -> list[Path]:
    """Where keys are given: the later ones win."""
    files = [home / FILE] if home else []
    with suppress(RuntimeError):  # nobody knows where the user's home is
        config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
        files.insert(0, config / "vertui" / FILE)
    return files


def read_keymap(files: Iterable[Path]) -> Keymap:
    """What these files give. One that is not there gives nothing."""
    wanted: dict[str, str] = {}
    problems: list[str] = []
    for file in files:
        try:
            lines = _lines_of(file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{reason}: none of the keys in {file} is used")
            continue
        for action, given in lines.items():
            try:
                wanted[_known(action)] = ",".join(_keys_of(given))
            except ValueError as error:
                problems.append(f"{action}: {error} ({file})")
    keys, refused = _settled(wanted)
    return Keymap(keys, tuple(map(printable, [*problems, *refused])))


def _lines_of(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            data = opened.read(LONGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if len(data) > LONGEST_FILE:
        raise ValueError("too long for a file of keys")
    import tomllib  # few have such a file

    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError:
        raise ValueError("no text in UTF-8") from None


def _known(action: str) -> str:
    """The id of an action: its label does, too."""
    ids = {action.label: action.id for action in BY_ID.values()} | {id: id for id in BY_ID}
    if action not in ids:
        from difflib import get_close_matches

        near = get_close_matches(action, ids, n=1)
        raise ValueError("there is no such action" + (f", did you mean {near[0]}?" if near else ""))
    return ids[action]


def _keys_of(given: object) -> list[str]:
    """Keys as Textual spells them."""
    found = given if isinstance(given, list) else [given]
    keys = [_key(key) for key in found if isinstance(key, str) and key]
    if not keys or len(keys) < len(found):
        raise ValueError('give a key as "F", or several as ["F", "ctrl+f"]')
    return keys


SIGNS = {sign: key for key, sign in KEY_LABELS.items()} | {sign: sign for sign in ascii_letters + digits}
KNOWN = {*SIGNS.values(), *(key.value for key in Keys)}


def _key(text: str) -> str:
    """A key by the sign on it or its name, as `?`, `f5`, `ctrl+w`."""
    key = SIGNS.get(text, text)
    if key.removeprefix("alt+") not in KNOWN:
        raise ValueError(f"there is no key '{text}': give it as F, ?, f5 or ctrl+w")
    return key


def _settled(wanted: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Those that leave no action without a key and no key with two meanings, and why the others do not."""
    left, refused = dict(wanted), list[str]()
    while True:
        for action, keys in left.items():
            if reason := next(filter(None, (_taken(action, key, left) for key in keys.split(","))), None):
                refused.append(f"{action} = {reason}: {as_printed(BY_ID[action].key)} stays its key")
                del left[action]
                break
        else:
            for action in {*left} & {*ALWAYS}:
                left[action] = ",".join(dict.fromkeys([*left[action].split(","), BY_ID[action].key]))
            return left, refused


def _taken(action: str, key: str, wanted: Mapping[str, str]) -> str | None:
    """Why an action cannot have a key, beginning with that."""
    if key == BY_ID[action].key:
        return None
    if key in ELSEWHERE:
        return f"{as_printed(key)}, which means: {ELSEWHERE[key]}"
    if key in LEAVING:
        return f"{as_printed(key)}, which no action can have"
    order = [*wanted]
    for other in BY_ID.values():
        held = wanted.get(other.id)
        own = [other.key] if held is None or other.id in ALWAYS else []
        if other.id == action or key not in [*own, *(held or "").split(",")]:
            continue
        if key == other.key:
            return f"{as_printed(key)}, which is the key of {other.id}: give {other.id} another one first"
        if order.index(other.id) < order.index(action):
            return f"{as_printed(key)}, which {other.id} has been given"
    return None
