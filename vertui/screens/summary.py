"""What is said of a comparison before a file is looked at: how much differs, where most, and what is no file."""

from collections.abc import Iterable, Iterator
from heapq import nlargest

from msgspec.structs import asdict
from rich.text import Text

from core.diff.entry import Aspect, DiffKind
from core.diff.result import (
    ConnectionsDiff,
    Diff,
    FileDiff,
    HeatMap,
    PackagesDiff,
    PortsDiff,
    ProcessesDiff,
)
from vertui import theme
from vertui.compare import heat
from vertui.compare.folders import NOISE, Folders, Node, Totals
from vertui.text import counted, printable, size

MOST_NAMED = 12  # of what changed most
MOST_LISTED = 30  # of packages, ports, connections and processes each
BAR = 10  # signs of the longest
MARKS = {
    DiffKind.ADDED: ("+", theme.GREEN),
    DiffKind.REMOVED: ("-", theme.RED),
    DiffKind.MODIFIED: ("~", theme.GOLD),
    DiffKind.RENAMED: ("→", theme.BLUE),
}
FACTS = (
    Aspect.TYPE, Aspect.MODE, Aspect.OWNER, Aspect.TARGET, Aspect.SIZE, Aspect.DEVICE, Aspect.FLAGS, Aspect.PROJECT,
)  # fmt: skip


def mark(entry: FileDiff) -> Text:
    """The sign of what became of it."""
    sign, colour = MARKS[entry.kind]
    return Text(f"{sign} ", style=f"bold {colour}")


def count(entry: FileDiff) -> Totals:
    """What one file adds to the folders it is in."""
    lines = entry.lines if isinstance(entry.lines, tuple) else (0, 0)
    before, after = (side.size if side else 0 for side in (entry.before, entry.after))
    return Totals(1, *lines, after - before)


def churn(node: Node[FileDiff], most: int) -> Text:
    """Lines added and removed as numbers and a bar, or the sizes of what has no lines."""
    totals, text = node.totals, Text()
    if node.is_folder:
        text.append(f"{counted(totals.files, 'file')}  ", theme.MUTED)
    if not totals.added and not totals.removed:
        return text.append(_sizes(node), theme.MUTED)
    for sign, number, colour in (("+", totals.added, theme.GREEN), ("-", totals.removed, theme.RED)):
        if number:
            text.append(f"{sign}{number} ", colour)
    added, removed = _bar(totals, most)
    return (
        text.append("+" * added, theme.GREEN)
        .append("-" * removed, theme.RED)
        .append(" " * (BAR - added - removed))
    )


def _bar(totals: Totals, most: int) -> tuple[int, int]:
    """How many signs of each: the whole by its logarithm, so that small changes are seen beside large ones."""
    whole = totals.added + totals.removed
    length = max(1, min(BAR, round(BAR * whole.bit_length() / max(1, most.bit_length()))))
    if totals.added and totals.removed:
        length = max(2, length)
        added = min(length - 1, max(1, round(length * totals.added / whole)))
        return added, length - added
    return (length, 0) if totals.added else (0, length)


def _sizes(node: Node[FileDiff]) -> str:
    if node.item is None or node.is_folder:
        grown = node.totals.grown
        return f"{'+' if grown > 0 else '-'}{size(abs(grown))}" if grown else ""
    return " → ".join(size(side.size) for side in (node.item.before, node.item.after) if side)


def summary(diff: Diff, tree: Folders[FileDiff], uncounted: str) -> list[Text]:
    """All of a comparison, before anything of it is looked at. `uncounted` is why lines are not told."""
    lines = [Text.assemble((f"{printable(diff.a)} → {printable(diff.b)}", f"bold {theme.BRIGHT}")), Text()]
    kinds = " · ".join(f"{number} {kind}" for kind, number in asdict(diff.counts).items() if number)
    lines.append(Text(kinds or "no file differs", style=theme.TEXT))
    lines += totals(tree.nodes[0])
    if uncounted:
        lines.append(Text(printable(uncounted), style=theme.MUTED))
    if tree.noise is not None:
        told = (
            f"{counted(tree.noise.totals.files, 'file')} of these are noise, folded at the end: ! is the list"
        )
        lines.append(Text(told, style=theme.GOLD))
    lines += _most_changed(tree, tree.nodes[0])
    for part in (diff.packages, diff.ports, diff.connections, diff.processes):
        lines += _beside(part)
    return lines + (_heat(diff.memory) if diff.memory else [])


def _heat(found: HeatMap) -> list[Text]:
    """Where pages of memory differ."""
    rows = [
        Text.assemble((f"{address >> 20:>6}M ", theme.FAINT), (row.rstrip(), theme.GOLD))
        for address, row in heat.rows(found)
    ]
    return [Text(), Text(f"memory  {heat.said(found)}", style=theme.MUTED), *rows]


