"""What became of a fork's children, where some failed: why, and another try."""

from contextlib import closing
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from core.errors import VertuiError
from core.model import ExecRequest, Forked
from core.naming import children_commands
from core.verbs.egress import Egress
from core.verbs.fork import Fork
from core.verbs.publish import Publish
from core.verbs.resume import Resume
from vertui import theme
from vertui.plain import entitle
from vertui.screens.base import SCROLL_KEYS, Dialog, bound, changing
from vertui.text import printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.lines import LineView


class ChildrenDialog(Dialog[None]):
    """A line a child, those that failed first; r tries these again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
        bound("resume", "retry"),
        Binding("enter", "leave", show=False),
    ]

    def __init__(self, verb: Fork, forked: Forked) -> None:
        super().__init__()
        names = [child.name for child in forked.children]
        self._verb = verb
        self._commands = children_commands(names, verb.command, verb.variants)
        self._rules = children_commands(names, verb.score, ())
        self._failed = {child.name: child.reason for child in forked.children if not child.ok}
        self._good = [child.name for child in forked.children if child.ok]
        self._trying: set[str] = set()
        self._count = len(names)

    def compose(self) -> ComposeResult:
        """The lines and the keys."""
        with Vertical(classes="box tall") as box:
            entitle(box, "fork")
            yield LineView(id="children")
            yield KeyHints(("{resume}", "try again"), ("j/k", "scroll"), ("esc", "leave"))

    def on_mount(self) -> None:
        """Show them."""
        self._show()

    def scrolled(self) -> tuple[LineView, ...]:
        """The lines."""
        return (self.query_one(LineView),)

    @changing
    def action_retry(self) -> None:
        """Start those again that failed, each with its command."""
        for name in [name for name in self._failed if name not in self._trying]:
            self._trying.add(name)
            self.vertui.call(
                f"starting {name} again",
                partial(self._start, name),
                partial(self._started, name),
                partial(self._not_started, name),
            )
        self._show()

    def _start(self, name: str) -> None:
        """Resume it from the commit it was forked from; its command has not run, and none of its ports is open."""
        self.vertui.client.do(Resume(name))
        if rules := self._verb.rules:
            self.vertui.client.do(Egress(name, *rules))
        if self._verb.publish:
            self.vertui.client.do(Publish(name, self._verb.publish))
        feed, command = self.vertui.watcher.feed, self._commands.get(name)
        if feed is not None and command:
            rule = self._rules.get(name, "")
            asked = ExecRequest(name, (command,), timeout_s=self._verb.timeout_s, outlives=True, score=rule)
            with closing(feed.run(asked)) as stream:
                next(iter(stream))

    def _started(self, name: str, _: object) -> None:
        del self._failed[name]
        self._trying.discard(name)
        self._good.append(name)
        self._show()

    def _not_started(self, name: str, error: VertuiError) -> None:
        self._failed[name] = str(error)
        self._trying.discard(name)
        self._show()

    def _show(self) -> None:
        if not self.is_attached:
            return
        lines = [Text(f"{len(self._good)} of {self._count} run", style=f"bold {theme.BRIGHT}"), Text()]
        for name, reason in self._failed.items():
            mark = ("◌", theme.TEAL) if name in self._trying else ("✗", theme.RED)
            lines.append(
                Text.assemble((f"{mark[0]} {printable(name)}  ", mark[1]), (printable(reason), theme.TEXT))
            )
        lines += [Text(f"● {printable(name)}", style=theme.GREEN) for name in self._good]
        self.query_one(LineView).show(lines)
