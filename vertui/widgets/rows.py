"""A list with a cursor: vim keys, arrows and mouse, one line an item, drawn only where it is visible."""

from collections.abc import Callable, Container, Hashable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from vertui import theme
from vertui.plain import cut
from vertui.widgets.lines import segments
from vertui.widgets.scrolling import lengthen

T = TypeVar("T")
CURSOR_STYLE = Style(bgcolor=theme.SELECTED)
BAR = Segment("▌", Style(color=theme.TEAL, bgcolor=theme.SELECTED))
BLURRED_BAR = Segment("▌", Style(color=theme.FAINT, bgcolor=theme.SELECTED))
MARGIN = Segment(" ")
NEAR = 3  # rows that what changes moves the cursor by, mostly


class RowList(ScrollView, Generic[T], can_focus=True):
    """Shows items, each drawn by `draw(item, width)`. The cursor stays on its item, told by `key`, when they change."""

    DEFAULT_CSS = """
    RowList { overflow-x: hidden; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("ctrl+d,pagedown", "page(1)", show=False),
        Binding("ctrl+u,pageup", "page(-1)", show=False),
        Binding("g,home", "first", show=False),
        Binding("G,end", "last", show=False),
        Binding("enter", "choose", show=False),
    ]
    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """The cursor is on another item."""

        def can_replace(self, message: Message) -> bool:
            """Only where the cursor ends up matters."""
            return isinstance(message, RowList.Moved) and message._sender is self._sender

    class Chosen(Message):
        """Enter or a double click on an item."""

    def __init__(
        self,
        draw: Callable[[T, int], Text],
        key: Callable[[T], Hashable] = repr,
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._draw, self._key = draw, key
        self._items: Sequence[T] = ()
        self._drawn: dict[tuple[int, bool, bool], Strip] = {}
        self._drawn_width = 0
        self._base = Style()  # of all of it; asking the stylesheet for every row costs a third of the drawing

    def notify_style_update(self) -> None:
        """Textual's hook for another look."""
        super().notify_style_update()
        self._drawn.clear()

    @property
    def items(self) -> Sequence[T]:
        """What is shown."""
        return self._items

    @property
    def _width(self) -> int:
        """Of a row: what a scrollbar leaves."""
        return self.scrollable_content_region.width

    @property
    def current(self) -> T | None:
        """The item under the cursor."""
        return self._items[self.cursor] if self._items else None

    def show(self, items: Sequence[T]) -> None:
        """Show these items; the cursor stays on its own if it is still there, else where it was."""
        old, stale = self.current, self._stale_rows(items)
        self._drawn = self._still_right(items)
        self._items = items
        lengthen(self, len(items), self._width)
        place = None if old is None else self.find(old)
        with self.prevent(RowList.Moved):  # of an item that another one pushed on
            self.cursor = self.validate_cursor(self.cursor if place is None else place)
        new = self.current
        if (old is None) != (new is None) or (old and new and self._key(old) != self._key(new)):
            self.post_message(self.Moved())
        if stale is None or stale:
            self.refresh(*stale or ())

    def find(self, item: T) -> int | None:
        """Where an item stands now that was shown before; None when it is there no more."""
        if (place := self.find_near(item)) is not None:
            return place
        key = self._key(item)
        return next((place for place, one in enumerate(self._items) if self._key(one) == key), None)

    def find_near(self, item: T) -> int | None:
        """The same, of an item that is not far from the cursor."""
        key, items = self._key(item), self._items
        near = range(max(0, self.cursor - NEAR), min(self.cursor + NEAR, len(items)))
        return next((place for place in near if self._key(items[place]) == key), None)

    def go_to(self, item: T) -> bool:
        """Put the cursor on an item; False when it is not there."""
        if (place := self.find(item)) is None:
            return False
        self.cursor = place
        return True

    def validate_cursor(self, cursor: int) -> int:
        """Within the items."""
        return max(0, min(cursor, len(self._items) - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        """Draw the two lines that changed and scroll the new one into view."""
        for index in (old, new):
            self.refresh(self._region(index))
        self._reveal(new)
        self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        """Move by rows."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """Move by half a screen."""
        self.cursor += by * max(1, self.size.height // 2)

    def action_first(self) -> None:
        """Go to the top."""
        self.cursor = 0

    def action_last(self) -> None:
        """Go to the bottom."""
        self.cursor = len(self._items) - 1

    def action_choose(self) -> None:
        """Choose the current item."""
        if self._items:
            self.post_message(self.Chosen())

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse is; a second click chooses."""
        index = event.y - self.content_offset_y + self.scroll_offset.y
        if 0 <= index < len(self._items):
            self.cursor = index
            if event.chain == 2:
                self.action_choose()

    @property
    def content_offset_y(self) -> int:
        """Rows taken by the border above the first line."""
        return self.gutter.top

    def _still_right(self, items: Sequence[T]) -> dict[tuple[int, bool, bool], Strip]:
        """The strips of rows that will look as they do now, where they are or where what came above pushes them."""
        grown, found = len(items) - len(self._items), {}
        for (index, *how), strip in self._drawn.items():
            for place in (index, index + grown):
                if 0 <= place < len(items) and items[place] == self._items[index]:
                    found[place, how[0], how[1]] = strip
                    break
        return found

    def _stale_rows(self, items: Sequence[T]) -> list[Region] | None:
        """The rows in view that will look different, where nothing else does; None for all."""
        if len(items) != len(self._items) or not self._drawn:
            return None
        top = self.scroll_offset.y
        places = range(top, min(top + self.size.height, len(items)))
        return [self._region(place) for place in places if items[place] != self._items[place]]

    def _region(self, place: int) -> Region:
        """Where a row is, of what is in view."""
        return Region(0, place - self.scroll_offset.y, self.size.width, 1)

    def draw_anew(self) -> None:
        """What `draw` makes of the items has changed."""
        self._drawn.clear()
        self.refresh()

    def draw_some_anew(self, keys: Container[Hashable]) -> None:
        """What `draw` makes of the items with these keys has changed."""
        for place in [place for place in self._drawn if self._key(self._items[place[0]]) in keys]:
            del self._drawn[place]
            self.refresh(self._region(place[0]))

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._drawn.clear()
        lengthen(self, len(self._items), self._width)
        self._reveal(self.cursor)

    def on_focus(self) -> None:
        """The cursor looks different with the focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor looks different without the focus."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one visible row, once: scrolling and moving show strips drawn before."""
        index = y + self.scroll_offset.y
        width = self._width
        if index >= len(self._items):
            return Strip.blank(width, self._base or self.rich_style)
        if width != self._drawn_width:  # a scrollbar came or went
            self._drawn_width = width
            self._drawn.clear()
        if not self._drawn:
            self._base = self.rich_style
        key = (index, index == self.cursor, self.has_focus)
        if (strip := self._drawn.get(key)) is None:
            strip = self._drawn[key] = self._strip(*key)
        return strip

    def _strip(self, index: int, selected: bool, focused: bool) -> Strip:
        """The cursor's bar, then the item."""
        width, style = self._drawn_width, self._base
        text = self._draw(self._items[index], width - 1)
        text.end = ""
        bar = (BAR if focused else BLURRED_BAR) if selected else MARGIN
        strip = Strip([bar, *segments(text, self.app.console)]).adjust_cell_length(width)
        return strip.apply_style(style + CURSOR_STYLE if selected else style)

    def _reveal(self, index: int) -> None:
        top, height = self.scroll_offset.y, self.size.height
        if height and not top <= index < top + height:
            target = index if index < top else index - height + 1
            # by force: the scrollbar that new rows bring is not there yet, and without one nothing scrolls
            self.scroll_to(y=target, animate=False, immediate=True, force=True)


def columns(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of a row; `left` gives way."""
    room = width - right.cell_len - 1
    if room < 12:  # no room for both: the left one says what the item is
        return cut(left, width)
    return cut(left, room, pad=True).append(" ").append_text(right)
