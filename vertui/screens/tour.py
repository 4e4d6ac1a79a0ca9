"""The first steps: six cards, shown by themselves when a home is started first, and whenever they are asked for."""

import contextlib
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from core.daemon.endpoint import Endpoint
from core.errors import VertuiError
from core.files import write_atomic
from core.home import Home
from vertui.plain import entitle
from vertui.screens.base import SCROLL_KEYS, Dialog
from vertui.widgets.footer import KeyHints
from vertui.widgets.lines import LineView
from vertui.words import CARDS, card_lines


class TourScreen(Dialog[None]):
    """A card at a time; that it was shown is kept in the home."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
        Binding("right,l,enter", "turn(1)", show=False),
        Binding("left,h", "turn(-1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    def compose(self) -> ComposeResult:
        """A card and the keys."""
        with Vertical(classes="box card"):
            yield LineView(id="card")
            yield KeyHints()

    def on_mount(self) -> None:
        """The first card."""
        if not self.vertui.read_only:
            self.vertui.ask(partial(remember, self.vertui.endpoint))
        self._show()

    def scrolled(self) -> Iterable[Widget]:
        """The card."""
        return self.query(LineView)

    def action_turn(self, by: int) -> None:
        """Go on, or back; from the last card on there is only the screen itself."""
        if self._at + by == len(CARDS):
            self.dismiss(None)
        else:
            self._at = max(0, self._at + by)
            self._show()

    def _show(self) -> None:
        card, last = CARDS[self._at], self._at == len(CARDS) - 1
        entitle(self.query_one(".card"), f"first steps · {self._at + 1} of {len(CARDS)} · {card.title}")
        view = self.query_one(LineView)
        view.show(card_lines(card))
        view.scroll_home(animate=False)
        back = (("←", "back"),) if self._at else ()
        self.query_one(KeyHints).become(
            ("⏎", "begin" if last else "next"), *back, ("esc", "leave" if last else "skip")
        )


def is_first_start(endpoint: Endpoint) -> bool:
    """Has nobody been shown the first steps in this home?"""
    return isinstance(endpoint, Home) and endpoint.catalog.exists() and not endpoint.toured.exists()


def remember(endpoint: Endpoint) -> None:
    """Keep that they were shown. May block. Where nothing can be kept they are shown again, which hurts nobody."""
    if is_first_start(endpoint) and isinstance(endpoint, Home):
        with contextlib.suppress(VertuiError):
            write_atomic(endpoint.toured, b"")
