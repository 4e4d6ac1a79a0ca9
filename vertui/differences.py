"""What `diff` prints: files as a list, as git's --stat or a matrix of siblings; processes, ports, packages, memory."""

import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Any

from core.daemon.client import JsonObject
from vertui.output import Cell, Row, say_table, styled, warn
from vertui.patches import LineKind, patch_lines
from vertui.text import printable, size

LETTERS = {
    "added": Cell("A", "green"),
    "removed": Cell("D", "red"),
    "modified": Cell("M", "yellow"),
    "renamed": Cell("R", "cyan"),
}
PATCH_STYLES = {
    LineKind.HEAD: "bold",
    LineKind.HUNK: "cyan",
    LineKind.ADDED: "green",
    LineKind.REMOVED: "red",
}
HEAT = " ░▒▓█"  # from no page of a region changed to most
STAT_BAR = 40


def say_files(found: JsonObject) -> None:
    """A line a file, and how many there are."""
    if found["entries"]:
        say_table(("", "PATH", "CHANGE"), [_entry(entry) for entry in found["entries"]])
    counts = found["counts"]
    print(", ".join(f"{counts[kind]} {kind}" for kind in LETTERS if counts[kind]) or "no file differs")


def say_names(found: JsonObject) -> None:
    """A path a line."""
    for entry in found["entries"]:
        print(printable(entry["path"]))


