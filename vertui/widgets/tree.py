"""The live tree: the lane graph of commits with the branches on it, one row a node or a fold."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.text import Text
from textual.timer import Timer

from core.model import Branch, Tree
from vertui import theme
from vertui.actions import BY_ID
from vertui.columns import Sorting
from vertui.filters import Filter, Searched, Texts, parse, select
from vertui.folds import FoldRow, Folds, Row, Rows, fold_at, lay_out
from vertui.jumps import NOWHERE, Jump, target
from vertui.lanes import LaneRow
from vertui.lives import Lives
from vertui.selection import Node, key_of
from vertui.since import Differing, Since
from vertui.strands import Strands
from vertui.text import counted, printable
from vertui.widgets.rows import RowList
from vertui.widgets.tree_rows import draw_row, name_room

EMPTY = Strands(Tree((), (), (), None))
PULSE_S = 0.7  # an eye that looks elsewhere is drawn to it, and it is over before the next look
PULSE = f"bold on {theme.BORDER}"


class TreeView(RowList[Row]):
    """The tree. `marked` holds the keys of the nodes that verbs act on together."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(self._draw_row, _row_key, id=id)
        self.marked: set[str] = set()
        self._range_from: Row | None = None
        self._range: set[str] = set()  # the keys of the nodes in it
        self.sorting = Sorting()
        self._strands = EMPTY
        self._rows = Rows({})
        self.folds = Folds()
        self._filter, self._wrong = Filter(), ""
        self._differing = Differing()
        self.inquire: Callable[[Iterable[Since]], object] = lambda questions: None
        """Told of all that is to be asked for the filter, each time anew; `answer` takes what comes of it."""
        self.trouble = ""  # why that is not answered
        self._texts, self._told = Texts(), list[Searched]()
        self._labels: dict[str, str] = {}
        self._name_room = 0
        self._stale = False
        self._lives = Lives()
        self._pulsing: dict[str, float] = {}  # nodes that changed, and until when they are drawn so
        self._calming: Timer | None = None
        self._otherwise: Mapping[str, str] = {}  # signs of nodes of the past
        self._left: tuple[Lives, set[str], Row | None] | None = None  # to be found again after the past

    @property
    def strands(self) -> Strands:
        """The strands of the tree that is shown."""
        return self._strands

    @property
    def stale(self) -> bool:
        """Is what is shown no longer known to be so?"""
        return self._stale

    @stale.setter
    def stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self.draw_anew()

    def show_tree(self, tree: Tree, strands: Strands) -> None:
        """Show another version of the tree; marks of nodes that went are dropped."""
        self._strands, self._told = strands, []
        lives = self._lives
        before = lives.scores, lives.empty
        self._pulse(lives.follow(tree))
        if before != (lives.scores, lives.empty):
            self._drawn.clear()  # a score is drawn beside the best, and a row in the room that columns leave
        if self.marked:
            self.marked &= strands.nodes.keys()
        if self.sorting.by:
            self.sorting.arrange(strands)
        self._show()

    # -- the past ----------------------------------------------------------------------------------------------

    def show_past(self, tree: Tree, strands: Strands, otherwise: Mapping[str, str]) -> None:
        """Show the tree as it was, a sign before each node that is otherwise now. Nothing in it is marked or new."""
        if self._left is None:
            self.clear_range()
            self._left = self._lives, self.marked, self.current
        self._lives, self.marked, self._pulsing = Lives(), set(), {}
        self._otherwise, self._differing.past = otherwise, True
        self._drawn.clear()
        self.show_tree(tree, strands)

    def mark_otherwise(self, otherwise: Mapping[str, str]) -> None:
        """Put these signs before its nodes instead."""
        if otherwise != self._otherwise:
            self._otherwise = otherwise
            self.draw_anew()

    def return_from_past(self, tree: Tree, strands: Strands) -> None:
        """Show the tree that was shown before, with its marks and the cursor where it was."""
        assert self._left is not None
        (self._lives, self.marked, row), self._left, self._otherwise = self._left, None, {}
        self._differing.past = False
        self._drawn.clear()
        self.show_tree(tree, strands)
        if row is not None:
            self.go_to(row)

    # -- what changes ------------------------------------------------------------------------------------------

    def _pulse(self, changed: set[str]) -> None:
        """Draw nodes that changed otherwise for a moment, which one call ends."""
        now = time.monotonic()
        over = {key for key, until in self._pulsing.items() if until <= now}
        self._pulsing = {key: until for key, until in self._pulsing.items() if until > now}
        self._pulsing |= dict.fromkeys(changed, now + PULSE_S)
        if over or changed:
            self.draw_some_anew(over | changed)
        if self._pulsing and self._calming is None:
            self._calming = self.set_timer(max(self._pulsing.values()) - now, self._calm)

    def _calm(self) -> None:
        self._calming = None
        self._pulse(set())

    def read(self) -> None:
        """What is under the cursor is being looked at."""
        if isinstance(self.node, Branch) and self._lives.read(self.node):
            self.draw_some_anew({key_of(self.node)})

    def go_to_unread(self) -> str:
        """Go to the next branch that did something since it was looked at; why not, if there is none."""
        branches = (node for node in self._strands.all_nodes() if isinstance(node, Branch))
        found = self._lives.next_unread(branches, self.node.id if self.node else "")
        if found is None:
            return "everything was looked at"
        return "" if self.go_to_node(found) else _hidden()

    # -- what is under the cursor ------------------------------------------------------------------------------

    @property
    def node(self) -> Node | None:
        """The node under the cursor."""
        row = self.current
        return row.item if isinstance(row, LaneRow) else None

    @property
    def fold(self) -> FoldRow | None:
        """The fold under the cursor."""
        row = self.current
        return row if isinstance(row, FoldRow) else None

    @property
    def marked_nodes(self) -> tuple[Node, ...]:
        """The marked nodes from the top of the tree down."""
        if not (chosen := self.marked | self._range):
            return ()
        return tuple(self._strands.chosen(chosen))

    def toggle_range(self) -> bool:
        """Begin a range at the cursor, or mark what is in the one that was begun; is one being made now?"""
        if self._range_from is None:
            self._range_from = self.current
        else:
            self.marked |= self._range
            self._range_from = None
        self._stretch()
        return self._range_from is not None

    def watch_cursor(self, old: int, new: int) -> None:
        """A range grows with the cursor."""
        super().watch_cursor(old, new)
        if self._range_from is not None:
            self._stretch()

    def _stretch(self) -> None:
        """The nodes from where the range began to the cursor, those of folds too; none where its beginning is gone."""
        begin = None if self._range_from is None else self.find(self._range_from)
        first, last = sorted((self.cursor if begin is None else begin, self.cursor))
        rows = [] if begin is None else self._items[first : last + 1]
        self._range = {key_of(node) for row in rows for node in _nodes(row)}
        self.draw_anew()

    def toggle_mark(self) -> None:
        """Mark the node under the cursor, or no longer, and go on to the next; of a fold all its branches."""
        if self._range_from is not None:
            self.toggle_range()
            return
        found = {key_of(branch) for branch in self.fold.branches} if self.fold else set()
        if self.node is not None:
            found = {key_of(self.node)}
        self.marked = self.marked - found if found <= self.marked else self.marked | found
        if self.current is not None:
            self.draw_some_anew({self._key(self.current)})
        self.action_move(1)

    def clear_marks(self) -> None:
        """Mark nothing."""
        self.marked.clear()
        self.clear_range()

    def clear_range(self) -> None:
        """Forget a range that was begun."""
        self._range_from = None
        self._stretch()

    # -- filter and order --------------------------------------------------------------------------------------

    @property
    def filter(self) -> str:
        """What says which nodes are shown."""
        return self._filter.text

    @filter.setter
    def filter(self, text: str) -> None:
        self._filter = parse(text, self._differing.of)
        self._show()

    def answer(self, answers: dict[Since, bool | None]) -> None:
        """Take in what was asked."""
        self._differing.learn(answers)
        if self._differing.wanted:
            self._show()

    def prepare_filter(self) -> None:
        """Make the texts of all nodes, in a thread, so that the first letter need not."""
        self._texts.of(self._strands.all_nodes())

    @property
    def told(self) -> Text:
        """The filter, what is wrong with it or how many nodes it shows, and the order; empty for neither."""
        wrong = self._wrong or (self.trouble if self._differing.wanted else "")
        parts = [Text(printable(wrong), style=theme.RED)] if wrong else []
        if self._filter.text:
            parts.append(Text(printable(f"/{self._filter.text}")))
        if parts and not wrong:
            parts.append(Text(f"{len(self._items)} of {counted(len(self._strands.nodes), 'node')}"))
            if left := len(self._differing.wanted):
                parts.append(Text(f"◌ {left} to look into", style=theme.TEAL))
        if self.sorting.by:
            parts.append(Text(str(self.sorting)))
        return Text(" · ").join(parts)

    def sort(self, sorting: Sorting) -> None:
        """Put siblings in another order."""
        self.sorting, self._told = sorting, []
        sorting.arrange(self._strands)
        self._show()

    # -- folds -------------------------------------------------------------------------------------------------

    def toggle_fold(self) -> bool:
        """Open the fold under the cursor, or fold what is around its node; False where nothing folds."""
        row = self.current
        if row is None or self.filter:
            return False
        fold = row.fold if isinstance(row, FoldRow) else fold_at(self._strands, key_of(row.item))
        if fold is None:
            return False
        self.folds.said[fold] = isinstance(row, FoldRow)
        self._show()
        return True

    def toggle_all_folds(self) -> str:
        """Open all folds, fold all that can be, or leave it to how long they are; says which."""
        said = self.folds.say_all()
        self._show()
        return said

    def go_to_node(self, node: Node) -> bool:
        """Put the cursor on a node, opening what hides it; False when a filter does, or it is gone."""
        wanted = LaneRow(0, False, node)
        while True:
            place = self.find(wanted)
            if place is None:
                return False
            self.cursor = place
            row = self._items[place]
            if isinstance(row, LaneRow):
                return True
            self.folds.said[row.fold] = True
            self._show()

    def open_fan(self, node: Node) -> None:
        """Go to a node, so that its siblings are seen with it."""
        if self.go_to_node(node):
            strand = self._strands.holding(key_of(node))
            siblings = self._strands.siblings(strand) if strand else []
            last = self._strands.nodes[siblings[-1].keys[0]] if siblings else node
            if (place := self.find(LaneRow(0, False, last))) is not None:
                self._reveal(min(place, self.cursor + self.size.height - 1))
                self._reveal(self.cursor)

    def jump(self, jump: Jump) -> str:
        """Go where a jump leads; why not, if it leads nowhere."""
        node = target(self._strands, self.current, jump)
        if node is None:
            helps = f": {BY_ID['score'].key_label} gives one" if jump is Jump.BEST else ""
            return f"{NOWHERE[jump]}{helps}"
        return "" if self.go_to_node(node) else _hidden()

    # -- letters to jump by ------------------------------------------------------------------------------------

    def label(self, labels: Sequence[str]) -> dict[str, Row]:
        """Show these before the rows in view; which row each stands for. None of them takes them away."""
        top = self.scroll_offset.y
        found = dict(zip(labels, self._items[top : top + self.size.height], strict=False))
        self._labels = {_row_key(row): label for label, row in found.items()}
        self.draw_anew()
        return found

    # -- drawing -----------------------------------------------------------------------------------------------

    def find(self, item: Row) -> int | None:
        """Where a row is now: itself, what it is folded into, or the first of what was folded into it."""
        if (place := self.find_near(item)) is not None:
            return place
        return self._rows.find(
            set(map(key_of, _nodes(item))), item.fold if isinstance(item, FoldRow) else None
        )

    def _show(self) -> None:
        asked, self._differing.wanted = bool(self._differing.wanted), []
        if self._filter.terms or self._filter.error:
            self._told = self._told or self._texts.of(self._strands.all_nodes())
            found, self._wrong = select(self._filter, self._told, time.time())
            if self.sorting.by:
                found = self.sorting.sort(found, lambda node: node)
            self._rows = Rows(self._strands.nodes)
            self._rows.put(0, list(map(key_of, found)))
            room = name_room((0, node) for node in found if isinstance(node, Branch))
        else:
            self._wrong = ""
            self._rows = lay_out(self._strands, self.folds)
            room = name_room(self._rows.branches())
        if room != self._name_room:
            self._name_room = room
            self._drawn.clear()
        self.show(self._rows)
        if asked or self._differing.wanted:
            self.inquire(self._differing.questions())

    def _draw_row(self, row: Row, width: int) -> Text:
        marked = isinstance(row, LaneRow) and (
            key_of(row.item) in self.marked or key_of(row.item) in self._range
        )
        label = self._labels.get(_row_key(row)) if self._labels else None
        sign = "✓" if marked else self._otherwise.get(_row_key(row), "")
        prefix = Text(f"{label or sign:<2}", no_wrap=True)
        prefix.stylize(f"bold {theme.GROUND} on {theme.GOLD}" if label else theme.GOLD)
        line = draw_row(row, width, self._name_room, prefix, self._lives)
        if self._pulsing and _row_key(row) in self._pulsing:
            line.stylize(PULSE)
        if self._stale:
            line.stylize(theme.FAINT)
        return line


def _hidden() -> str:
    return f"the filter hides it: {BY_ID['unmark'].key_label} clears the filter"


def _nodes(row: Row) -> tuple[Node, ...]:
    return row.nodes if isinstance(row, FoldRow) else (row.item,)


def _row_key(row: Row) -> str:
    return key_of(row.item) if isinstance(row, LaneRow) else row.key
