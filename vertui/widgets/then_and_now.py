"""How the tree as it was differs from the tree as it is, as lines; and the line that says when that was."""

import time
from collections.abc import Iterator, Sequence

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from core.looking_back import Then
from core.model import Branch, Commit
from vertui import theme
from vertui.actions import BY_ID
from vertui.plain import cut
from vertui.selection import Node, key_of
from vertui.text import counted, printable, short
from vertui.then_and_now import CAME, MOVED, WENT, ThenAndNow, unlike

MOST = 200  # commits told one by one
LONGEST = 200  # characters of a message
COLOURS = {CAME: theme.GREEN, WENT: theme.RED, MOVED: theme.GOLD}


def otherwise_lines(both: ThenAndNow) -> list[Text]:
    """The branches that came, went and moved since, then the commits."""
    lines = [
        *(_line(CAME, branch, str(branch.state)) for branch in both.came),
        *(_line(WENT, branch, both.fate(branch)) for branch in both.went),
        *(_line(MOVED, was, ", ".join(unlike(was, now))) for was, now in both.moved),
        *_some(CAME, both.commits_came, both),
        *_some(WENT, both.commits_went, both),
    ]
    return lines or [Text("all is as it was", style=theme.MUTED)]


def fate_lines(both: ThenAndNow, node: Node) -> Iterator[Text]:
    """What a node of then is now, and the key that compares the two."""
    fate, mark = both.fate(node), both.marks.get(key_of(node), "")
    yield Text.assemble(
        ("now ", theme.MUTED), (printable(fate or "as it was"), COLOURS.get(mark, theme.MUTED))
    )
    if isinstance(node, Branch) and node.id in both.branches:
        yield Text(f"{BY_ID['diff'].key_label} compares its files then and now", style=theme.MUTED)
    yield Text()


def _some(mark: str, commits: Sequence[Commit], both: ThenAndNow) -> Iterator[Text]:
    for commit in commits[:MOST]:
        yield _line(mark, commit, both.fate(commit) if mark == WENT else "")
    if len(commits) > MOST:
        yield Text(f"{mark} {counted(len(commits) - MOST, 'more commit')}", style=COLOURS[mark])


def _line(mark: str, node: Node, said: str) -> Text:
    line = Text.assemble((f"{mark} ", COLOURS[mark]), style=theme.TEXT)
    if isinstance(node, Branch):
        line.append(printable(node.name), f"bold {theme.BRIGHT}")
    else:
        line.append(short(node.id), theme.MUTED).append(f" {printable(node.message)[:LONGEST]}")
    return line.append(f"  {printable(said)}", theme.MUTED) if said else line


class ThenLine(Widget):
    """Says which operation had ended when the tree was so, when that was, and the keys that lead on."""

    then: reactive[Then | None] = reactive(None, layout=False)
    summary: reactive[str] = reactive("", layout=False)

    def render(self) -> Text:
        """As much as fits, the way back at the end always."""
        if self.then is None or (operation := self.then.operation) is None:
            return Text()
        back, on, now = (BY_ID[one].key_label for one in ("earlier", "later", "unmark"))
        keys = f" {back} {on} walk  {now} now "
        what = operation.summary or operation.verb
        if not what.startswith(operation.verb):
            what = f"{operation.verb} {what}"
        left = Text.assemble((f" as it was after #{operation.id} ", f"bold {theme.GOLD}"))
        left.append(printable(what), theme.BRIGHT)
        left.append(f" · {_clock(operation.finished or operation.created)}", theme.TEXT)
        left.append(f" · {counted(self.then.steps, 'step')} back · since: {self.summary}", theme.MUTED)
        room = max(0, self.size.width - len(keys))
        return cut(left, room, pad=True).append(keys, f"bold {theme.TEAL}")


def _clock(seconds: float) -> str:
    """The time, with the day unless that is today."""
    then, today = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%d %b %H:%M:%S", then)
