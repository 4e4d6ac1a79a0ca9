"""The two dialogs: a form that asks, and a plan that is shown before it is carried out."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from core.errors import UsageError
from core.model import Plan, check_name
from vertui import theme
from vertui.screens.base import Dialog
from vertui.text import printable, size

Check = Callable[[str], str | None]
Answers = dict[str, str]


@dataclass(frozen=True)
class Field:
    """One question. `check` gives the reason why an answer is none."""

    id: str
    label: str
    value: str = ""
    hint: str = ""
    check: Check = lambda text: None


def whole_number(least: int, most: int) -> Check:
    """A check for a whole number in a range."""

    def check(text: str) -> str | None:
        good = text.isascii() and text.isdigit() and least <= int(text) <= most
        return None if good else f"a whole number from {least} to {most}"

    return check


def any_number(text: str) -> str | None:
    """A check for a number."""
    try:
        return None if abs(float(text)) < float("inf") else "a number that is finite"
    except ValueError:
        return "a number"


def name(text: str) -> str | None:
    """A check for a legal name."""
    try:
        check_name(text)
    except UsageError as error:
        return str(error)
    return None


def optional(check: Check) -> Check:
    """Nothing, or what `check` accepts."""
    return lambda text: check(text) if text else None


def needed(text: str) -> str | None:
    """A check for anything at all."""
    return None if text else "needed"


class FormDialog(Dialog[Answers]):
    """Asks for some values; enter in any field submits. Answers None when left."""

    def __init__(self, title: str, fields: tuple[Field, ...], submit: str, note: str = "") -> None:
        super().__init__()
        self._title, self._fields, self._submit, self._note = title, fields, submit, note

    def compose(self) -> ComposeResult:
        """A line a field, the reason line, two buttons."""
        with Vertical(classes="box") as box:
            box.border_title = printable(self._title)
            for field in self._fields:
                with Horizontal(classes="field"):
                    yield Label(field.label)
                    yield Input(field.value, placeholder=field.hint, id=field.id, compact=True)
            if self._note:
                yield Static(Text(self._note, style=theme.MUTED), classes="note")
            yield Static(id="reason")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._submit, id="submit", variant="primary", compact=True)

    def on_input_submitted(self) -> None:
        """Enter."""
        self._try_submit()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Either button."""
        if event.button.id == "submit":
            self._try_submit()
        else:
            self.dismiss(None)

    def _try_submit(self) -> None:
        answers = {field.id: self.query_one(f"#{field.id}", Input).value.strip() for field in self._fields}
        for field in self._fields:
            if reason := field.check(answers[field.id]):
                self.query_one("#reason", Static).update(Text(f"{field.label}: {reason}", style=theme.RED))
                self.query_one(f"#{field.id}", Input).focus()
                return
        self.dismiss(answers)


class Answer(Enum):
    """What was said to a plan; OTHER is the plan's variant."""

    DO = "do"
    OTHER = "other"


class PlanDialog(Dialog[Answer]):
    """Shows exactly what will happen; Cancel has the focus. Answers None when it is not to be."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,right,h,l", "other_button", show=False),
        Binding("n", "variant", show=False),
    ]

    def __init__(self, title: str, lines: tuple[str, ...], footing: Text, do: str, variant: str = "") -> None:
        super().__init__()
        self._title, self._lines, self._footing = title, lines, footing
        self._do, self._variant = do, variant

    def compose(self) -> ComposeResult:
        """The lines, what it means for undo, two buttons."""
        with Vertical(classes="box plan") as box:
            box.border_title = printable(self._title)
            with VerticalScroll(can_focus=False):
                yield Static(
                    Text("\n".join(f"• {printable(line)}" for line in self._lines), style=theme.TEXT)
                )
            yield Static(self._footing, classes="note")
            if self._variant:
                yield Static(Text.assemble(("n ", theme.TEAL), (self._variant, theme.MUTED)))
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._do, id="do", variant="error", compact=True)

    def on_mount(self) -> None:
        """Enter by habit must destroy nothing."""
        self.query_one("#cancel", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Either button."""
        self.dismiss(Answer.DO if event.button.id == "do" else None)

    def action_other_button(self) -> None:
        """Go to the other button."""
        self.focus_next("Button")

    def action_variant(self) -> None:
        """Ask for the plan's variant."""
        if self._variant:
            self.dismiss(Answer.OTHER)


def plan_dialog(plan: Plan, do: str, variant: str = "") -> PlanDialog:
    """The dialog of a plan made by the daemon."""
    footing = Text()
    if plan.frees_bytes:
        footing.append(f"frees {size(plan.frees_bytes)}  ", theme.MUTED)
    if plan.undoable:
        footing.append("u takes it back", theme.GREEN)
    else:
        footing.append("nothing brings it back", f"bold {theme.RED}")
    lines = (*plan.lines, *(f"file {file}" for file in plan.files)) or ("nothing",)
    return PlanDialog(plan.verb, lines, footing, do, variant)
