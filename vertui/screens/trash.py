"""The trash: what was pruned, until its grace period ends."""

import time
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from core.errors import VertuiError
from core.model import Plan, TrashEntry
from core.verbs.trash.empty import Empty
from core.verbs.trash.restore import Restore
from vertui import theme
from vertui.actions import BY_ID
from vertui.feed import News
from vertui.plain import entitle
from vertui.screens.base import VertuiScreen, bound, changing
from vertui.screens.plan import Answer, plan_dialog
from vertui.screens.reading import ReadDialog
from vertui.text import age, printable, size
from vertui.widgets.events import progress_bar
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList, columns


class TrashScreen(VertuiScreen):
    """Restores one, or empties all."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", show=False),
        bound("trash", "app.pop_screen"),
        bound("resume", "restore"),
        bound("prune", "empty"),
    ]

    def compose(self) -> ComposeResult:
        """The list and its keys."""
        yield RowList[TrashEntry](_draw, lambda entry: entry.id, id="trash")
        yield KeyHints(
            ("{resume}", "restore"), ("⏎", "show it whole"), ("{prune}", "empty the trash"), ("esc", "back")
        )

    def on_mount(self) -> None:
        """Read it."""
        entitle(self._list, "trash")
        self._read()

    def hear(self, news: News) -> None:
        """Read it again when something was pruned, restored or freed, and say how far that is."""
        if (progress := self.vertui.progress) is not None and self.is_mounted:
            entitle(self._list, below=progress_bar(progress))
        if news.fresh or any(event.kind in ("trash", "operation") for event in news.events):
            self._read()

    def on_row_list_chosen(self) -> None:
        """Enter shows all that is known of an entry."""
        if (entry := self._list.current) is not None:
            self.app.push_screen(ReadDialog(f"{entry.kind} in the trash", _whole(entry)))

    @changing
    def action_restore(self) -> None:
        """Bring the current entry back."""
        if (entry := self._list.current) is not None:
            self.vertui.call(
                f"restoring {entry.name}", lambda: self.vertui.client.do(Restore(entry.id)), self._done
            )

    @changing
    def action_empty(self) -> None:
        """Show what would go for good."""
        self.vertui.call("planning", lambda: self.vertui.client.plan(Empty()), self._show_plan)

    def _show_plan(self, plan: Plan) -> None:
        def answer(said: Answer | None) -> None:
            if said is Answer.DO:
                self.vertui.call("emptying the trash", lambda: self.vertui.client.execute(plan), self._done)

        self.app.push_screen(plan_dialog(plan, "Empty"), answer)

    def _done(self, result: object) -> None:
        self._read()

    def _read(self) -> None:
        self.ask(self.vertui.client.trash, self._show, self._failed)

    def _show(self, entries: list[TrashEntry]) -> None:
        self._list.show(entries)
        entitle(self._list, below="" if entries else "the trash is empty")

    def _failed(self, error: VertuiError) -> None:
        entitle(self._list, below=Text(printable(str(error)), style=theme.RED))

    @property
    def _list(self) -> RowList[TrashEntry]:
        return self.query_one(RowList)


def _whole(entry: TrashEntry) -> list[Text]:
    key = BY_ID["resume"].key_label
    facts = {
        "name": printable(entry.name),
        "pruned": _moment(entry.deleted),
        "goes for good": f"{_moment(entry.expires)}, or when the trash is emptied",
        "holds": size(entry.size_bytes) if entry.size_bytes else "",
        "back": f"{key} restores it; a branch that ran runs again",
    }
    return [
        Text.assemble((f"{fact:<14} ", theme.MUTED), (said, theme.TEXT))
        for fact, said in facts.items()
        if said
    ]


def _moment(seconds: float) -> str:
    return time.strftime("%d %b %H:%M:%S", time.localtime(seconds))


def _draw(entry: TrashEntry, width: int) -> Text:
    left = Text.assemble(
        (f"{printable(entry.kind):<7} ", theme.MUTED), (printable(entry.name), f"bold {theme.BRIGHT}")
    )
    right = Text(f"{size(entry.size_bytes):>6}  ", style=theme.TEXT)
    right.append(f"{age(time.time() - entry.deleted)} ago, ", theme.MUTED)
    return columns(left, right.append(f"goes in {age(entry.expires - time.time())}", theme.MUTED), width)
