"""Files: copy them in and out, and see what differs between two states."""

import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from core.daemon.client import Client, JsonObject
from core.errors import NotFound
from vertui.commands.options import Json, new_app
from vertui.output import Cell, Row, say_json, say_table, styled, warn
from vertui.session import connect
from vertui.text import printable, size
from vertui.transfer import Copier, parse

app = new_app()

LETTERS = {
    "added": Cell("A", "green"),
    "removed": Cell("D", "red"),
    "modified": Cell("M", "yellow"),
    "renamed": Cell("R", "cyan"),
}
PATCH_STYLES = {"+": "green", "-": "red", "@": "cyan"}
REDRAW_S = 0.1
SKIPPED_SHOWN = 10

Ref = Annotated[str, typer.Argument(metavar="A", help="Any REF: the state before.", show_default=False)]


@app.command()
def cp(
    source: Annotated[str, typer.Argument(metavar="SRC", help="PATH or BRANCH:PATH.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="DST", help="PATH or BRANCH:PATH.", show_default=False)],
) -> None:
    """Copy a file or a tree into a branch, out of it, or from one branch to another.

    Into a directory that exists, else to the name given; SRC/. copies what is in a directory. A relative path in a
    branch starts at root's home. Devices, and links that would lead out of a copy to this machine, are left out
    and named, and the exit status is 1 then.

    \b
    Examples:
      vertui cp project main:/root
      vertui cp b2:/root/project/report.txt .
      vertui cp b1:/srv/data b2:/srv
    """
    meter = _Meter()
    try:
        copied, final = Copier(connect(), meter).copy(parse(source), parse(target))
    finally:
        meter.clear()
    if copied is None:
        print(f"copied to {final}")
        return
    print(f"copied {copied.files} files, {size(copied.size_bytes)}, to {final}")
    for name in copied.skipped[:SKIPPED_SHOWN]:
        warn(f"left out {printable(name)}: a device, or a link that leads out")
    if copied.skipped:
        warn(f"{len(copied.skipped)} left out in all")
        raise typer.Exit(1)


@app.command()
def diff(
    a: Ref,
    b: Annotated[
        str | None,
        typer.Argument(metavar="B", help="The state after. Without it: A since the commit it comes from."),
    ] = None,
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="Only this file, or what is below it.")
    ] = None,
    patch: Annotated[bool, typer.Option("--patch", "-p", help="Print a unified text diff.")] = False,
    json: Json = False,
) -> None:
    """List the files that differ from A to B: A added, D removed, M modified, R renamed.

    With one REF: a branch since the commit it was forked from, a commit since its parent.

    \b
    Examples:
      vertui diff b1
      vertui diff main b2 --patch
      vertui diff b1 b2 /root/project
    """
    client = connect()
    before, after = (a, b) if b is not None else (origin(client, a), a)
    if patch:
        _say_patch(client.patch(before, after, path))
        return
    found = _below(client.diff(before, after), path)
    if json:
        say_json(found)
    else:
        _say_diff(found)


def origin(client: Client, ref: str) -> str:
    """The REF that `diff REF` compares with: a branch's fork point or image, a commit's parent."""
    tree = client.tree()
    name = tree.trunk if ref == "@trunk" else ref
    for branch in tree.branches:
        if branch.name == name and branch.parent:
            return branch.parent
        if branch.name == name:
            for image in tree.images:
                if branch.image in (image.id, image.name):
                    return image.golden
            raise NotFound(f"{name} comes from no commit that is still here: name two REFs")
    base, tilde, steps = ref.rpartition("~")
    return f"{base}~{int(steps) + 1}" if tilde and steps.isdigit() else f"{ref}~1"


def _below(found: JsonObject, path: str | None) -> JsonObject:
    if path is None:
        return found
    root = "/" + path.strip("/")
    kept = [
        entry
        for entry in found["entries"]
        if any(
            name == root or name.startswith(root.rstrip("/") + "/")
            for name in ("/" + str(entry[key]).lstrip("/") for key in ("path", "from") if key in entry)
        )
    ]
    counts = {kind: sum(entry["kind"] == kind for entry in kept) for kind in LETTERS}
    return found | {"entries": kept, "counts": counts}


def _say_diff(found: JsonObject) -> None:
    entries = found["entries"]
    if entries:
        say_table(("", "PATH", "CHANGE"), [_entry(entry) for entry in entries])
    counts = found["counts"]
    print(", ".join(f"{counts[kind]} {kind}" for kind in LETTERS if counts[kind]) or "no file differs")
    for note in found.get("notes", ()):
        warn(printable(str(note)))


def _entry(entry: JsonObject) -> Row:
    meta = entry["after"] or entry["before"]
    name = printable(entry["path"]) + ("/" if meta["type"] == "directory" else "")
    if "from" in entry:
        name = f"{printable(entry['from'])} → {name}"
    return (LETTERS[entry["kind"]], name, ", ".join(_changes(entry)))


def _changes(entry: JsonObject) -> list[str]:
    """What a line says beside the path: sizes, mode, owner, type and target, old → new where they changed."""
    before, after, what = entry["before"], entry["after"], entry["what"]
    if before is None or after is None:
        return [_facts(after or before)]
    changes = []
    if "content" in what or "size" in what:
        same = before["size"] == after["size"]
        changes.append(f"content, {size(after['size'])}" if same else _arrow(before, after, "size", size))
    if "type" in what:
        changes.append(f"type {_arrow(before, after, 'type')}")
    if "mode" in what:
        changes.append(f"mode {_arrow(before, after, 'mode')}")
    if "owner" in what:
        changes.append(f"owner {_owner(before)} → {_owner(after)}")
    if "target" in what:
        changes.append(f"target {_arrow(before, after, 'target')}")
    return changes + [change for change in what if change in ("device", "xattr")]


def _facts(meta: JsonObject) -> str:
    if meta["type"] == "file":
        return size(meta["size"])
    return f"→ {printable(meta['target'])}" if meta.get("target") else str(meta["type"])


def _owner(meta: JsonObject) -> str:
    return f"{meta['uid']}:{meta['gid']}"


def _arrow(
    before: JsonObject,
    after: JsonObject,
    key: str,
    show: Callable[[Any], str] = lambda value: printable(str(value)),
) -> str:
    return f"{show(before.get(key))} → {show(after.get(key))}"


def _say_patch(data: bytes) -> None:
    """As it is into a pipe, so that it can be applied; made safe and coloured on a terminal."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    for line in data.decode(errors="backslashreplace").splitlines():
        safe = "\t".join(printable(part) for part in line.split("\t"))
        heading = safe.startswith(("+++ ", "--- ", "diff "))
        print(styled(safe, "bold" if heading else PATCH_STYLES.get(safe[:1], "")))


class _Meter:
    """Bytes copied so far, redrawn on a terminal and silent elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._total = 0
        self._drawn = 0.0

    def __call__(self, count: int) -> None:
        """Hear of a block."""
        self._total += count
        if self._shown and time.monotonic() - self._drawn > REDRAW_S:
            self._drawn = time.monotonic()
            print(f"\r\x1b[K{size(self._total)}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line empty for what follows."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
