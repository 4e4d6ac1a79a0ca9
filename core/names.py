r"""How file names are shown and typed: any bytes as one line of plain text, and back.

A name is shown as the text it is, but for what would not be seen or would not come back: a byte that is no UTF-8 or is
of a character that is not printed stands as `\xNN`, as do a space at the end and one after another space; a backslash
is doubled where what follows would make it look like one of these. Typed text is read the same way, so that what is
shown can be typed, and two names never show alike. A backslash before anything else is a backslash; bytes as a shell
passes them are taken as they are. Patches keep git's own quoting, and JSON has `<key>_hex` beside a text that is not
the name itself.
"""

import re

from core.errors import UsageError

_TYPED = re.compile(rb"\\(?:(\\)|x([0-9a-fA-F]{2}))")
_MISLEADING = re.compile(r"\\(?=\\|x[0-9a-fA-F]{2})")
_UNSEEN_SPACE = re.compile(r"(?<= ) | \Z")
_SPACE = "\\x20"


def spelled(name: bytes) -> str:
    """A name as it is shown."""
    text = name.decode("utf-8", "surrogateescape")
    if text.isprintable() and not any(part in text for part in ("\\", "  ")) and text[-1:] != " ":
        return text
    parts = re.split(
        r"(\\+)", _UNSEEN_SPACE.sub("\0", text)
    )  # no name holds a zero: it stands for the space meanwhile
    shown = [part if part[:1] == "\\" else "".join(map(_escaped, part)) for part in parts]
    for at in range(
        1, len(shown), 2
    ):  # runs of backslashes, each before what does not begin with one of its own
        misled = _MISLEADING.match("\\" + shown[at + 1])
        run = shown[at]
        shown[at] = "\\" * (2 * len(run) if misled else 2 * len(run) - 1)
    return "".join(shown)


def meant(text: str) -> bytes:
    """The name that a typed text means; UsageError for a text that no name can be."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError("a name holds half a character: type it as `\\xNN` for each byte") from error
    name = _TYPED.sub(lambda found: found[1] or bytes.fromhex(found[2].decode()), raw)
    if b"\0" in name:
        raise UsageError("a name cannot hold a byte of zero")
    return name


def sendable(text: str) -> str:
    """A typed text as one that any encoding takes and that means the same: a command line may hold odd bytes."""
    return spelled(meant(text))


def _escaped(char: str) -> str:
    if char == "\0":
        return _SPACE
    return char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in _bytes(char))


def _bytes(char: str) -> bytes:
    return char.encode("utf-8", "surrogateescape")
