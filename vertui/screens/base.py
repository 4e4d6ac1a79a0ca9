"""What all screens share."""

from typing import TYPE_CHECKING, TypeVar, cast

from textual.screen import ModalScreen, Screen

if TYPE_CHECKING:
    from vertui.app import VertuiApp
    from vertui.feed import News

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

    BINDINGS = [("escape", "leave", "leave")]  # noqa: RUF012 (Textual's own shape)

    @property
    def vertui(self) -> "VertuiApp":
        """The app, by its own type."""
        return cast("VertuiApp", self.app)

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
