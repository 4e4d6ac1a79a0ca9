"""What keys do that move about the tree or change how it is drawn, and nothing else."""

from core.looking_back import Stride
from vertui.actions import BY_ID
from vertui.jumps import Jump
from vertui.screens.main import MainScreen
from vertui.selection import Selection


class Moves:
    """The actions by which one gets about the tree."""

    _main: MainScreen

    def trunk(self, selection: Selection) -> None:
        """Go to the trunk."""
        self._main.jump(Jump.TRUNK)

    def parent(self, selection: Selection) -> None:
        """Go to what the node came from."""
        self._main.jump(Jump.PARENT)

    def child(self, selection: Selection) -> None:
        """Go to the first that came from the node."""
        self._main.jump(Jump.CHILD)

    def next_sibling(self, selection: Selection) -> None:
        """Go to the next line of the same fork."""
        self._main.jump(Jump.NEXT)

    def previous_sibling(self, selection: Selection) -> None:
        """Go to the one before."""
        self._main.jump(Jump.PREVIOUS)

    def best(self, selection: Selection) -> None:
        """Go to the best score, from there to the next best."""
        self._main.jump(Jump.BEST)

    def unread(self, selection: Selection) -> None:
        """Go to the next branch that did something since it was looked at."""
        self._main.go_to_unread()

    def range(self, selection: Selection) -> None:
        """Begin a range of marks, or end it."""
        self._main.mark_range()

    def earlier(self, selection: Selection) -> None:
        """Show the tree as it was an operation earlier."""
        self._main.scrub.go(Stride.BACK)

    def later(self, selection: Selection) -> None:
        """Show it as it was an operation later, or as it is."""
        self._main.scrub.go(Stride.ON)

    def letters(self, selection: Selection) -> None:
        """Go to a row by the letters before it."""
        self._main.jump_by_letters()

    def fold(self, selection: Selection) -> None:
        """Fold or unfold what the cursor is on."""
        self._main.fold()

    def fold_all(self, selection: Selection) -> None:
        """Unfold everything, fold everything, or only what is long."""
        self._main.fold_all()

    def sort(self, selection: Selection) -> None:
        """Sort siblings by the next column."""
        self._main.sort(self._main.tree_view.sorting.next())

    def turn(self, selection: Selection) -> None:
        """Sort them the other way round."""
        sorting = self._main.tree_view.sorting
        if sorting.by is None:
            self._main.say(f"{BY_ID['sort'].key_label} sorts siblings first")
        else:
            self._main.sort(sorting.turned())
