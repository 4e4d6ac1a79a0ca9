"""What all screens share."""

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

if TYPE_CHECKING:
    from vertui.feed import News
    from vertui.ui import VertuiApp

T = TypeVar("T")


class VertuiScreen(Screen[None]):
    """A full screen."""

    @property
    def vertui(self) -> "VertuiApp":
        """The app, by its own type."""
        return cast("VertuiApp", self.app)

    def hear(self, news: "News") -> None:
        """Take notice of what happened, also while another screen covers this one."""


class Dialog(ModalScreen[T]):
    """A modal dialog: a box in the middle, escape leaves it without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        # priority: keys typed fast behind a tab must find the next field focused, not the one before
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]

    @property
    def vertui(self) -> "VertuiApp":
        """The app, by its own type."""
        return cast("VertuiApp", self.app)

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
