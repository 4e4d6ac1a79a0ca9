"""What git would leave out of a tree, by the rules of files such as `.gitignore`: here, and in a guest as a program.

By the last pattern that fits of the file nearest to an entry, as gitignore(5) has it; what is in a directory that is
left out is not looked at. Names are bytes, and so are patterns: git's `?` is one byte. That git tracks a file in spite
of its rules is not known here.

As a program: `DIRECTORY RULES`, the rules in JSON. It prints the topmost names that are left out, each with a zero.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH118

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANK = b"\x20"
SPECIAL = re.compile(rb"[*?[\\]")
MOST_BYTES = 1 << 20  # of a file of rules
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CLASSES = {
    b"alnum": rb"0-9A-Za-z", b"alpha": rb"A-Za-z", b"blank": rb"\x20\t", b"cntrl": rb"\x00-\x1f\x7f", b"digit": rb"0-9",
    b"graph": rb"\x21-\x7e", b"lower": rb"a-z", b"print": rb"\x20-\x7e", b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb"\x20\t-\r", b"upper": rb"A-Z", b"xdigit": rb"0-9A-Fa-f",
}  # fmt: skip


@dataclass(frozen=True)
class Pattern:
    """One line: what it fits, of a path below its file's directory or of the last name alone."""

    expression: re.Pattern[bytes]
    negated: bool
    directories: bool
    whole: bool

    def fits(self, path: bytes, is_directory: bool) -> bool:
        """Does it fit this path, which is relative to the directory of its file?"""
        if self.directories and not is_directory:
            return False
        return self.expression.fullmatch(path if self.whole else path.rpartition(b"/")[2]) is not None


@dataclass(frozen=True)
class Rules:
    """The rules that hold in a tree: of the files called `name` in it, and of directories `above` it, by their paths.

    All paths are relative to the top of the rules, which may lie above the tree: that is `below` it then.
    """

    name: bytes = b""
    below: bytes = b""
    above: Mapping[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, top: bytes, name: bytes) -> Rules:
        """Those of a directory; if it is in a repository, with those above it."""
        parts: list[bytes] = []
        root = os.path.realpath(top)
        while not os.path.lexists(os.path.join(root, b".git")):
            if root == b"/":
                return cls(name)
            root, part = os.path.split(root)
            parts.insert(0, part)
        above = [b"/".join(parts[:depth]) for depth in range(len(parts))]
        return cls(name, b"/".join(parts), {path: _content(os.path.join(root, path, name)) for path in above})

    @classmethod
    def told(cls, text: str) -> Rules:
        """Those that `tell` told of."""
        name, below, above = json.loads(text)
        held = {bytes.fromhex(path): bytes.fromhex(rules) for path, rules in above.items()}
        return cls(bytes.fromhex(name), bytes.fromhex(below), held)

    def tell(self) -> str:
        """The rules as text, but for what is in the tree itself."""
        above = {path.hex(): rules.hex() for path, rules in self.above.items()}
        return json.dumps([self.name.hex(), self.below.hex(), above])

    def within(self, top: bytes) -> Judge:
        """What they come to in a tree."""
        return Judge(self, top)


class Judge:
    """Rules at work in one tree: each file of them is read once."""

    def __init__(self, rules: Rules, top: bytes) -> None:
        self._rules, self._top = rules, top
        self._patterns: dict[bytes, tuple[Pattern, ...]] = {}

    def ignores(self, path: bytes, is_directory: bool) -> bool:
        """Is an entry left out, of a directory that is not?"""
        whole = self._rules.below + b"/" + path if self._rules.below else path
        at = len(whole)
        while at >= 0:
            at = whole.rfind(b"/", 0, at)
            directory, rest = whole[: max(at, 0)], whole[at + 1 :]
            for pattern in reversed(self._of(directory)):
                if pattern.fits(rest, is_directory):
                    return not pattern.negated
        return False

    def walk(self, directory: bytes = b"") -> Iterator[tuple[bytes, os.DirEntry[bytes], bool]]:
        """Every entry below a directory: its path, what it is, whether it is left out. One that is, is not entered.

        A directory is told before it is entered. OSError for one that cannot be; one that went away is none.
        """
        waiting = [directory]
        while waiting:
            directory = waiting.pop()
            with (
                suppress(FileNotFoundError, NotADirectoryError),
                os.scandir(os.path.join(self._top, directory)) as entries,
            ):
                for entry in entries:
                    path = os.path.join(directory, entry.name)
                    is_directory = entry.is_dir(follow_symlinks=False)
                    ignored = self.ignores(path, is_directory)
                    yield path, entry, ignored
                    if is_directory and not ignored:
                        waiting.append(path)

    def left_out(self) -> Iterator[bytes]:
        """The topmost names that are left out."""
        return (path for path, _, ignored in self.walk() if ignored)

    def _of(self, directory: bytes) -> tuple[Pattern, ...]:
        if directory not in self._patterns:
            self._patterns[directory] = tuple(parse(self._text(directory)))
        return self._patterns[directory]

    def _text(self, directory: bytes) -> bytes:
        rules = self._rules
        if directory in rules.above or not rules.name:
            return rules.above.get(directory, b"")
        inside = directory[len(rules.below) :].removeprefix(b"/")
        return _content(os.path.join(self._top, inside, rules.name))


