"""What `diff` prints: files as a list, as git's --stat or a matrix of siblings; processes, ports,
connections, packages, memory.
"""

import shutil
import sys
from collections.abc import Iterable, Sequence
from functools import singledispatch

from msgspec.structs import asdict

from core.diff.entry import Aspect, DiffKind
from core.diff.meta import FileType
from core.diff.result import (
    ConnectionsDiff,
    Diff,
    FileDiff,
    FileState,
    GuestConnection,
    HeatMap,
    ListeningPort,
    PackagesDiff,
    PackageUpgrade,
    PortsDiff,
    ProcessesDiff,
    SiblingChange,
    Siblings,
)
from core.model import Process
from vertui.compare import heat
from vertui.output import Cell, Row, say_table, styled, warn
from vertui.patches import LineKind, patch_lines
from vertui.text import counted, printable, short, size

LETTERS = {
    DiffKind.ADDED: Cell("A", "green"),
    DiffKind.REMOVED: Cell("D", "red"),
    DiffKind.MODIFIED: Cell("M", "yellow"),
    DiffKind.RENAMED: Cell("R", "cyan"),
}
PATCH_STYLES = {
    LineKind.HEAD: "bold",
    LineKind.HUNK: "cyan",
    LineKind.ADDED: "green",
    LineKind.REMOVED: "red",
}
SHOWN_CHANGES = (
    Aspect.TYPE,
    Aspect.MODE,
    Aspect.OWNER,
    Aspect.TARGET,
    Aspect.FLAGS,
    Aspect.PROJECT,
)  # from → to
STAT_BAR = 40