def say_stat(found: JsonObject) -> None:
    """Lines added and removed in each file, as git shows them."""
    entries = [entry for entry in found["entries"] if entry["lines"] is not None or _has_content(entry)]
    most = max((sum(entry["lines"]) for entry in entries if entry["lines"]), default=0)
    room = min(STAT_BAR, max(10, shutil.get_terminal_size().columns // 3))
    say_table(("PATH", "LINES", ""), [_stat(entry, most, room) for entry in entries])
    added, removed = (sum(entry["lines"][side] for entry in entries if entry["lines"]) for side in (0, 1))
    print(
        f"{_count(len(entries), 'file')} changed, {_count(added, 'insertion')}(+), {_count(removed, 'deletion')}(-)"
    )


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _has_content(entry: JsonObject) -> bool:
    """Does it change a file's bytes, though they are no lines?"""
    ends = [meta for meta in (entry["before"], entry["after"]) if meta]
    return "content" in entry["what"] or (len(ends) == 1 and ends[0]["type"] == "file")


def _stat(entry: JsonObject, most: int, room: int) -> Row:
    if entry["lines"] is None:
        before, after = (meta["size"] if meta else 0 for meta in (entry["before"], entry["after"]))
        return (_name(entry), "", f"{size(before)} → {size(after)}")
    added, removed = entry["lines"]
    scale = min(1.0, room / most) if most else 0.0
    bars = (("+", added), ("-", removed))
    return (
        _name(entry),
        str(added + removed),
        "".join(sign * -int(-count * scale // 1) for sign, count in bars),
    )


def say_matrix(found: JsonObject) -> None:
    """A row a path, a column a sibling; equal letters in a row are the same change."""
    refs = found["refs"]
    rows: list[Row] = [(printable(row["path"]), *map(_cell, row["cells"])) for row in found["rows"]]
    if rows:
        say_table(("PATH", *refs), rows)
    alike = sum(_all_alike(row["cells"]) for row in found["rows"])
    print(f"{len(rows)} files differ from {found['base'][:8]} in some, {alike} in all in the same way")


def _cell(cell: JsonObject | None) -> Cell:
    if cell is None:
        return Cell("·", "dim")
    letter = LETTERS[cell["kind"]]
    return Cell(f"{letter.text} {cell['change']}", letter.style)


def _all_alike(cells: list[JsonObject | None]) -> bool:
    return len({cell["change"] if cell else None for cell in cells}) == 1


def say_more(found: JsonObject) -> None:
    """What was asked for beside files."""
    for key, say in (
        ("processes", _processes),
        ("ports", _ports),
        ("packages", _packages),
        ("memory", _memory),
    ):
        if key in found:
            print()
            say(found[key])


def say_notes(found: JsonObject) -> None:
    """What limits a comparison, on standard error."""
    for note in found["notes"]:
        warn(printable(str(note)))


def _processes(found: JsonObject) -> None:
    rows = [_process(LETTERS["added"], process) for process in found["started"]]
    rows += [_process(LETTERS["removed"], process) for process in found["ended"]]
    _say(("", "PID", "USER", "MEMORY", "COMMAND"), rows, "no process started or ended")


def _process(letter: Cell, process: JsonObject) -> Row:
    texts = (printable(process["user"]), size(process["rss_bytes"]), printable(process["command"]))
    return (letter, str(process["pid"]), *texts)


def _ports(found: JsonObject) -> None:
    rows = [_port(LETTERS["added"], port) for port in found["opened"]]
    rows += [_port(LETTERS["removed"], port) for port in found["closed"]]
    _say(("", "PROTOCOL", "ADDRESS", "PORT", "COMMAND"), rows, "no port opened or closed")


def _port(letter: Cell, port: JsonObject) -> Row:
    texts = (printable(port["address"]), str(port["port"]), printable(port["command"]))
    return (letter, port["protocol"], *texts)


def _packages(found: JsonObject) -> None:
    rows: list[Row] = [
        (LETTERS[key], printable(package["name"]), printable(package["version"]))
        for key in ("added", "removed")
        for package in found[key]
    ]
    rows += [
        (LETTERS["modified"], printable(package["name"]), _versions(package)) for package in found["changed"]
    ]
    _say(("", "PACKAGE", "VERSION"), rows, "no package differs")


def _versions(package: JsonObject) -> str:
    return f"{printable(package['before'])} → {printable(package['after'])}"


def _say(header: tuple[str, ...], rows: Iterable[Row], nothing: str) -> None:
    rows = list(rows)
    if rows:
        say_table(header, rows)
    else:
        print(nothing)


def _memory(found: JsonObject) -> None:
    """The heat map: one character a region, addresses rising from left to right."""
    page, columns, cells = found["page_bytes"], found["columns"], found["cells"]
    changed, region = found["changed_pages"] * page, found["cell_pages"] * page
    print(f"memory: {size(changed)} of {size(found['pages'] * page)} differ; a character is {size(region)}")
    for start in range(0, len(cells), columns):
        row = cells[start : start + columns]
        heat = "".join(HEAT[-(-count * (len(HEAT) - 1) // found["cell_pages"])] for count in row)
        print(f"{start * region:#012x} |{heat}|")


def say_patch(data: bytes) -> None:
    """As it is into a pipe, so that it can be applied; made safe and coloured on a terminal."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    for part, line in patch_lines(data):
        print(styled(line, PATCH_STYLES.get(part, "")))


def _entry(entry: JsonObject) -> Row:
    return (LETTERS[entry["kind"]], _name(entry), ", ".join(changes(entry)))


def _name(entry: JsonObject) -> str:
    meta = entry["after"] or entry["before"]
    name = printable(entry["path"]) + ("/" if meta["type"] == "directory" else "")
    return f"{printable(entry['from'])} → {name}" if "from" in entry else name


def changes(entry: JsonObject) -> list[str]:
    """What a line says beside the path: sizes, mode, owner, type and target, old → new where they changed."""
    before, after, what = entry["before"], entry["after"], entry["what"]
    if before is None or after is None:
        return [_facts(after or before)]
    said = []
    if "content" in what or "size" in what:
        same = before["size"] == after["size"]
        said.append(f"content, {size(after['size'])}" if same else _arrow(before, after, "size", size))
    if "type" in what:
        said.append(f"type {_arrow(before, after, 'type')}")
    if "mode" in what:
        said.append(f"mode {_arrow(before, after, 'mode')}")
    if "owner" in what:
        said.append(f"owner {_owner(before)} → {_owner(after)}")
    if "target" in what:
        said.append(f"target {_arrow(before, after, 'target')}")
    said += [f"{key} {_arrow(before, after, key)}" for key in ("flags", "project") if key in what]
    said += [change for change in what if change in ("device", "xattr")]
    return said or ["time" for change in what if change == "mtime"]


def _facts(meta: JsonObject) -> str:
    if meta["type"] == "file":
        return size(meta["size"]) + (f", {meta['links']} links" if meta["links"] > 1 else "")
    if meta.get("device"):
        return "{} {}:{}".format(meta["type"], *meta["device"])
    return f"→ {printable(meta['target'])}" if meta.get("target") else str(meta["type"])


def _owner(meta: JsonObject) -> str:
    return f"{meta['uid']}:{meta['gid']}"


def _arrow(
    before: JsonObject,
    after: JsonObject,
    key: str,
    show: Callable[[Any], str] = lambda value: printable(str(value)),
) -> str:
    return f"{show(before.get(key, '-'))} → {show(after.get(key, '-'))}"
