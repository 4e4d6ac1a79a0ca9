"""What the screens that compare share: a tree of files, a view of changes, and the keys by which both are walked."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.timer import Timer

from vertui import theme
from vertui.actions import BY_ID
from vertui.base import TOAST_S
from vertui.compare.change import FilePatch, Spans
from vertui.compare.folders import Folders, HasPath, Totals, grow
from vertui.compare.noise import Noise, Rule, count
from vertui.compare.syntax import Syntax
from vertui.feed import News
from vertui.plain import TextInput, Words, entitle, toast
from vertui.screens.base import BREAKPOINTS, SCROLL_BESIDE_KEYS, VertuiScreen, bound
from vertui.screens.noise import NoiseDialog
from vertui.text import counted, printable
from vertui.widgets.change_lines import MOST_FOUND
from vertui.widgets.change_view import ChangeView
from vertui.widgets.folder_list import FolderList

MOST_NOTES = 2
SETTLE_S = 0.08  # the cursor rests this long before a change is asked for
WALKING = (
    ("]/[", "file"), (")/(", "change"), ("|", "side by side"), ("{filter}", "search"), ("!", "noise"),
    ("{fold}/{fold_all}", "fold"), ("tab 1 2", "other pane"), ("\\", "wrap"), ("_", "white space"),
    ("n/N", "next found"), ("J/K", "scroll the text"), ("ctrl+f/b", "by pages"), ("ctrl+g/l", "to its ends"),
    ("ctrl+r", "compare again"), ("{copy}", "copy as command"),
)  # fmt: skip


F = TypeVar("F")


class ComparingScreen(VertuiScreen, Generic[F]):
    """Compares when it opens, and shows the change of what the cursor rests on. `found` is what a comparison found, an
    F, once it is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("q", "app.pop_screen", show=False),
        Binding("ctrl+r", "read", show=False),
        bound("copy", "copy"),
        Binding("exclamation_mark", "noise", show=False),
        bound("filter", "search"),
        bound("fold", "fold_here"),
        bound("fold_all", "fold_all"),
        Binding("n", "found(1)", show=False),
        Binding("N", "found(-1)", show=False),
        Binding("right_square_bracket", "file(1)", show=False),
        Binding("left_square_bracket", "file(-1)", show=False),
        Binding("right_parenthesis", "change(1)", show=False),
        Binding("left_parenthesis", "change(-1)", show=False),
        Binding("vertical_line", "show_as('side_by_side')", show=False),
        Binding("backslash", "show_as('wrapped')", show=False),
        Binding("underscore", "show_as('blank')", show=False),
        Binding("1", "go_to_pane(1)", show=False),
        Binding("2", "go_to_pane(2)", show=False),
        *SCROLL_BESIDE_KEYS,
    ]
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS

    def __init__(self) -> None:
        super().__init__()
        self.found: F | None = None
        self.round = 0  # of comparing: an answer to an older question is none
        self.comparing = False  # what is shown is of the comparison before, and is asked about no more
        self.unread = False  # a comparison failed
        self.looked_at: object = None  # what the view shows, or waits for
        self.settling: Timer | None = None
        self.sought = ""  # in the text
        self.words = ""  # that a path must contain
        self._in_text = False  # what the search line is for
        self._growth = 0  # of trees
        self._syntax = Syntax()
        # Held, not asked for by name: an answer may come while the screen is left, when no name leads to them any more.
        self.notes = Words(id="notes")
        self.line = TextInput(id="search")

    # -- what a screen has to say ----------------------------------------------------------------------------

    @property
    @abstractmethod
    def files(self) -> FolderList[Any]:
        """The tree."""

    @property
    @abstractmethod
    def view(self) -> ChangeView:
        """The changes of what is under the cursor."""

    @property
    @abstractmethod
    def command(self) -> str:
        """The command that prints what is shown."""

    @abstractmethod
    def items_of(self, found: F) -> Sequence[HasPath]:
        """All that differ."""

    def count(self, item: Any) -> Totals:
        """What one of them adds to the folders it is in."""
        return Totals(1)

    @abstractmethod
    def show_found(self, tree: Folders[Any]) -> None:
        """What was found is known, and has this tree."""

    @abstractmethod
    def read(self) -> None:
        """Compare."""

    @abstractmethod
    def look(self) -> None:
        """Show what is under the cursor, at once: nothing may stand under a wrong name."""

    # -- a comparison ----------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Ask for the files."""
        liked = self.vertui.arrangement
        self.view.show_as(side_by_side=liked.side_by_side, wrapped=liked.wrapped, blank=liked.blank)
        self.files.focus()
        self.read()

    def on_unmount(self) -> None:
        """Nobody asks for colours any more."""
        self._syntax.close()

    def action_read(self) -> None:
        """Compare again: running branches have gone on."""
        self.read()

    def hear(self, news: News) -> None:
        """Compare again if the daemon went away meanwhile."""
        if news.fresh and self.unread:
            self.read()

    def begin(self, title: str) -> int:
        """A comparison begins; its number."""
        self.round += 1
        self._growth += 1
        self.looked_at, self.unread, self.comparing = None, False, True
        entitle(self.files, title, "comparing…")
        return self.round

    def is_late(self, asked: int) -> bool:
        """Has another comparison begun since, or the screen been left?"""
        return not self.is_attached or asked != self.round

    def tell_notes(self, notes: Iterable[str]) -> None:
        """Say what limits the comparison, of many states that of one."""
        lines = [*map(printable, notes)]
        if len(lines) > MOST_NOTES:
            copies = BY_ID["copy"].key_label
            lines = [lines[0], f"and {len(lines) - 1} more such: {copies} copies the command that tells all"]
        told = "\n".join(lines)
        self.notes.display = bool(told)
        self.notes.say(Text(told, style=theme.GOLD))

    def grow(self) -> None:
        """Make the tree anew: other words are asked for, or other rules are on."""
        if self.found is not None and not self.comparing:
            self.take(self.found)

    def take(self, found: F) -> None:
        """Make the tree of what was found, in a thread, as there may be many files; then show it."""
        self._growth += 1
        asked, words, noise = self._growth, self.words.lower().split(), Noise(self.vertui.arrangement.rules)

        def wanted(path: str) -> bool:
            small = path.lower()
            return all(word in small for word in words)

        def grown(tree: Folders[Any]) -> None:
            if self.is_attached and asked == self._growth:
                self.found = found
                self.show_found(tree)

        self.vertui.ask(lambda: grow(self.items_of(found), noise, self.count, wanted), grown)

    def show_tree(self, tree: Folders[Any]) -> None:
        """Show another tree, and let go of the one before where that holds up nothing."""
        before, self.comparing = self.files.tree_of, False
        self.files.show_tree(tree, found=bool(self.words))
        self.vertui.ask(before.forget)

    def colour(self, change: FilePatch, path: str) -> None:
        """Have a change coloured by what its file's name says that it is."""

        def coloured(colours: dict[int, Spans]) -> None:
            change.colours.update(colours)
            if colours and self.is_attached and self.view.change is change:
                self.view.draw_anew()

        self.vertui.ask(lambda: self._syntax.of(change, path.rpartition("/")[2]), coloured)

    # -- keys ------------------------------------------------------------------------------------------------

    def on_row_list_moved(self) -> None:
        """Another file."""
        self.look()

    def on_change_view_stepped(self) -> None:
        """Say where in the change it is."""
        self.tell_place()

    def tell_place(self, trouble: str = "") -> None:
        """Say how many changes there are, at which it is, and how they are shown."""
        view = self.view
        blocks, found = len(view.change.blocks), len(view.found)
        told = [counted(blocks, "change")] if blocks else []
        if view.block >= 0:
            told = [f"change {view.block + 1} of {blocks}"]
        more = "or more " if found >= MOST_FOUND else ""
        told += [f"{counted(found, 'line')} {more}with “{self.sought}”"] if self.sought else []
        told += [name for name, on in (("side by side", view.side_by_side), ("wrapped", view.wrapped)) if on]
        told += ["white space ignored"] if view.blank else []
        entitle(view, below=trouble or " · ".join(told))

    def action_go_to_pane(self, number: int) -> None:
        """Give the files the keys, or the text where it is shown."""
        if number == 1 or self.view.display:
            self.set_focus(self.files if number == 1 else self.view)

    def action_file(self, by: int) -> None:
        """The next file, or the one before."""
        self.files.step(by)

    def action_fold_here(self) -> None:
        """Fold or unfold the folder under the cursor."""
        self.files.action_fold_here()

    def action_fold_all(self) -> None:
        """Fold all folders, or unfold all."""
        self.files.action_fold_all()

    def action_change(self, by: int) -> None:
        """The next change of the file, or the one before."""
        if self.view.display and not self.view.step(by):
            self.tell_place("no change below: ] is the next file" if by > 0 else "no change above")

    def action_show_as(self, what: str) -> None:
        """Show changes in another way, in later comparisons too."""
        value = not getattr(self.view, what)
        setattr(self.vertui.arrangement, what, value)
        self.view.show_as(**{what: value})

    def action_noise(self) -> None:
        """Show the list of what is noise."""
        items = self.items_of(self.found) if self.found is not None else ()
        liked = self.vertui.arrangement

        def changed(rules: tuple[Rule, ...] | None) -> None:
            if rules is not None and rules != liked.rules:
                liked.rules = rules
                self.grow()

        def show(counts: dict[str, int]) -> None:
            if self.is_current:
                self.app.push_screen(NoiseDialog(liked.rules, counts), changed)

        self.vertui.ask(lambda: count(item.path for item in items), show)

    def action_search(self) -> None:
        """Ask for words: of a path while the files have the focus, else of the text."""
        self._in_text = self.view.has_focus
        line = self.line
        line.value = self.sought if self._in_text else self.words
        line.hint("words in the text" if self._in_text else "words that a path must contain")
        line.display = True  # by a class of the screen everything on it would be styled anew
        line.focus()

    def on_input_changed(self, event: TextInput.Changed) -> None:
        """Search as it is typed."""
        if self._in_text and event.value != self.sought:
            self.sought = event.value
            self.view.search(event.value)
            self.tell_place()
        elif not self._in_text and event.value != self.words:
            self.words = event.value
            self.grow()

    def on_input_submitted(self) -> None:
        """Keep it, and go back."""
        self._end_search()

    def action_found(self, by: int) -> None:
        """The next line with what is searched for, or the one before."""
        self.view.step_found(by)

    def action_copy(self) -> None:
        """Copy the command that prints what is shown."""
        self.app.copy_to_clipboard(self.command)
        toast(self.app, f"copied: {self.command}", TOAST_S, error=False)

    def action_back(self) -> None:
        """Leave the search line, then the text, then what is searched for, then the screen."""
        if self.line.display:
            self.line.value = ""
            self._end_search()
        elif self.view.has_focus:
            self.files.focus()
        elif self.words:
            self.words = ""
            self.grow()
        else:
            self.app.pop_screen()

    def _end_search(self) -> None:
        self.line.display = False
        (self.view if self._in_text else self.files).focus()