def say_files(found: Diff) -> None:
    """A line a file, and how many there are."""
    if found.entries:
        say_table(("", "PATH", "CHANGE"), [_entry(entry) for entry in found.entries])
    counts = asdict(found.counts)
    print(", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "no file differs")


def say_names(found: Diff) -> None:
    """A path a line."""
    for entry in found.entries:
        print(printable(entry.path))


def say_stat(found: Diff) -> None:
    """Lines added and removed in each file, as git shows them."""
    entries = [entry for entry in found.entries if entry.lines or _has_content(entry)]
    most = max((sum(entry.lines) for entry in entries if entry.lines), default=0)
    room = min(STAT_BAR, max(10, shutil.get_terminal_size().columns // 3))
    say_table(("PATH", "LINES", ""), [_stat(entry, most, room) for entry in entries])
    added, removed = (sum(entry.lines[side] for entry in entries if entry.lines) for side in (0, 1))
    print(
        f"{counted(len(entries), 'file')} changed, {counted(added, 'insertion')}(+), {counted(removed, 'deletion')}(-)"
    )


def _has_content(entry: FileDiff) -> bool:
    """Does it change a file's bytes, though they are no lines?"""
    ends = [side for side in (entry.before, entry.after) if side]
    return Aspect.CONTENT in entry.what or (len(ends) == 1 and ends[0].type is FileType.FILE)


def _stat(entry: FileDiff, most: int, room: int) -> Row:
    if not entry.lines:
        before, after = (side.size if side else 0 for side in (entry.before, entry.after))
        return (_name(entry), "", f"{size(before)} → {size(after)}")
    added, removed = entry.lines
    scale = min(1.0, room / most) if most else 0.0
    bars = (("+", added), ("-", removed))
    return (
        _name(entry),
        str(added + removed),
        "".join(sign * -int(-count * scale // 1) for sign, count in bars),
    )


def say_matrix(found: Siblings, base: str = "") -> None:
    """A row a path, a column a sibling; equal letters in a row are the same change. Then what limits it."""
    rows: list[Row] = [(printable(row.path), *map(_cell, row.cells)) for row in found.rows]
    if rows:
        say_table(("PATH", *found.refs), rows)
    alike = sum(_all_alike(row.cells) for row in found.rows)
    differ = "file differs" if len(rows) == 1 else "files differ"
    print(f"{len(rows)} {differ} from {base or short(found.base)} in some, {alike} in all in the same way")
    _warn(found.notes)


def _cell(cell: SiblingChange | None) -> Cell:
    if cell is None:
        return Cell("·", "dim")
    letter = LETTERS[cell.kind]
    return Cell(f"{letter.text} {cell.change}", letter.style)


def _all_alike(cells: Sequence[SiblingChange | None]) -> bool:
    return len({cell.change if cell else None for cell in cells}) == 1


def say_more(found: Diff) -> None:
    """What was asked for beside files, and what limits the comparison."""
    parts = (found.processes, found.ports, found.connections, found.packages, found.memory)
    for part in filter(None, parts):
        print()
        _say_part(part)
    _warn(found.notes)


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        warn(printable(note))


@singledispatch
def _say_part(found: object) -> None:
    raise TypeError(f"no part of a diff: {found!r}")


@_say_part.register
def _(found: ProcessesDiff) -> None:
    rows = [_process(LETTERS[DiffKind.ADDED], process) for process in found.started]
    rows += [_process(LETTERS[DiffKind.REMOVED], process) for process in found.ended]
    _say(("", "PID", "USER", "MEMORY", "COMMAND"), rows, "no process started or ended")


def _process(letter: Cell, process: Process) -> Row:
    texts = (printable(process.user), size(process.rss_bytes), printable(process.command))
    return (letter, str(process.pid), *texts)


@_say_part.register
def _(found: PortsDiff) -> None:
    rows = [_port(LETTERS[DiffKind.ADDED], port) for port in found.opened]
    rows += [_port(LETTERS[DiffKind.REMOVED], port) for port in found.closed]
    _say(("", "PROTOCOL", "ADDRESS", "PORT", "COMMAND"), rows, "no port opened or closed")


def _port(letter: Cell, port: ListeningPort) -> Row:
    return (letter, port.protocol, printable(port.address), str(port.port), printable(port.command))


@_say_part.register
def _(found: ConnectionsDiff) -> None:
    rows = [_connection(LETTERS[DiffKind.ADDED], one) for one in found.opened]
    rows += [_connection(LETTERS[DiffKind.REMOVED], one) for one in found.closed]
    _say(("", "PROTOCOL", "HERE", "THERE", "COMMAND"), rows, "no connection opened or closed")


def _connection(letter: Cell, one: GuestConnection) -> Row:
    here, there = f"{one.address}:{one.port}", f"{one.peer}:{one.peer_port}"
    return (letter, one.protocol, printable(here), printable(there), printable(one.command))


@_say_part.register
def _(found: PackagesDiff) -> None:
    rows: list[Row] = [
        (LETTERS[kind], printable(package.name), printable(package.version))
        for kind, packages in ((DiffKind.ADDED, found.added), (DiffKind.REMOVED, found.removed))
        for package in packages
    ]
    rows += [
        (LETTERS[DiffKind.MODIFIED], printable(package.name), _versions(package)) for package in found.changed
    ]
    _say(("", "PACKAGE", "VERSION"), rows, "no package differs")


def _versions(package: PackageUpgrade) -> str:
    return f"{printable(package.before)} → {printable(package.after)}"


def _say(header: tuple[str, ...], rows: Iterable[Row], nothing: str) -> None:
    rows = list(rows)
    if rows:
        say_table(header, rows)
    else:
        print(nothing)


@_say_part.register
def _(found: HeatMap) -> None:
    """The heat map: one character a region, addresses rising from left to right."""
    print(f"memory: {heat.said(found)}")
    for address, row in heat.rows(found):
        print(f"{address:#012x} |{row}|")


def say_patch(data: bytes) -> None:
    """As it is into a pipe, so that it can be applied; made safe and coloured on a terminal."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    for part, line in patch_lines(data):
        print(styled(line, PATCH_STYLES.get(part, "")))


def _entry(entry: FileDiff) -> Row:
    return (LETTERS[entry.kind], _name(entry), ", ".join(changes(entry)))


def _name(entry: FileDiff) -> str:
    state = entry.after or entry.before
    is_directory = state is not None and state.type is FileType.DIRECTORY
    name = printable(entry.path) + ("/" if is_directory else "")
    return name if entry.source is None else f"{printable(entry.source)} → {name}"


def changes(entry: FileDiff) -> list[str]:
    """What a line says beside the path: sizes, mode, owner, type and target, old → new where they changed."""
    before, after = entry.before, entry.after
    if before is None or after is None:
        return [_facts(state) for state in (before, after) if state]
    said = []
    if Aspect.CONTENT in entry.what or Aspect.SIZE in entry.what:
        is_as_long = before.size == after.size
        said.append(
            f"content, {size(after.size)}" if is_as_long else f"{size(before.size)} → {size(after.size)}"
        )
    for change in SHOWN_CHANGES:
        if change in entry.what:
            said.append(f"{change} {_value(before, change)} → {_value(after, change)}")
    said += [change for change in entry.what if change in (Aspect.DEVICE, Aspect.XATTR)]
    return said or ["time" for change in entry.what if change is Aspect.MTIME]


def _facts(state: FileState) -> str:
    if state.type is FileType.FILE:
        return size(state.size) + (f", {state.links} links" if state.links > 1 else "")
    if state.device:
        return "{} {}:{}".format(state.type, *state.device)
    return f"→ {printable(state.target)}" if state.target else str(state.type)


def _value(state: FileState, change: Aspect) -> str:
    value = getattr(state, change)
    return "-" if value is None else printable(str(value))
