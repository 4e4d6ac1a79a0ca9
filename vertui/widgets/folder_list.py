"""A tree of folders as a list with a cursor: folded and unfolded by keys, made row by row as it is looked at."""

from collections.abc import Callable
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.binding import Binding, BindingType

from vertui import theme
from vertui.compare.folders import NOISE, ROOT, Folders, HasPath, Node, place_in
from vertui.text import printable
from vertui.widgets.rows import RowList, columns
from vertui.widgets.scrolling import lengthen

T = TypeVar("T", bound=HasPath)
INDENT, MOST_INDENT = 2, 20  # cells; a guest's folders may be deeper than a row is wide


class FolderList(RowList[Node[T]]):
    """Shows the rows of a tree that are not hidden. Enter folds a folder, and chooses a file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "fold", show=False),
        Binding("l,right", "unfold", show=False),
    ]

    def __init__(
        self, mark: Callable[[T], Text], right: Callable[[Node[T]], Text], *, id: str | None = None
    ) -> None:
        super().__init__(self._row, lambda node: node.key, id=id)
        self._mark, self._right = mark, right
        self.tree_of: Folders[T] = Folders([], {})
        self.folds: dict[tuple[bool, str], bool] = {}  # what somebody folded or unfolded
        self._all: bool | None = None  # and whether that was after all were

    def show_tree(self, tree: Folders[T], *, found: bool = False) -> None:
        """Show this tree instead. What somebody folded or unfolded stays so, but in one of what was searched for."""
        self.tree_of = tree
        if found:
            tree.fold_all(False)
            tree.unfold_noise()
        elif self._all is not None:
            tree.fold_all(self._all)
        for folder in tree.folders if self.folds and not found else ():
            folder.folded = self.folds.get(folder.key, folder.folded)
        old = self.current
        node = tree.find_row(old.path, noise=old.noise) if old else None
        if node is not None:
            self._unhide(node)
        self._items = tree.visible()
        self._reshape(self.validate_cursor(self.cursor) if node is None else place_in(self.items, node.place))

    def go_to_path(self, path: str) -> None:
        """Put the cursor on a path, if it is there."""
        if (node := self.tree_of.find(path)) is not None:
            self._go(node)

    def step(self, by: int) -> None:
        """Go to the next file, folded or not, or to the one before. Noise is passed over, but from within it."""
        node, nodes = self.current, self.tree_of.nodes
        if node is None:
            return
        place = node.place + by
        while 0 <= place < len(nodes) and (nodes[place].item is None or nodes[place].noise > node.noise):
            place += by
        if 0 <= place < len(nodes):
            self._go(nodes[place])

    def action_choose(self) -> None:
        """Fold or unfold a folder; choose a file."""
        if (node := self.current) is not None and node.is_folder:
            self.action_fold_here()
        else:
            super().action_choose()

    def action_fold_here(self) -> None:
        """Fold or unfold a folder."""
        if (node := self.current) is not None and node.is_folder and node.path != ROOT:
            self._fold(node, not node.folded)

    def action_unfold(self) -> None:
        """Show what is in a folder; from there, go to the first of it."""
        if (node := self.current) is None or not node.is_folder:
            return
        if node.folded:
            self._fold(node, False)
        else:
            self.cursor += 1

    def action_fold(self) -> None:
        """Hide what is in a folder; from a file, or a folder that is folded, go to the one it is in."""
        if (node := self.current) is None:
            return
        if node.is_folder and not node.folded and node.path != ROOT:
            self._fold(node, True)
        elif (parent := self.tree_of.parent(node)) is not None:
            self.cursor = place_in(self.items, parent.place)

    def action_fold_all(self) -> None:
        """Fold all, or unfold all when some are folded."""
        folded = not any(node.folded for node in self.tree_of.folders if node.path != NOISE)
        node = self.current
        self.tree_of.fold_all(folded)
        self.folds, self._all = {}, folded
        self._items = self.tree_of.visible()
        self._reshape(place_in(self.items, node.place) if node else 0)

    def _fold(self, node: Node[T], folded: bool) -> None:
        """Only what appears or goes is touched: a folder may hold all of a disk."""
        self.folds[node.key] = folded
        at, rows = place_in(self.items, node.place), list(self.items)
        if folded:
            last = place_in(rows, node.end - 1)
            node.folded = True
            del rows[at + 1 : last + 1]
        else:
            node.folded = False
            rows[at + 1 : at + 1] = self.tree_of.below(node)
        self._items = rows
        self._reshape(at)

    def _go(self, node: Node[T]) -> None:
        if self.items[place_in(self.items, node.place)] is not node:
            self._unhide(node)
            self._items = self.tree_of.visible()
            self._reshape(place_in(self.items, node.place))
            self.post_message(self.Moved())
        else:
            self.cursor = place_in(self.items, node.place)

    def _unhide(self, node: Node[T]) -> None:
        """Unfold what it is in, and keep it so."""
        for above in self.tree_of.hiding(node):
            above.folded = self.folds[above.key] = False

    def _reshape(self, cursor: int) -> None:
        """There are other rows now."""
        self.draw_anew()
        lengthen(self, len(self._items), self._width)
        self.cursor = cursor

    def _row(self, node: Node[T], width: int) -> Text:
        left = Text(" " * min(INDENT * node.depth, MOST_INDENT))
        if node.is_folder:
            left.append("▸ " if node.folded else "▾ ", theme.FAINT)
        if node.item is not None:
            left.append_text(self._mark(node.item))
        left.append_text(self._named(node))
        return columns(left, self._right(node), width)

    def _named(self, node: Node[T]) -> Text:
        if node.path == ROOT:
            return Text("all files", style=f"bold {theme.BRIGHT}")
        if node.path == NOISE:
            rules = " · ".join(f"{glob} {count}" for glob, count in self.tree_of.rules.items())
            return Text.assemble(("noise  ", theme.GOLD), (rules, theme.MUTED))
        style = theme.MUTED if node.noise else theme.BRIGHT if node.is_folder else theme.TEXT
        return Text(printable(node.name) + ("/" if node.is_folder else ""), style=style)