def _content(path: bytes) -> bytes:
    """Of a file, which like git's is no link; nothing where there is none."""
    try:
        descriptor = os.open(path, OPEN)
    except OSError:
        return b""
    try:
        return os.read(descriptor, MOST_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)


def parse(text: bytes) -> Iterator[Pattern]:
    """The patterns of a file; lines that can fit nothing are none."""
    for line in text.removeprefix(BYTE_ORDER_MARK).split(b"\n"):
        pattern = _pattern(line.removesuffix(b"\r"))
        if pattern:
            yield pattern


def _pattern(line: bytes) -> Pattern | None:
    if line.startswith(b"#"):
        return None
    text = _without_trailing_blanks(line)
    negated = text.startswith(b"!")
    text = text.removeprefix(b"!") if negated else text
    directories = text.endswith(b"/")
    text = text[:-1] if directories else text
    whole = b"/" in text
    expression = _expression(text.removeprefix(b"/"), whole=whole) if text else None
    return Pattern(expression, negated, directories, whole) if expression else None


def _without_trailing_blanks(line: bytes) -> bytes:
    """Blanks at the end do not count, unless a backslash stands before them."""
    kept = line.rstrip(BLANK)
    escapes = len(kept) - len(kept.rstrip(b"\\"))
    return kept + BLANK if escapes % 2 and len(kept) < len(line) else kept


def _expression(glob: bytes, *, whole: bool) -> re.Pattern[bytes] | None:
    """What a glob fits, None when nothing can: git's wildmatch, with `**` where a path is meant."""
    parts: list[bytes] = []
    at = 0
    while at < len(glob):
        char = glob[at : at + 1]
        if char == b"*":
            part, at = _stars(glob, at, whole=whole)
        elif char == b"[":
            found = _bracket(glob, at + 1)
            if found is None:
                return None
            part, at = found
        elif char == b"\\":
            if at + 1 == len(glob):
                return None
            part, at = re.escape(glob[at + 1 : at + 2]), at + 2
        else:
            part, at = b"[^/]" if char == b"?" else re.escape(char), at + 1
        parts.append(part)
    return re.compile(b"".join(parts), re.DOTALL)


def _stars(glob: bytes, at: int, *, whole: bool) -> tuple[bytes, int]:
    end = at
    while glob[end : end + 1] == b"*":
        end += 1
    # git compares what stands before the first of these by itself: what follows is to it where a glob begins
    begins = not SPECIAL.search(glob[:at]) or glob[at - 1 : at] == b"/"
    alone = end - at > 1 and whole and begins
    if alone and end == len(glob):
        return b".*", end
    if alone and glob[end : end + 1] == b"/":
        return b"(?:.*/)?", end + 1
    return b"[^/]*", end


def _bracket(glob: bytes, at: int) -> tuple[bytes, int] | None:
    """A set of characters from behind its bracket on, and where it ends; None when it does not, or is none."""
    negated = glob[at : at + 1] in (b"!", b"^")
    at += negated
    parts: list[bytes] = []
    first = True
    while first or glob[at : at + 1] != b"]":
        first = False
        found = _member(glob, at)
        if found is None:
            return None
        part, at = found
        parts.append(part)
    chosen = b"".join(parts)
    inside = b"[" + (b"^" if negated else b"") + chosen + b"]" if chosen else b"." if negated else b"(?!)"
    return b"(?!/)" + inside, at + 1


def _member(glob: bytes, at: int) -> tuple[bytes, int] | None:
    """One character of a set, a range of them, or a class by its name."""
    if glob[at : at + 2] == b"[:" and (end := glob.find(b"]", at + 3)) >= 0 and glob[end - 1 : end] == b":":
        name = glob[at + 2 : end - 1]
        return (CLASSES[name], end + 1) if name in CLASSES else None
    low, at = _literal(glob, at)
    if not low:
        return None
    if glob[at : at + 1] == b"-" and glob[at + 1 : at + 2] not in (b"]", b""):
        high, at = _literal(glob, at + 1)
        if not high:
            return None
        span = re.escape(low) + b"-" + re.escape(high)
        return (span if low <= high else re.escape(low)), at
    return re.escape(low), at


def _literal(glob: bytes, at: int) -> tuple[bytes, int]:
    """A character, perhaps behind a backslash, and where the next stands."""
    at += glob[at : at + 1] == b"\\"
    return glob[at : at + 1], at + 1


def main() -> None:
    """Print what is left out."""
    top, told = os.fsencode(sys.argv[1]), sys.argv[2]
    for name in Rules.told(told).within(top).left_out():
        sys.stdout.buffer.write(name + b"\0")


if __name__ == "__main__":
    main()
