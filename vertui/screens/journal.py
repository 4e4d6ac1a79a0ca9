"""A branch's journal: what was said and done there, and what comes as it comes."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from core.errors import VertuiError
from core.journal.entry import EntryKind, JournalEntry
from vertui import theme
from vertui.entries import TRIED, author_of, end_of, words_of
from vertui.guest_text import clean
from vertui.messages import Printed
from vertui.plain import entitle
from vertui.screens.base import VertuiScreen, bound
from vertui.screens.reading import ReadDialog
from vertui.text import printable, short
from vertui.widgets.footer import KeyHints
from vertui.widgets.pace import Pace
from vertui.widgets.persisting import Persisting
from vertui.widgets.rows import RowList, columns

if TYPE_CHECKING:
    from core.daemon.client import Client
    from core.daemon.lines import LineStream

MOST_ENTRIES = 1000  # the newest: what scrolls out of these is read by `journal show`
MOST_LINES = 5000  # of an entry that is shown whole
FRAME_S = 0.05  # between two looks at what comes
COLOURS: dict[str, str] = {
    EntryKind.MESSAGE: theme.BRIGHT, EntryKind.TOOL_CALL: theme.GOLD, EntryKind.TOOL_RESULT: theme.GOLD,
    EntryKind.EXEC: theme.TEAL, EntryKind.SCORE: theme.VIOLET, EntryKind.RESTORE: theme.RED,
}  # fmt: skip


class JournalTail(Persisting):
    """The newest entries of a branch's journal, followed in a thread; `notify` is called from it, once until `take`."""

    def __init__(self, client: "Client", branch: str, notify: Callable[[], object]) -> None:
        super().__init__()
        self._client, self._branch, self._notify = client, branch, notify
        self._lock = threading.Lock()
        self._entries: deque[JournalEntry] = deque(maxlen=MOST_ENTRIES)
        self._told = False
        self._stream: LineStream[JournalEntry] | None = None

    def start(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._follow, name="journal", daemon=True).start()

    def close(self) -> None:
        """Follow no more; returns at once."""
        self._closed.set()
        if (stream := self._stream) is not None:
            threading.Thread(target=stream.close, daemon=True).start()

    def take(self) -> list[JournalEntry]:
        """The newest, oldest first; tell of more from now on."""
        with self._lock:
            self._told = False
            return [*self._entries]

    def _follow(self) -> None:
        self._persist()
        self._tell()

    def _once(self, again: bool) -> None:
        first = self._entries[-1].seq + 1 if self._entries else 0
        count = 0 if first else MOST_ENTRIES
        self._stream = self._client.journal(self._branch, follow=True, first=first, count=count)
        with closing(self._stream) as entries:
            self._came_back()
            self._tell()  # also that there is nothing yet
            for entry in entries:
                if self._closed.is_set():
                    return
                self._take_in(entry)

    def _take_in(self, entry: JournalEntry) -> None:
        with self._lock:
            if entry.kind == EntryKind.RESTORE:
                self._entries = deque(_with_tries(self._entries, entry), maxlen=MOST_ENTRIES)
            self._entries.append(entry)
        self._tell()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._notify()


