"""How long a view that scrolls is. Textual lays the whole screen out anew whenever that changes."""

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widget import Widget


def lengthen(view: ScrollView, rows: int, width: int) -> None:
    """Let a view have so many rows of this width. The screen is laid out anew only if a scrollbar comes or goes."""
    if (size := Size(width, rows)) == view.virtual_size:
        return
    if not view.container_size.height:  # not on a screen yet
        view.virtual_size = size
        return
    view.set_reactive(Widget.virtual_size, size)
    shown = view.show_vertical_scrollbar = rows > view.container_size.height
    if shown:
        view.vertical_scrollbar.window_virtual_size = rows
    view.vertical_scrollbar.display = shown
    view.scroll_y = view.validate_scroll_y(view.scroll_y)
