"""The form that asks; of a plan that is shown first see `plan`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll

from vertui import theme
from vertui.plain import Caption, Choice, TextInput, Words, entitle
from vertui.screens.base import Dialog
from vertui.text import printable
from vertui.widgets.footer import KeyHints

Check = Callable[[str], str | None]
Answers = dict[str, str]
Told = Callable[[Answers], str]
Rule = Callable[[Answers], str | None]  # why answers that are good one by one are not together


@dataclass(frozen=True)
class Field:
    """One question. `check` gives the reason why an answer is none; `line` makes what it is typed into, where that is
    no plain one.
    """

    id: str
    label: str
    value: str = ""
    hint: str = ""
    check: Check = lambda text: None
    line: Callable[..., TextInput] | None = None

    def typed(self) -> TextInput:
        """What it is typed into."""
        return (self.line or TextInput)(self.value, hint=self.hint, id=self.id)


def needed(text: str) -> str | None:
    """A check for anything at all."""
    return None if text else "needed"


class FormDialog(Dialog[Answers]):
    """Asks for some values; enter in any field submits. Answers None when left.

    `tell` says in a line what good answers would come to, while they are typed; `command` is the command line that does
    the same. With `do` the form is not left when it is submitted: `do` has it `end`, or `resume` with what was typed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+y", "copy", show=False, priority=True)]

    def __init__(
        self,
        title: str,
        fields: tuple[Field, ...],
        submit: str,
        rule: Rule = lambda answers: None,
        *,
        tell: Told = lambda answers: "",
        command: Told | None = None,
        do: Callable[[Answers], object] | None = None,
        hints: tuple[tuple[str, str], ...] = (("tab", "next"),),
    ) -> None:
        super().__init__()
        self._title, self._fields, self._submit, self._rule = title, fields, submit, rule
        self._tell, self._as_command, self._carry_out, self._hints = tell, command, do, hints
        self.busy = False

    def compose(self) -> ComposeResult:
        """A line a field, the reason line, two buttons."""
        with Vertical(classes="box") as box:
            entitle(box, self._title)
            with VerticalScroll(classes="fields", can_focus=False):
                for field in self._fields:
                    with Horizontal(classes="field"):
                        yield Caption(field.label)
                        yield field.typed()
            yield Words(id="reason")
            with Horizontal(classes="buttons"):
                yield Choice("Cancel", id="cancel")
                yield Choice(self._submit, id="submit", main=True)
            if self._as_command:
                yield KeyHints(*self._hints, ("ctrl+y", "copy as command"), ("esc", "leave"))

    def on_input_changed(self) -> None:
        """Say what is typed comes to."""
        self.retell()
        self._explain()

    def on_descendant_focus(self) -> None:
        """Another field, with something else to be typed."""
        self._explain()

    def _explain(self) -> None:
        """Say at the border what a field is for whose own hint is hidden by what is in it."""
        typed = next((field for field in self._fields if self.focused and self.focused.id == field.id), None)
        hidden = typed is not None and bool(self._answers[typed.id])
        entitle(self.query_one(".box"), below=typed.hint if typed and hidden else "")

    def on_input_submitted(self) -> None:
        """Enter."""
        self._try_submit()

    def on_button_pressed(self, event: Choice.Pressed) -> None:
        """Either button."""
        if event.button.id == "submit":
            self._try_submit()
        else:
            self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the command line that does what is filled in."""
        if self._as_command is None:
            return
        answers = self._answers
        reason = self._fault(answers)
        if reason is None:
            self.app.copy_to_clipboard(self._as_command(answers))
        self._say_reason(reason or "copied", theme.RED if reason else theme.GREEN)

    # -- while it is filled in, and carried out ----------------------------------------------------------------

    def retell(self) -> None:
        """Say anew what the answers come to; nothing while one is no good: that is told when they are submitted."""
        if not self.busy:
            answers = self._answers
            wrong = any(field.check(answers[field.id]) for field in self._fields)
            self._say_reason("" if wrong else self._rule(answers) or self._tell(answers), theme.MUTED)

    def begin(self, text: Text) -> None:
        """Wait for what was asked for, and say so."""
        self.busy = True
        self.say(text)

    def resume(self, reason: str) -> None:
        """It was not done: say why, and let what was typed be changed."""
        self.busy = False
        self._say_reason(reason, theme.RED)

    def end(self) -> None:
        """It was done. What covers the form meanwhile is left first, and then the form by its own keys."""
        self.busy = False
        if self.is_current:
            self.dismiss(None)

    def say(self, text: Text) -> None:
        """Show this in the reason's place."""
        self.query_one("#reason", Words).say(text)

    @property
    def _answers(self) -> Answers:
        return {field.id: self.query_one(f"#{field.id}", TextInput).answer for field in self._fields}

    def _fault(self, answers: Answers) -> str | None:
        """What is wrong with them; the field that it is gets the focus."""
        for field in self._fields:
            if reason := field.check(answers[field.id]):
                self.query_one(f"#{field.id}", TextInput).focus()
                return f"{field.label}: {reason}"
        return self._rule(answers)

    def _say_reason(self, reason: str, colour: str) -> None:
        self.say(Text(printable(reason), style=colour))

    def _try_submit(self) -> None:
        if self.busy:
            return
        answers = self._answers
        if reason := self._fault(answers):
            self._say_reason(reason, theme.RED)
        elif self._carry_out is not None:
            self._carry_out(answers)
        else:
            self.dismiss(answers)
