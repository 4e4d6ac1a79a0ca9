"""The one way from text to what Textual shows: nothing in it is read as markup, nothing in it is control.

Titles, labels, toasts, buttons and help texts of Textual parse markup where they are given a `str`; a name from a
guest could crash them or plant a click. Here a `str` is plain text, made printable; a rich `Text` is taken as it is,
so whoever makes one makes its parts printable.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar
from weakref import WeakKeyDictionary

from rich.cells import cell_len
from rich.text import Text
from textual.app import App
from textual.content import Content
from textual.events import Paste
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from vertui.text import printable

Shown = str | Text
T = TypeVar("T")
_TITLES: WeakKeyDictionary[Widget, dict[str, object]] = WeakKeyDictionary()  # as they were given last
TOLD_S = 8.0
CONTROL_PICTURES = 0x2400  # U+2400 … U+241F are pictures of the control characters 0 … 31


def plain(text: Shown, style: str = "") -> Content:
    """Content that shows `text` as it is."""
    if isinstance(text, Text):
        return Content.from_rich_text(text)
    return Content.styled(printable(text), style)


def entitle(widget: Widget, title: Shown | None = None, below: Shown | None = None) -> None:
    """Give a widget a title in its upper border, in its lower one, or both; what is None stays."""
    said = _TITLES.setdefault(widget, {})
    for place, text in (("border_title", title), ("border_subtitle", below)):
        if text is not None and said.get(place) != (
            look := _look(text)
        ):  # else all of the widget is drawn again
            said[place] = look
            setattr(widget, place, plain(text))


def _look(text: Shown) -> object:
    return text if isinstance(text, str) else (text.plain, text.style, tuple(text.spans))


def toast(app: App[T], text: str, seconds: float, *, title: str = "", error: bool = True) -> None:
    """Show an error, or a word, in a corner for a while; `title` says what it is about."""
    severity: Literal["error", "information"] = "error" if error else "information"
    app.notify(printable(text), title=printable(title), severity=severity, timeout=seconds, markup=False)


def cut(text: Text, width: int, *, pad: bool = False) -> Text:
    """Make a text fit, and with `pad` fill it up: what is cut ends in one ellipsis, whatever it ended with."""
    if text.cell_len > width:
        text.truncate(max(0, width - 1), overflow="crop")
        text.rstrip()
        while text.plain.endswith("…"):
            text.right_crop(1)
        text.append("…")
    if pad:
        text.truncate(width, pad=True)
    return text


def cut_each(lines: Iterable[Text], width: int) -> Iterator[Text]:
    """Lines that must stay one row each."""
    return (cut(line, width) for line in lines)


class Words(Static):
    """A few lines of text."""

    def __init__(self, text: Shown = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(plain(text), id=id, classes=classes)

    def say(self, text: Shown) -> None:
        """Show this text instead."""
        self.update(plain(text))


class Caption(Label):
    """The word beside a field."""

    def __init__(self, text: str) -> None:
        super().__init__(plain(text))


class Choice(Button):
    """A button of one line; a dangerous one is red."""

    def __init__(self, text: str, *, id: str, main: bool = False, dangerous: bool = False) -> None:
        super().__init__(
            plain(text),
            id=id,
            variant="error" if dangerous else "primary" if main else "default",
            compact=True,
        )


class TextInput(Input):
    """A field to type in. What it holds is kept as it was typed or pasted, and shown a character a character: a picture
    stands in place of each that cannot be seen, so that the cursor's place stays right.
    """

    def __init__(self, value: str = "", *, hint: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=printable(hint), id=id, compact=True)

    def begin(self, value: str, hint: str) -> None:
        """Be about something else."""
        self.value, self.placeholder = value, printable(hint)

    def hint(self, text: str) -> None:
        """Say what is to be typed."""
        self.placeholder = printable(text)

    @property
    def answer(self) -> str:
        """What is meant: blanks around it are nobody's."""
        return self.value.strip()

    @property
    def _value(self) -> Text:
        """What Textual draws. No highlighter could make it: a rich Text drops bells and backspaces at once."""
        return Text(_pictures(self.value), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(_pictures(self.value[:position]))


class UnseenInput(TextInput):
    """A field for what nobody is to see: a dot a character. Nothing of it gets to the clipboard."""

    def __init__(self, value: str = "", *, hint: str = "", id: str | None = None) -> None:
        super().__init__(value, hint=hint, id=id)
        self.password = True

    @property
    def answer(self) -> str:
        """All of it."""
        return self.value

    @property
    def _value(self) -> Text:
        return Text("•" * len(self.value), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return position

    def _on_paste(self, event: Paste) -> None:
        """Textual would keep the first line of several, and nobody would see that."""
        event.prevent_default()
        event.stop()
        text = event.text.rstrip("\r\n")
        if "\n" in text or "\r" in text:
            toast(self.app, "a value of several lines is for the command line, from a file", TOLD_S)
        else:
            self.replace(text, *self.selection)

    def action_copy(self) -> None:
        """Nothing is copied."""

    def action_cut(self) -> None:
        """Nor cut."""


def _pictures(text: str) -> str:
    return "".join(map(_picture, text))


def _picture(char: str) -> str:
    if len(printable(f"a{char}")) == 2:
        return char
    return chr(CONTROL_PICTURES + ord(char)) if ord(char) < 0x20 else "\N{REPLACEMENT CHARACTER}"
