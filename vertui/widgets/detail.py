"""Everything known about one node, as lines: a pure function of the model and the width."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.text import Text

from core.inward import PortProtocol, PublishedPort
from core.model import Branch, Command, Commit, Origin, Process, Tree
from core.ports import guest_side, leading_to, place, url
from core.reach import Attempt, Reach, ReachMode, Traffic, in_words, spelled
from vertui import theme
from vertui.actions import BY_ID
from vertui.lanes import BRANCH_MARKS, COMMIT_MARKS
from vertui.plain import cut, cut_each
from vertui.selection import Node
from vertui.text import age, counted, left_of, millis, number, printable, short, size

TWO_COLUMNS = 60  # from this width facts stand in two columns
MOST_PROCESSES = 40
KEY_WIDTH = 11


def detail(
    tree: Tree, node: Node | None, commands: Sequence[Command], processes: Sequence[Process], width: int
) -> list[Text]:
    """The lines that describe `node`."""
    if node is None:
        return [Text("nothing is selected", style=theme.MUTED)]
    if isinstance(node, Commit):
        return _commit(tree, node, width)
    return [
        *_branch(tree, node, width),
        *cut_each(_commands(commands), width),
        *cut_each(_processes(processes), width),
    ]


def _branch(tree: Tree, branch: Branch, width: int) -> Iterable[Text]:
    head = next((commit for commit in reversed(tree.commits) if commit.id == branch.head), None)
    yield _title(BRANCH_MARKS[branch.state].glyph, branch, branch.name, str(branch.state), branch.reason)
    if branch.trunk:
        yield Text("★ the trunk: what @trunk means", style=theme.GOLD)
    if branch.score is not None:
        yield Text.assemble(
            ("score ", theme.MUTED),
            (number(branch.score), f"bold {theme.BRIGHT}"),
            ("  " + printable(branch.note), theme.TEXT),
        )
    yield Text()
    facts = {
        "address": branch.address,
        "memory": size(branch.memory_bytes) if branch.memory_bytes else "",
        "namespace": branch.namespace,
        "changed": f"{size(branch.changed_bytes)} over its image" if branch.changed_bytes else "",
        "tap": branch.tap,
        "disk": f"{size(branch.disk_bytes)} written" if branch.disk_bytes else "",
        "pid": str(branch.pid) if branch.pid else "",
        "processor": f"{branch.cpu_percent} % of a core" if branch.cpu_percent else "",
        "uptime": age(branch.uptime_s) if branch.uptime_s else "",
        "egress": egress(branch.egress, branch.traffic),
        "linked with": " ".join(branch.links),
        "traffic": f"{size(branch.traffic.bytes)} out and in" if branch.traffic.bytes else "",
        "head": short(branch.head) + (f" {head.message}" if head and head.message else ""),
        "forked from": " at ".join(
            part for part in (branch.parent_branch, short(branch.parent or "")) if part
        ),
        "image": _image(tree, branch.image),
        "born": _moment(branch.created),
        "suspended": f"when idle for {branch.idle_s} s" if branch.idle_s else "",
    }
    yield from _facts(facts, width)
    if branch.crash:
        yield from cut_each([_fact("crash disk", left_of(branch))], width)
    yield from cut_each(refused(branch.refused), width)
    yield from cut_each(_ports([*leading_to(branch.name, tree.trunk, tree.ports)]), width)


def _ports(ports: Sequence[PublishedPort]) -> Iterable[Text]:
    """Where each is reached, and why one is not."""
    if ports:
        yield from (Text(), Text("published ports", style=f"bold {theme.MUTED}"))
    for port in ports:
        at = url(port) if port.protocol is PortProtocol.TCP else place(port)
        line = Text.assemble((f"{guest_side(port):>9} ", theme.FAINT), (at, theme.TEXT))
        if port.branch.startswith("@"):
            line.append(f"  {port.branch}", theme.GOLD)
        yield line
        if port.reason:
            yield Text(f"{'':>9} {printable(port.reason)}", style=theme.RED)


def egress(reach: Reach, traffic: Traffic) -> str:
    """What may be reached outside, and what was tried that may not; nothing where nobody cares."""
    tried = f"{traffic.refused} refused" if traffic.refused else ""
    if reach.mode is ReachMode.OFF and not tried:
        return ""
    return ", ".join(part for part in (in_words(reach), tried) if part)


def refused(one: Attempt | None) -> Iterable[Text]:
    """What a branch was refused last, who tried, and the keys that let it."""
    if one is not None:
        by = f", tried by {one.process}" if one.process else ""
        yield _fact("refused", spelled(one.to) + by)
        lets, for_all = BY_ID["let"].key_label, BY_ID["let_siblings"].key_label
        yield Text(
            f"{'':<{KEY_WIDTH}} {lets} lets it, {for_all} for all branches of its fork", style=theme.GOLD
        )


def _commit(tree: Tree, commit: Commit, width: int) -> list[Text]:
    reason = "" if commit.quiesced else "unquiesced: restorable, not forkable"
    if commit.origin is Origin.FOREIGN:
        reason = f"foreign: `vertui fork {short(commit.id)} --trust` starts it"
    lines = [_title(COMMIT_MARKS[commit.state].glyph, commit, short(commit.id), str(commit.state), reason)]
    if commit.message:
        lines.append(Text(printable(commit.message), style=theme.TEXT))
    children = [child for child in tree.commits if commit.id in child.parents]
    here = [branch.name for branch in tree.branches if branch.head == commit.id]
    facts = {
        "branch": commit.branch,
        "taken": _moment(commit.created),
        "changed": counted(commit.changed_pages, "page") if commit.changed_pages else "",
        "stored": size(commit.stored_bytes) if commit.stored_bytes else "",
        "pause": millis(commit.pause_ms) if commit.pause_ms else "",
        "felt": millis(commit.felt_pause_ms) if commit.felt_pause_ms else "",
        "parent": " ".join(short(parent) for parent in commit.parents) or "none: a golden commit",
        "children": str(len(children)) if children else "",
        "tags": " ".join(commit.tags),
        "head of": " ".join(here),
        "image": _image(tree, commit.image),
        "state id": commit.state_id[:16],
    }
    return [*lines, Text(), *_facts(facts, width), Text(), Text(f"id {commit.id}", style=theme.FAINT)]


def _title(glyph: str, node: Node, name: str, state: str, reason: str) -> Text:
    colour = theme.colour_of(node)
    text = Text.assemble(
        (f"{glyph} ", colour), (printable(name), f"bold {theme.BRIGHT}"), (f"  {state}", colour)
    )
    return text.append(f"  {printable(reason)}", theme.MUTED) if reason and reason != state else text


def _facts(facts: Mapping[str, str | None], width: int) -> Iterable[Text]:
    """Key and value, two a line when there is room."""
    cells = [_fact(key, value) for key, value in facts.items() if value]
    if width < TWO_COLUMNS:
        yield from cells
        return
    half = width // 2
    for left, right in zip(cells[::2], [*cells[1::2], Text()], strict=False):
        cut(left, half - 2, pad=True)
        cut(right, width - half)
        yield left.append("  ").append_text(right)


def _fact(key: str, value: str) -> Text:
    return Text.assemble((f"{key:<{KEY_WIDTH}} ", theme.MUTED), (printable(value), theme.TEXT))


def _commands(commands: Sequence[Command]) -> Iterable[Text]:
    if not commands:
        return
    yield from (Text(), Text("commands", style=f"bold {theme.MUTED}"))
    for command in sorted(commands, key=lambda command: -command.id):
        running = command.exit_code is None
        good = command.exit_code == 0
        mark, colour = ("●", theme.GREEN) if running else ("✓", theme.MUTED) if good else ("✗", theme.RED)
        line = Text.assemble((f"{mark} ", colour), (f"{command.id:>3} ", theme.FAINT))
        line.append(printable(" ".join(command.argv))[:200], theme.TEXT if running else theme.MUTED)
        if not running and not good:
            late = ", its time limit was over" if command.timed_out else ""
            line.append(f"  exit {command.exit_code}{late}", theme.RED)
        yield line


def _processes(processes: Sequence[Process]) -> Iterable[Text]:
    if not processes:
        return
    yield from (Text(), Text("processes", style=f"bold {theme.MUTED}"))
    biggest = sorted(processes, key=lambda process: -process.rss_bytes)
    for process in biggest[:MOST_PROCESSES]:
        line = Text.assemble(
            (f"{process.pid:>6} ", theme.FAINT), (f"{size(process.rss_bytes):>5} ", theme.MUTED)
        )
        line.append(f"{printable(process.user)[:8]:<8} ", theme.FAINT)
        yield line.append(printable(process.command)[:200], theme.TEXT)
    if len(biggest) > MOST_PROCESSES:
        yield Text(f"and {len(biggest) - MOST_PROCESSES} more", style=theme.FAINT)


def _image(tree: Tree, id: str) -> str:
    return next((image.name for image in tree.images if image.id == id), id[:16])


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
