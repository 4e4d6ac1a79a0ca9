"""The two dialogs: a form that asks, and a plan that is shown before it is carried out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget

from core.model import Plan
from vertui import theme
from vertui.plain import Caption, Choice, TextInput, Words, entitle
from vertui.screens.base import SCROLL_KEYS, Dialog
from vertui.text import printable, size
from vertui.widgets.footer import KeyHints

Check = Callable[[str], str | None]
Answers = dict[str, str]
Rule = Callable[[Answers], str | None]  # why answers that are good one by one are not together


@dataclass(frozen=True)
class Field:
    """One question. `check` gives the reason why an answer is none."""

    id: str
    label: str
    value: str = ""
    hint: str = ""
    check: Check = lambda text: None


def needed(text: str) -> str | None:
    """A check for anything at all."""
    return None if text else "needed"


class FormDialog(Dialog[Answers]):
    """Asks for some values; enter in any field submits. Answers None when left."""

    def __init__(
        self, title: str, fields: tuple[Field, ...], submit: str, rule: Rule = lambda answers: None
    ) -> None:
        super().__init__()
        self._title, self._fields, self._submit, self._rule = title, fields, submit, rule

    def compose(self) -> ComposeResult:
        """A line a field, the reason line, two buttons."""
        with Vertical(classes="box") as box:
            entitle(box, self._title)
            for field in self._fields:
                with Horizontal(classes="field"):
                    yield Caption(field.label)
                    yield TextInput(field.value, hint=field.hint, id=field.id)
            yield Words(id="reason")
            with Horizontal(classes="buttons"):
                yield Choice("Cancel", id="cancel")
                yield Choice(self._submit, id="submit", main=True)

    def on_input_submitted(self) -> None:
        """Enter."""
        self._try_submit()

    def on_button_pressed(self, event: Choice.Pressed) -> None:
        """Either button."""
        if event.button.id == "submit":
            self._try_submit()
        else:
            self.dismiss(None)

    def _try_submit(self) -> None:
        answers = {
            field.id: self.query_one(f"#{field.id}", TextInput).value.strip() for field in self._fields
        }
        for field in self._fields:
            if reason := field.check(answers[field.id]):
                said = Text(printable(f"{field.label}: {reason}"), style=theme.RED)
                self.query_one("#reason", Words).say(said)
                self.query_one(f"#{field.id}", TextInput).focus()
                return
        if reason := self._rule(answers):
            self.query_one("#reason", Words).say(Text(printable(reason), style=theme.RED))
            return
        self.dismiss(answers)


class Answer(Enum):
    """What was said to a plan; OTHER is the plan's variant."""

    DO = "do"
    OTHER = "other"


class PlanDialog(Dialog[Answer]):
    """Shows exactly what will happen; Cancel has the focus. Answers None when it is not to be."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
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
            entitle(box, self._title)
            with VerticalScroll(can_focus=False):
                yield Words(Text("\n".join(f"• {printable(line)}" for line in self._lines), style=theme.TEXT))
            yield Words(self._footing, classes="note")
            with Horizontal(classes="buttons"):
                yield Choice("Cancel", id="cancel")
                yield Choice(self._do, id="do", dangerous=True)
            yield KeyHints(*self._hints)

    def on_mount(self) -> None:
        """Enter by habit must destroy nothing."""
        self.query_one("#cancel", Choice).focus()

    def scrolled(self) -> Iterable[Widget]:
        """The lines."""
        return self.query(VerticalScroll)

    @property
    def _hints(self) -> list[tuple[str, str]]:
        variant = [("n", self._variant)] if self._variant else []
        return [*variant, ("j/k", "scroll"), ("←/→", "choose"), ("esc", "leave")]

    def on_button_pressed(self, event: Choice.Pressed) -> None:
        """Either button."""
        self.dismiss(Answer.DO if event.button.id == "do" else None)

    def action_other_button(self) -> None:
        """Go to the other button."""
        self.focus_next("Choice")

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
    return PlanDialog(plan.verb, plan.lines or ("nothing",), footing, do, variant)
