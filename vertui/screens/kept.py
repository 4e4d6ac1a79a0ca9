"""A list that the daemon keeps and no tree shows: read when it is opened, and again whenever something was done."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.text import Text
from textual.binding import Binding, BindingType

from core.errors import VertuiError
from core.verbs.base import Verb
from vertui import theme
from vertui.actions import BY_ID
from vertui.base import told
from vertui.feed import News
from vertui.plain import entitle
from vertui.screens.base import VertuiScreen, changing
from vertui.screens.plan import Answer, PlanDialog
from vertui.text import printable
from vertui.widgets.pace import Pace
from vertui.widgets.rows import RowList

T = TypeVar("T")
EVERY_S = (
    1.0  # between two looks, however much is done: to count what ten thousand commits take costs the daemon
)


class KeptScreen(VertuiScreen, Generic[T]):
    """Called what its list is called; `none` is said while there is nothing in it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "app.pop_screen", show=False)]

    def __init__(
        self, name: str, draw: Callable[[T, int], Text], key: Callable[[T], Hashable], none: str
    ) -> None:
        super().__init__()
        self._called, self._none = name, none
        self.rows = RowList[T](draw, key, id=name)
        self._reading = self._stale = False
        self._pace = Pace(self, self.read, EVERY_S)

    @abstractmethod
    def look(self) -> Sequence[T]:
        """All there is, asked in a thread."""

    def on_mount(self) -> None:
        """Read it."""
        entitle(self.rows, self._called, "reading…")
        self.read()

    def hear(self, news: News) -> None:
        """Read it again when something was done, or the daemon has come back."""
        if self.is_mounted and (
            news.fresh or any(event.kind in ("operation", "trash") for event in news.events)
        ):
            self._pace.ask()

    def read(self) -> None:
        """Once at a time, however much is done meanwhile."""
        if self._reading:
            self._stale = True
            return
        self._reading = True
        self.ask(self.look, self._show, self._failed)

    def show(self, items: Sequence[T]) -> None:
        """These are all."""
        self.rows.show(items)
        self.rows.draw_anew()  # ages are others
        entitle(self.rows, below="" if items else self._none)

    def _show(self, items: Sequence[T]) -> None:
        self._reading = False
        self.show(items)
        if self._stale:
            self._stale = False
            self.read()

    def _failed(self, error: VertuiError) -> None:
        self._reading = self._stale = False
        entitle(self.rows, below=Text(printable(told(error)), style=theme.RED))

    # -- what nothing brings back -----------------------------------------------------------------------------

    @changing
    def take_away(self, verb: Verb[Any], name: str, lines: tuple[str, ...], do: str, doing: str) -> None:
        """Say what that means, have the name typed, and do it."""

        def answer(said: Answer | None) -> None:
            if said is Answer.DO:
                self.vertui.call(
                    f"{doing} {name}", lambda: self.vertui.client.do(verb), lambda _: self.reread()
                )

        footing = Text("nothing brings it back", style=f"bold {theme.RED}")
        self.app.push_screen(PlanDialog(f"{do.lower()} {name}", lines, footing, do, word=name), answer)

    def reread(self) -> None:
        """Read it if it is still looked at."""
        if self.is_attached:
            self.read()


def none_yet(what: str, begins: str) -> str:
    """What is said of an empty list."""
    return f"{what}: {BY_ID['up'].key_label} {begins}"
