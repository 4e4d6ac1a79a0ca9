"""What differs between two REFs: files as a tree at the left, the change of the one under the cursor at the right."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from core.diff.meta import FileType
from core.diff.result import Diff, FileDiff
from core.errors import VertuiError
from core.model import BranchState, new_key
from vertui import theme
from vertui.compare.change import NOWHERE, FilePatch, change_of, names_of
from vertui.compare.folders import NOISE, ROOT, Folders, Node, Totals
from vertui.feed import News
from vertui.plain import entitle
from vertui.screens import summary
from vertui.screens.base import bound, changing
from vertui.screens.carry import Carry, lines_of
from vertui.screens.comparing import SETTLE_S, WALKING, ComparingScreen
from vertui.text import counted, printable
from vertui.widgets.change_view import ChangeView
from vertui.widgets.events import progress_bar
from vertui.widgets.folder_list import FolderList
from vertui.widgets.footer import KeyHints
from vertui.widgets.lines import LineView

MOST_COUNTED = 5000  # files whose lines are counted: each is read whole for it
MOST_KEPT = 50  # changes
AT_ONCE = 1000  # files of a summary that is made on the loop
ALIVE = (BranchState.RUNNING, BranchState.PAUSED)


class DiffScreen(ComparingScreen[Diff]):
    """Compares two states. `at` is a path to begin with."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bound("diff", "app.pop_screen"),
        bound("turn", "swap"),
        Binding("m", "memory", show=False),
        Binding("ctrl+o", "page", show=False),
        Binding("ctrl+e", "edit", show=False),
        Binding("ctrl+s", "save", show=False),
        Binding("M", "apply", show=False),
    ]

    def __init__(self, a: str, b: str, at: str = "") -> None:
        super().__init__()
        self._a, self._b, self._at = a, b, at
        self.asked_by = ""  # the key by which the comparison tells how far it is
        self._most = 0  # lines changed in one file
        self._seen: dict[str, FilePatch] = {}
        self._many = False  # too many files for their lines to be counted
        self._uncounted = ""  # why lines are not told
        self._list = FolderList[FileDiff](summary.mark, self._churn, id="files")
        self._told, self._view = LineView(id="summary"), ChangeView(id="change")

    def compose(self) -> ComposeResult:
        """Files, what is under the cursor, what limits the comparison, keys."""
        with Horizontal(id="panes"):
            yield self._list
            with Vertical(id="seen"):
                yield self._told
                yield self._view
        yield self.line
        yield self.notes
        yield KeyHints(
            *WALKING, ("h/l", "fold"), ("{turn}", "swap sides"), ("m", "memory too"), ("ctrl+o", "in $PAGER"),
            ("ctrl+e", "file in $EDITOR"), ("ctrl+s", "save as patch"), ("M", "into a branch"), ("esc", "back"),
            ("{help}", "all keys"),
        )  # fmt: skip

    # -- the comparison --------------------------------------------------------------------------------------

    def action_swap(self) -> None:
        """Compare the other way round."""
        self._a, self._b = self._b, self._a
        self.read()

    def read(self) -> None:
        """Compare: at first what differs alone."""
        self._seen.clear()
        asked = self.begin(f"{self._a} → {self._b}")
        doing, self.asked_by = f"comparing {self._a} with {self._b}", new_key()
        comparing = self._comparing(self.asked_by)
        self.vertui.call(doing, comparing, partial(self._compared, asked), partial(self._failed, asked))

    def _comparing(self, key: str | None = None, **more: bool) -> Callable[[], Diff]:
        a, b = self._a, self._b
        return lambda: self.vertui.client.diff(a, b, key, **more)

    def hear(self, news: News) -> None:
        """Say also how far it is, if it takes long."""
        super().hear(news)
        far = [one for one in news.events if one.kind == "progress" and one.subject == self.asked_by]
        if far and self.comparing:
            done = far[-1].fraction == 1.0
            self._say([Text("reading what differs…", theme.MUTED) if done else progress_bar(far[-1])])

    def _failed(self, asked: int, error: VertuiError) -> None:
        if not self.is_late(asked):
            self.unread = True
            entitle(self.files, below="not compared: ctrl+r tries again")
            self._say([Text(printable(str(error)), style=theme.RED)])

    def _compared(self, asked: int, diff: Diff) -> None:
        if self.is_late(asked):
            return
        self.tell_notes(diff.notes)
        self._many = len(diff.entries) > MOST_COUNTED
        many = f"lines are not counted in more than {MOST_COUNTED} files"
        self._uncounted = many if self._many else "counting lines…"
        self.take(diff)
        if not self._many:
            self._count(asked)

    def _count(self, asked: int, *, memory: bool = False) -> None:
        """Ask for lines, and for what is no file. It reads every file, so what differs is told before."""
        live = {branch.name for branch in self.vertui.selection.newest.branches if branch.state in ALIVE}
        both, lines = {self._a, self._b} <= live, not self._many

        def counted(diff: Diff) -> None:
            if not self.is_late(asked):
                self._uncounted = "" if lines else self._uncounted
                self.take(diff)

        def failed(error: VertuiError) -> None:
            if not self.is_late(asked):
                self._uncounted = f"not all is told: {error}"
                self.look()

        more = self._comparing(
            lines=lines, packages=True, memory=memory, processes=both, ports=both, connections=both
        )
        self.vertui.ask(more, counted, failed)

    def items_of(self, found: Diff) -> Sequence[FileDiff]:
        """All files that differ."""
        return found.entries

    def count(self, item: FileDiff) -> Totals:
        """Its lines and its size."""
        return summary.count(item)

    def show_found(self, tree: Folders[FileDiff]) -> None:
        """Show the tree, and what is under the cursor."""
        files = [node.totals for node in tree.files(tree.nodes[0])] if len(tree.nodes) <= MOST_COUNTED else []
        self._most = max((totals.added + totals.removed for totals in files), default=0)
        self.show_tree(tree)
        words = f"/{self.words} · " if self.words else ""
        entitle(self.files, below=f"{words}{counted(tree.nodes[0].totals.files, 'file')}")
        if self._at:
            self.files.go_to_path(self._at)
            self._at = ""
        self.look()

    # -- what is under the cursor ----------------------------------------------------------------------------

    def look(self) -> None:
        """Show what is under the cursor: a summary, a change that is known, or that one is asked for."""
        node, diff = self.files.current, self.found
        if node is None or diff is None or self.comparing:
            return
        key, entry = (self.round, node.key), node.item
        is_file = entry is not None and not node.is_folder
        if is_file and key == self.looked_at:
            return
        moved, self.looked_at = key != self.looked_at, key
        if self.settling is not None:
            self.settling.stop()
        if entry is None or not is_file:
            self._tell_of(key, diff, node, moved)
        elif not _has_text(entry):
            self._say(summary.facts(entry), entry.path)
        elif seen := self._seen.get(entry.path):
            self._show_change(entry, seen)
        else:
            self._show_change(entry, FilePatch(), "reading…")
            self.settling = self.set_timer(SETTLE_S, partial(self._ask, key, entry))

    def _tell_of(self, key: object, diff: Diff, node: Node[FileDiff], moved: bool) -> None:
        """Say what is below a row; of very much in a thread, and until then how much it is."""
        if node.totals.files <= AT_ONCE:
            self._say(*self._told_of(diff, node), from_top=moved)
            return
        if moved:
            self._say(summary.totals(node), "" if node.path in (ROOT, NOISE) else node.path)

        def arrived(told: tuple[list[Text], str]) -> None:
            if self.is_attached and key == self.looked_at:
                self._say(*told, from_top=moved)

        told = partial(self._told_of, diff, node)
        self.settling = self.set_timer(SETTLE_S, lambda: self.vertui.ask(told, arrived))

    def _told_of(self, diff: Diff, node: Node[FileDiff]) -> tuple[list[Text], str]:
        """A summary, and its title."""
        tree = self.files.tree_of
        if node.path == ROOT:
            return summary.summary(diff, tree, self._uncounted), "summary"
        return summary.of_folder(node, tree), "noise" if node.path == NOISE else node.path

    def _ask(self, key: tuple[int, object], entry: FileDiff) -> None:
        a, b, client = self._a, self._b, self.vertui.client
        paths, below = names_of(entry.path, *filter(None, (entry.source,)))

        def arrived(change: FilePatch) -> None:
            if self.is_late(key[0]):
                return
            if len(self._seen) >= MOST_KEPT:
                del self._seen[next(iter(self._seen))]
            self._seen[entry.path] = change
            if key == self.looked_at:
                self._show_change(entry, change)
            self.colour(change, entry.path)

        def failed(error: VertuiError) -> None:
            if not self.is_late(key[0]) and key == self.looked_at:
                self._show_change(entry, FilePatch(), str(error), theme.RED)

        self.vertui.ask(
            lambda: change_of(entry, client.patch(a, b, path=paths, ignore=below)), arrived, failed
        )

    def _show_change(
        self, entry: FileDiff, change: FilePatch, told: str = "", colour: str = theme.MUTED
    ) -> None:
        """A change and the name of its file, in one step; or why there is none yet."""
        self._turn_to("change")
        head = summary.facts(entry)
        self.view.show(change, [*head, Text(printable(told), style=colour)] if told else head)
        entitle(self.view, entry.path)
        self.tell_place(told)

    def _say(self, lines: Iterable[Text], title: str = "", *, from_top: bool = True) -> None:
        """Show lines in place of a change."""
        self._turn_to("summary")
        self._told.show(lines)
        if from_top:
            self._told.scroll_home(animate=False, immediate=True)
        entitle(self._told, title)

    def _turn_to(self, shown: str) -> None:
        if shown == "summary" and self.view.has_focus:
            self.files.focus()
        self._told.display, self._view.display = shown == "summary", shown == "change"

    # -- keys ------------------------------------------------------------------------------------------------

    def scrolled(self) -> Iterable[Widget]:
        """What is at the right, while the files have the focus."""
        return (self._view if self._view.display else self._told,)

    def on_row_list_chosen(self) -> None:
        """Enter on a file: its change takes the keys."""
        if self.view.display:
            self.view.focus()

    @property
    def command(self) -> str:
        """The command that prints what is under the cursor."""
        return shlex.join(["vertui", "diff", "--patch", self._a, self._b, *filter(None, (self._path,))])

    @property
    def _path(self) -> str:
        """What is under the cursor; empty for all."""
        node = self.files.current
        return "" if node is None or node.path in (ROOT, NOISE) else node.path

    def action_memory(self) -> None:
        """Compare memory too, which takes a while: every page of both is looked at."""
        if self.found is not None:
            self.files.cursor = 0
            entitle(self.files, below="comparing memory…")
            self._count(self.round, memory=True)

    def action_page(self) -> None:
        """Open what is at the right in the pager."""
        path, change, told = self._path, self.view.change, self._told.text
        is_change = bool(self.view.display)
        self._carry.to_pager(lambda: lines_of(path, change) if is_change else iter(told.split("\n")))

    def action_edit(self) -> None:
        """Open the file in the editor."""
        node = self.files.current
        entry = node.item if node else None
        state = (entry.after or entry.before) if entry else None
        if entry is None or state is None or state.type is not FileType.FILE:
            self.vertui.fail("an editor takes a file: move the cursor to one")
        else:
            self._carry.to_editor(entry)

    def action_save(self) -> None:
        """Save what is under the cursor as a patch."""
        self._carry.save(self._path)

    @changing
    def action_apply(self) -> None:
        """Apply what is under the cursor to another branch: the change that was stepped to, or all of it."""
        view = self.view
        stepped = view.display and view.block != NOWHERE
        self._carry.apply(self._path, view.change.span_of(view.block) if stepped else "")

    @property
    def _carry(self) -> Carry:
        return Carry(self.vertui, self._a, self._b)

    def _churn(self, node: Node[FileDiff]) -> Text:
        return summary.churn(node, self._most)

    @property
    def files(self) -> FolderList[FileDiff]:
        """The tree."""
        return self._list

    @property
    def view(self) -> ChangeView:
        """The change of the file under the cursor."""
        return self._view


def _has_text(entry: FileDiff) -> bool:
    """Is there more to be told of it than facts?"""
    return any(
        side and side.type in (FileType.FILE, FileType.SYMLINK) for side in (entry.before, entry.after)
    )
