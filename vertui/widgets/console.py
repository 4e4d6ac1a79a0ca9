"""The live console of a branch: what its machine prints, and what its newest command prints."""

from rich.text import Text

from core.commands import Command, newest
from core.model import Branch
from vertui import theme
from vertui.feed import Feed
from vertui.messages import Printed
from vertui.plain import entitle
from vertui.selection import ALIVE, Node
from vertui.text import printable
from vertui.widgets.follower import LineTail
from vertui.widgets.lines import LineView
from vertui.widgets.pace import Pace

TAIL_BYTES = 16 * 1024  # of a command's output so far
FRAME_S = 0.05  # between two looks at what comes


class ConsolePane(LineView):
    """Follows one branch at a time. Command output carries the command's number, the console's does not."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(follow=True, id=id)
        self._branch: Branch | None = None
        self._command: Command | None = None
        self._followers: dict[str, LineTail] = {}
        self._pace = Pace(self, self._take, FRAME_S)

    def look_at(self, feed: Feed | None, node: Node | None) -> None:
        """Follow this branch; a commit or a branch without a machine has nothing to follow."""
        branch = node if isinstance(node, Branch) and node.state in ALIVE else None
        if feed and branch and self._follows(branch):
            return
        self.leave()
        self._entitle(branch)
        if not feed or not branch:
            self.show([Text("no machine runs here", style=theme.FAINT)] if node else [])
            return
        self.clear()
        self._branch = branch
        name = branch.name
        self._start("", LineTail(lambda _: feed.console(name), self._notify, replays=True))

    def look_at_command(self, feed: Feed, commands: list[Command]) -> None:
        """Follow the newest command too."""
        last = newest(commands)
        if last is None or self._branch is None or (self._command and self._command.id == last.id):
            return
        self._take()  # what the one before said last
        if old := self._followers.pop("command", None):
            old.close()
        self._command, name, id = last, self._branch.name, last.id
        start = max(0, last.stdout_bytes - TAIL_BYTES), max(0, last.stderr_bytes - TAIL_BYTES)
        self._start("command", LineTail(lambda at: feed.output(name, id, at), self._notify, start))

    def leave(self) -> None:
        """Follow nothing."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()
        self._branch = self._command = None

    def on_printed(self) -> None:
        """Take what came."""
        self._pace.ask()

    def on_show(self) -> None:
        """What came while nobody could see it was not taken."""
        self._pace.ask()

    def _take(self) -> None:
        if not self.display or not self.screen.is_current:
            return
        rest = Text(style=theme.TEXT)
        for source, follower in list(self._followers.items()):
            gutter = f"{self._command.id}│ " if source and self._command else ""
            lines = [Text(gutter, theme.TEAL).append_text(line) for line in follower.take()]
            if follower.error:
                lines.append(Text(printable(str(follower.error)), style=theme.MUTED))
                del self._followers[source]
            rest = follower.rest or rest
            self.append(lines, rest)
        self._entitle(self._branch)

    def on_unmount(self) -> None:
        """Close what is open."""
        self.leave()

    def _follows(self, branch: Branch) -> bool:
        """Is this machine's console being followed?"""
        current = self._branch and (self._branch.id, self._branch.pid)
        return current == (branch.id, branch.pid) and "" in self._followers

    def _entitle(self, branch: Branch | None) -> None:
        away = any(follower.away for follower in self._followers.values())
        name = f"console · {branch.name}" if branch else "console"
        entitle(self, f"{name} · not connected" if away else name)

    def _start(self, source: str, follower: LineTail) -> None:
        self._followers[source] = follower
        follower.start()

    def _notify(self) -> None:
        self.post_message(Printed())