def of_folder(node: Node[FileDiff], tree: Folders[FileDiff]) -> list[Text]:
    """What is below one folder."""
    lines = facts(node.item) if node.item else []
    if node.path == NOISE:
        lines += [
            Text.assemble((f"{number:>7} ", theme.MUTED), (glob, theme.TEXT))
            for glob, number in tree.rules.items()
        ]
    return [*lines, *totals(node), *_most_changed(tree, node)]


def totals(node: Node[FileDiff]) -> list[Text]:
    """How much there is at or below a row."""
    totals = node.totals
    told = Text(counted(totals.files, "file"), style=theme.TEXT)
    if totals.added or totals.removed:
        told.append(f"   +{totals.added}", theme.GREEN).append(f" -{totals.removed}", theme.RED).append(
            " lines"
        )
    if totals.grown:
        told.append(f"   {'+' if totals.grown > 0 else '-'}{size(abs(totals.grown))}", theme.MUTED)
    return [told] if totals.files else []


def _most_changed(tree: Folders[FileDiff], top: Node[FileDiff]) -> list[Text]:
    def weight(node: Node[FileDiff]) -> tuple[int, int]:
        return node.totals.added + node.totals.removed, abs(node.totals.grown)

    found = nlargest(
        MOST_NAMED,
        (node for node in tree.files(top) if not node.is_folder and node.noise <= top.noise),
        weight,
    )
    if not found:
        return []
    most = max(node.totals.added + node.totals.removed for node in found)
    lines = [Text(), Text("most changed", style=theme.MUTED)]
    for node in found:
        assert node.item is not None
        row = churn(node, most)
        row.pad_right(max(0, 26 - row.cell_len))
        lines.append(Text.assemble("  ", mark(node.item), row, (printable(node.path), theme.TEXT)))
    return lines


Beside = PackagesDiff | PortsDiff | ConnectionsDiff | ProcessesDiff


def _beside(part: Beside | None) -> list[Text]:
    if part is None:
        return []
    title, rows = _listed(part)
    if not rows:
        return []
    more = (
        [Text(f"  and {len(rows) - MOST_LISTED} more", style=theme.MUTED)] if len(rows) > MOST_LISTED else []
    )
    shown = [
        Text.assemble((f"  {MARKS[kind][0]} ", f"bold {MARKS[kind][1]}"), (printable(told), theme.TEXT))
        for kind, told in rows[:MOST_LISTED]
    ]
    return [Text(), Text(title, style=theme.MUTED), *shown, *more]


def _listed(part: Beside) -> tuple[str, list[tuple[DiffKind, str]]]:
    added, removed, changed = DiffKind.ADDED, DiffKind.REMOVED, DiffKind.MODIFIED
    if isinstance(part, PackagesDiff):
        rows = [(added, f"{one.name} {one.version}") for one in part.added]
        rows += [(removed, f"{one.name} {one.version}") for one in part.removed]
        return "packages", rows + [
            (changed, f"{one.name} {one.before} → {one.after}") for one in part.changed
        ]
    if isinstance(part, PortsDiff):
        both = ((added, part.opened), (removed, part.closed))
        return "ports", [
            (kind, f"{one.protocol} {one.address} {one.port} {one.command}")
            for kind, ports in both
            for one in ports
        ]
    if isinstance(part, ConnectionsDiff):
        ends = ((added, part.opened), (removed, part.closed))
        return "connections", [
            (kind, f"{one.protocol} {one.address}:{one.port} ↔ {one.peer}:{one.peer_port} {one.command}")
            for kind, connections in ends
            for one in connections
        ]
    processes = ((added, part.started), (removed, part.ended))
    return "processes", [
        (kind, f"{one.pid} {one.user} {one.command}") for kind, some in processes for one in some
    ]


def facts(entry: FileDiff) -> list[Text]:
    """What changed besides the text."""
    lines = [Text(printable(f"{entry.kind}  {', '.join(entry.what)}"), style=theme.MUTED)]
    if entry.source is not None:
        lines.append(Text(f"was {printable(entry.source)}", style=theme.BLUE))
    for fact, values in _changed_facts(entry):
        lines.append(
            Text.assemble((f"{fact:<7}", theme.MUTED), (" → ".join(map(printable, values)), theme.TEXT))
        )
    return lines


def _changed_facts(entry: FileDiff) -> Iterator[tuple[str, Iterable[str]]]:
    for fact in FACTS:
        values = [side and getattr(side, fact) for side in (entry.before, entry.after)]
        if values[0] != values[1]:
            yield fact, [str(value) for value in values if value is not None]
    before, after = ((side and side.xattrs) or {} for side in (entry.before, entry.after))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield "xattr", [f"{name}={one[name]}" if name in one else f"no {name}" for one in (before, after)]