class JournalScreen(VertuiScreen):
    """Follows the journal while it is open; the cursor stays at the end if it is there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", show=False),
        bound("journal", "app.pop_screen"),
    ]

    def __init__(self, branch: str) -> None:
        super().__init__()
        self._branch = branch
        self._pace = Pace(self, self._show, FRAME_S)
        self._tail: JournalTail | None = None

    def compose(self) -> ComposeResult:
        """The list and its keys."""
        yield RowList[JournalEntry](_draw, lambda entry: entry.seq, id="journal")
        yield KeyHints(("⏎", "show it whole"), ("G", "to the newest"), ("esc", "back"))

    def on_mount(self) -> None:
        """Begin to follow."""
        self._entitle("")
        self._tail = JournalTail(self.vertui.client, self._branch, lambda: self.post_message(Printed()))
        self._tail.start()

    def on_unmount(self) -> None:
        """Follow no more."""
        if self._tail:
            self._tail.close()

    def on_printed(self) -> None:
        """Show what came."""
        self._pace.ask()

    def on_row_list_chosen(self) -> None:
        """Enter shows all of an entry that its row cuts."""
        if (entry := self._list.current) is not None:
            self.vertui.ask(lambda: self._read(entry), self._open, self._failed)

    def _read(self, entry: JournalEntry) -> JournalEntry:
        with closing(self.vertui.client.journal(self._branch, first=entry.seq, whole=True)) as found:
            return next(iter(found), entry)

    def _open(self, entry: JournalEntry) -> None:
        if self.is_attached:
            self.app.push_screen(ReadDialog(f"entry {entry.seq}", list(_whole(entry))))

    def _show(self) -> None:
        if not self.is_attached or self._tail is None:
            return
        entries, rows = self._tail.take(), self._list
        at_end = not rows.items or rows.cursor == len(rows.items) - 1
        rows.show(entries)
        if at_end:
            rows.action_last()
        away = "not connected" if self._tail.away else ""
        self._entitle(away or ("" if entries else "nothing was said or done yet"))
        if self._tail.error:
            self._failed(self._tail.error)

    def _failed(self, error: VertuiError) -> None:
        if self.is_attached:
            entitle(self._list, below=Text(printable(str(error)), style=theme.RED))

    def _entitle(self, below: str) -> None:
        entitle(self._list, f"journal · {self._branch}", below=below)

    @property
    def _list(self) -> RowList[JournalEntry]:
        return self.query_one(RowList)


def _with_tries(entries: deque[JournalEntry], mark: JournalEntry) -> Iterator[JournalEntry]:
    """The entries, as an entry of kind restore tells which of them are tried."""
    from msgspec.structs import replace

    for entry in entries:
        tried = any(first <= entry.seq <= last for first, last in mark.tries or ())
        yield entry if entry.tried == tried else replace(entry, tried=tried)


def _draw(entry: JournalEntry, width: int) -> Text:
    colour = theme.FAINT if entry.tried else COLOURS.get(entry.kind, theme.MUTED)
    left = Text(f"{entry.seq:>6}{TRIED if entry.tried else ' '} ", style=theme.FAINT)
    left.append(f"{printable(entry.kind):<11} ", f"bold {colour}").append(
        f"{author_of(entry)}  ", theme.MUTED
    )
    left.append(_said(entry), theme.FAINT if entry.tried else theme.TEXT)
    clock = time.strftime("%d %b %H:%M:%S", time.localtime(entry.time))
    return columns(left, Text(clock, style=theme.FAINT), width)


def _said(entry: JournalEntry) -> str:
    """What a row says: the first line, or the command and how it ended."""
    if entry.raw:
        return printable(entry.raw)
    if ran := entry.exec:
        return f"{words_of(ran)}  {end_of(ran)}"
    return clean(entry.body.split("\n", 1)[0])


def _whole(entry: JournalEntry) -> Iterator[Text]:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
    head = (entry.kind, author_of(entry), at, short(entry.commit), "tried" if entry.tried else "")
    yield Text("  ".join(printable(word) for word in head if word), style=theme.MUTED)
    if ran := entry.exec:
        yield Text(f"$ {words_of(ran)}", style=theme.BRIGHT)
        where = [f"in {printable(ran.cwd)}"] if ran.cwd else []
        where += [f"as {printable(ran.user)}"] if ran.user else []
        where += [f"with {printable(' '.join(ran.env))}"] if ran.env else []
        yield Text("  ".join([end_of(ran), *where]), style=theme.MUTED)
    lines = (entry.raw or entry.body).removesuffix("\n").split("\n")
    for line in lines[:MOST_LINES]:
        yield Text(clean(line), style=theme.TEXT)
    if len(lines) > MOST_LINES:
        yield Text(
            f"and {len(lines) - MOST_LINES} lines more: `vertui journal show --whole`", style=theme.MUTED
        )
