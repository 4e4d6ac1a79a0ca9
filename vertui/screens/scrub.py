"""Time scrub: the main screen's tree as it was when an operation had ended, walked back and forth, and only looked at.

The daemon tells each step as a change of the tree that is held, so that it costs what it changes. Meanwhile the screen
keeps what is new for later: only what is said of then and now follows it.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rich.text import Text

from core.daemon.mirror import as_it_was
from core.errors import NotFound, VertuiError
from core.looking_back import Stride, Then
from core.model import TrashEntry, Tree
from vertui.base import BaseApp, told
from vertui.feed import News
from vertui.plain import entitle
from vertui.selection import Node
from vertui.strands import Strands
from vertui.then_and_now import ThenAndNow
from vertui.widgets.lines import LineView
from vertui.widgets.then_and_now import ThenLine, fate_lines, otherwise_lines
from vertui.widgets.tree import TreeView

MOST_WANTED = 8  # steps of a key that is held: more are not waited for


@dataclass(frozen=True)
class PastTree:
    """A tree as it was."""

    then: Then
    tree: Tree
    strands: Strands


class Scrubbed(Protocol):
    """The screen whose tree it is."""

    shown: Tree
    tree_view: TreeView

    @property
    def vertui(self) -> BaseApp:
        """The app."""

    @property
    def newest(self) -> Tree:
        """The tree as it is, shown or held."""

    def show_past(self, tree: Tree, strands: Strands, otherwise: Mapping[str, str]) -> None:
        """Show the tree as it was, with a sign before each node that is otherwise now."""

    def return_to_now(self, tree: Tree, strands: Strands) -> None:
        """Show the tree as it was left, then what came meanwhile."""

    def describe(self) -> None:
        """Say anew what is known of the node under the cursor."""

    def say(self, text: str) -> None:
        """A word about the key just pressed."""


class Scrub:
    """Where in time the main screen is: at `past`, or now, where there is none."""

    def __init__(self, main: Scrubbed) -> None:
        self._main = main
        self.line, self.pane = ThenLine(id="then"), LineView(id="then-and-now")
        self.pane.can_focus = True
        self.past: PastTree | None = None
        self._left: tuple[Tree, Strands] | None = None  # what was shown before
        self._now: Tree | None = None
        self._trash: frozenset[str] = frozenset()
        self._both: ThenAndNow | None = None  # as it was said last
        self._wanted: deque[Stride | int] = deque()  # numbers are of operations
        self._visit = 0  # answers to an earlier one come too late

    @property
    def now(self) -> Tree | None:
        """What the tree is, while it is shown as it was."""
        return self._now if self.past else None

    @property
    def waits(self) -> bool:
        """Is a step under way?"""
        return bool(self._wanted)

    # -- walking ---------------------------------------------------------------------------------------------

    def go(self, where: Stride | int) -> None:
        """Go an operation back, or on, or to where one had ended; what is asked for meanwhile comes after."""
        if len(self._wanted) < MOST_WANTED:
            self._wanted.append(where)
        if len(self._wanted) == 1:
            self._ask()

    def leave(self) -> bool:
        """Show the tree as it is again; False where it is shown so."""
        self._wanted.clear()
        self._visit += 1
        if self.past is None or self._left is None:
            return False
        (tree, strands), self.past, self._left = self._left, None, None
        self._now = self._both = None
        self._main.return_to_now(tree, strands)
        return True

    def _ask(self) -> None:
        where, visit, app = self._wanted[0], self._visit, self._main.vertui
        if self.past:
            tree, strands, held, exact = self.past.tree, self.past.strands, self.past.then.moment, True
        else:
            tree, strands = self._main.shown, self._main.tree_view.strands
            held, exact = tree.moment, False

        def work() -> PastTree | None:
            if isinstance(where, Stride):
                then = app.client.then(where, held, exact=exact)
            else:
                then = app.client.then_at(where, held, exact=exact)
            if then.operation is None:
                return None
            was = as_it_was(tree, then)
            return PastTree(then, was, Strands(was, strands))

        def come(past: PastTree | None) -> None:
            if visit == self._visit:
                self._come(past)

        def fail(error: VertuiError) -> None:
            if visit == self._visit:
                self._wanted.clear()
                self._main.say(f"{'' if isinstance(error, NotFound) else '✗ '}{told(error)}")

        app.ask(work, come, fail)

    def _come(self, past: PastTree | None) -> None:
        self._wanted.popleft()
        if past is None:
            self.leave()
            return
        if self._left is None:
            self._left = self._main.shown, self._main.tree_view.strands
            self._now = self._main.newest
            self._look_into_trash()
        self.past = past
        self._main.show_past(past.tree, past.strands, self._compare().marks)
        if self._wanted:
            self._ask()

    # -- then and now ----------------------------------------------------------------------------------------

    def hear(self, news: News) -> None:
        """What is new is for later; only what is said of now follows it."""
        if news.tree is None or self.past is None or self._now is None:
            return
        before, self._now = self._both, news.tree
        self._tell()
        if before and self._both and before.gone != self._both.gone:
            self._look_into_trash()

    def about(self, node: Node | None) -> list[Text]:
        """What a node of then is now, before all else that is said of it."""
        return [*fate_lines(self._both, node)] if node and self._both and self.past else []

    def _look_into_trash(self) -> None:
        app = self._main.vertui
        app.ask(lambda: app.client.trash(), self._trashed)

    def _trashed(self, entries: list[TrashEntry]) -> None:
        self._trash = frozenset(entry.id for entry in entries)
        if self.past:
            self._tell()

    def _compare(self) -> ThenAndNow:
        """Say what is otherwise now beside the tree."""
        assert self.past is not None and self._now is not None
        both = self._both = ThenAndNow(self.past.tree, self._now, self._trash)
        self.line.then, self.line.summary = self.past.then, both.summary
        self.pane.show(otherwise_lines(both))
        entitle(self.pane, f"then and now · {both.summary}")
        return both

    def _tell(self) -> None:
        """Say it anew, in the tree too."""
        self._main.tree_view.mark_otherwise(self._compare().marks)
        self._main.describe()
