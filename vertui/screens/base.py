"""What all screens share: how text longer than its box is moved, and a way to their keys."""

import time
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from itertools import chain
from typing import ClassVar, Concatenate, ParamSpec, TypeVar, cast

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.reactive import Reactive
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from core.errors import VertuiError
from vertui.actions import BY_ID
from vertui.base import TOAST_S, BaseApp
from vertui.feed import News
from vertui.plain import toast
from vertui.selection import Selection
from vertui.text import printable
from vertui.widgets.footer import KeyHints

A = TypeVar("A")
T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="_Shared")
BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # columns, and the class from there on
HEIGHTS = [(0, "-short"), (18, "-low"), (32, "-high")]  # rows, and the class from there on
SCROLL_KEYS: list[BindingType] = [  # where nothing else is moved by these
    Binding("j,down", "scroll_rows(1)", show=False),
    Binding("k,up", "scroll_rows(-1)", show=False),
    Binding("ctrl+d,pagedown", "scroll_pages(1)", show=False),
    Binding("ctrl+u,pageup", "scroll_pages(-1)", show=False),
    Binding("g,home", "scroll_edge(0)", show=False),
    Binding("G,end", "scroll_edge(1)", show=False),
]
SCROLL_BESIDE_KEYS: list[BindingType] = [  # beside a list, which has the keys above
    Binding("J,ctrl+down", "scroll_rows(5)", show=False),
    Binding("K,ctrl+up", "scroll_rows(-5)", show=False),
    Binding("ctrl+f,ctrl+pagedown", "scroll_pages(1)", show=False),
    Binding("ctrl+b,ctrl+pageup", "scroll_pages(-1)", show=False),
    Binding("ctrl+g,ctrl+home", "scroll_edge(0)", show=False),
    Binding("ctrl+l,ctrl+end", "scroll_edge(1)", show=False),
]


def changing(action: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """What a screen does that changes more than the screen: where it may only look it says so instead."""

    @wraps(action)
    def guarded(screen: S, /, *given: P.args, **named: P.kwargs) -> None:
        if screen.vertui.may_change():
            action(screen, *given, **named)

    return guarded


def bound(action: str, does: str = "") -> Binding:
    """A key of another screen that does there what an action of the registry does: the same key, wherever it is moved.

    `does` is the screen's own way of it.
    """
    return Binding(BY_ID[action].key, does or f"do({action!r})", show=False, id=action)


class _Shared:
    """Methods of screens and dialogs alike. They scroll by force: a scrollbar that is not drawn yet stops nothing."""

    done_here: ClassVar[Collection[str]] = ()
    """Actions that are done here to what is selected here."""

    @property
    def vertui(self) -> BaseApp:
        """The app, as what it is to a screen."""
        return cast(BaseApp, cast(Widget, self).app)

    def hear(self, news: News) -> None:
        """Take notice of what happened, also while another screen covers this one."""

    def ask(
        self,
        work: Callable[[], T],
        then: Callable[[T], object],
        failed: Callable[[VertuiError], object] = lambda error: None,
    ) -> None:
        """Do `work` in a thread, without a word. An answer that comes when this was left is nobody's."""
        self.vertui.ask(work, self._while_here(then), self._while_here(failed))

    def _while_here(self, answer: Callable[[A], object]) -> Callable[[A], None]:
        def told(value: A) -> None:
            if cast(Widget, self).is_attached:
                answer(value)

        return told

    def scrolled(self) -> Iterable[Widget]:
        """What the scroll keys move."""
        return ()

    def action_scroll_rows(self, by: int) -> None:
        """Scroll by rows."""
        for pane in self.scrolled():
            pane.scroll_relative(y=by, animate=False, force=True)

    def action_scroll_pages(self, by: int) -> None:
        """Scroll by what is in view, less a row."""
        for pane in self.scrolled():
            pane.scroll_relative(y=by * max(1, pane.size.height - 1), animate=False, force=True)

    def action_scroll_edge(self, last: int) -> None:
        """Scroll to the first row or the last."""
        for pane in self.scrolled():
            pane.scroll_to(y=pane.max_scroll_y if last else 0, animate=False, force=True)

    def action_help(self) -> None:
        """Show the keys of this screen."""
        hints = [hint for line in cast(Widget, self).query(KeyHints) for hint in line.hints]
        told = {key for key, _ in hints}
        others = (action for action in map(BY_ID.__getitem__, self.done_here) if action.key_label not in told)
        self.vertui.show_keys([*hints, *((action.key_label, action.help) for action in others)])


class VertuiScreen(_Shared, Screen[None]):
    """A full screen. `takes_keys`: programs in it get all keys but its own."""

    takes_keys = False
    _cut = ("", 0.0)  # what was said in a corner last, and when
    says_jobs = False  # what is being done, by itself
    # Textual draws all of a screen anew at each; the two that look otherwise have seen to that themselves
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        bound("help", "help"),
        bound("start", "start_daemon"),
        bound("palette", "app.command_palette"),
        bound("picture", "app.picture"),
    ]

    @property
    def selection(self) -> Selection:
        """What actions act on."""
        return self.vertui.selection

    def way_of(self, action: str) -> str:
        """What the key of an action does here, as Textual has it; "" where it has none here."""
        own = chain.from_iterable(self._bindings.key_to_bindings.values())
        return next((binding.action for binding in own if binding.id == action), "")

    def tell_cut(self, text: str) -> None:
        """Say in a corner, too, what a line of the screen has no room for: what helps stands at its end."""
        before, now = self._cut, time.monotonic()
        if cell_len(printable(text)) + 2 > self.size.width and (
            text != before[0] or now - before[1] > TOAST_S
        ):
            self._cut = text, now
            toast(self.app, text, TOAST_S, error=False)

    def action_do(self, action: str) -> None:
        """Do an action, or say why it cannot be."""
        self.vertui.act(action)

    def action_start_daemon(self) -> None:
        """Start the daemon that somebody stopped."""
        self.vertui.start_daemon()


class Dialog(_Shared, ModalScreen[T]):
    """A modal dialog: a box in the middle, escape leaves it without an answer."""

    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", show=False),  # a field that is typed in takes its letters first
        bound("help", "help"),
        bound("picture", "app.picture"),
        # priority: keys typed fast behind a tab must find the next field focused, not the one before
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
