"""A plan that is shown before it is carried out."""

import time
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget

from core.model import Plan, PlanSection
from vertui import theme
from vertui.actions import BY_ID
from vertui.plain import Caption, Choice, TextInput, Words, entitle
from vertui.screens.base import SCROLL_KEYS, Dialog, bound
from vertui.text import printable, size
from vertui.widgets.footer import KeyHints

FOLDED_FROM, FOLDED_TO = 8, 3  # a section of so many lines shows so many of them, and how many more there are


class Answer(Enum):
    """What was said to a plan; OTHER is the plan's variant."""

    DO = "do"
    OTHER = "other"


class PlanDialog(Dialog[Answer]):
    """Shows exactly what will happen; Cancel has the focus. Answers None when it is not to be.

    `head` is all of it in a line; `sections` say what the lines are about, and long ones fold. With a `word` that must
    be typed first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
        Binding("left,right,h,l", "other_button", show=False),
        bound("turn", "variant"),
        bound("fold", "fold"),
    ]

    def __init__(
        self,
        title: str,
        lines: tuple[str, ...],
        footing: Text,
        do: str,
        variant: str = "",
        *,
        head: str = "",
        sections: Sequence[PlanSection] = (),
        word: str = "",
    ) -> None:
        super().__init__()
        self._title, self._lines, self._footing = title, lines, footing
        self._do, self._variant = do, variant
        self._head, self._sections, self._word = head, sections, word
        self._foldable = any(section.lines >= FOLDED_FROM for section in sections)
        self._folded = self._foldable

    def compose(self) -> ComposeResult:
        """All in a line, the lines, what it means for undo, two buttons."""
        with Vertical(classes="box plan") as box:
            entitle(box, self._title)
            if self._head:
                yield Words(Text(printable(self._head), style=f"bold {theme.BRIGHT}"), classes="head")
            with VerticalScroll(can_focus=False):
                yield Words(self._body(), id="lines")
            yield Words(self._footing, classes="note")
            if self._word:
                with Horizontal(classes="field"):
                    yield Caption("to do it")
                    yield TextInput(hint=f"type {self._word}", id="word")
                yield Words(id="reason")
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
        variant = [("{turn}", self._variant)] if self._variant else []
        fold = [("{fold}", "unfold")] if self._foldable else []
        return [*variant, *fold, ("j/k", "scroll"), ("←/→", "choose"), ("esc", "leave")]

    def _body(self) -> Text:
        text = Text(style=theme.TEXT)
        for line, style in self._told():
            text.append(f"{line}\n", style)
        text.rstrip()
        return text

    def _told(self) -> Iterator[tuple[str, str]]:
        """Lines and how they look, those of a long section folded away."""
        at = 0
        for section in self._sections if len(self._sections) > 1 or self._foldable else ():
            lines = self._lines[at : at + section.lines]
            at += section.lines
            hidden = len(lines) - FOLDED_TO if self._folded and len(lines) >= FOLDED_FROM else 0
            yield f"{printable(section.title)} · {len(lines)}", theme.MUTED
            for line in lines[: len(lines) - hidden]:
                yield f"• {printable(line)}", theme.TEXT
            if hidden:
                yield f"… {hidden} more: {BY_ID['fold'].key_label} shows them", theme.MUTED
        for line in self._lines[at:]:
            yield f"• {printable(line)}", theme.TEXT

    def on_button_pressed(self, event: Choice.Pressed) -> None:
        """Either button."""
        if event.button.id == "do":
            self._try()
        else:
            self.dismiss(None)

    def on_input_submitted(self) -> None:
        """Enter behind the word."""
        self._try()

    def _try(self) -> None:
        """Do it, once the word is there where one is asked for."""
        if self._word:
            typed = self.query_one("#word", TextInput)
            if typed.value.strip() != self._word:
                self.query_one("#reason", Words).say(
                    Text(f"nothing brings it back: type {printable(self._word)} first", style=theme.RED)
                )
                typed.focus()
                return
        self.dismiss(Answer.DO)

    def action_other_button(self) -> None:
        """Go to the other button."""
        self.focus_next("Choice")

    def action_variant(self) -> None:
        """Ask for the plan's variant."""
        if self._variant:
            self.dismiss(Answer.OTHER)

    def action_fold(self) -> None:
        """Show all lines, or fold long sections again."""
        if self._foldable:
            self._folded = not self._folded
            self.query_one("#lines", Words).say(self._body())


def plan_dialog(plan: Plan, do: str, variant: str = "") -> PlanDialog:
    """The dialog of a plan made by the daemon."""
    footing = Text()
    if plan.frees_bytes:
        footing.append(f"frees {size(plan.frees_bytes)}  ", theme.MUTED)
    if plan.undoable:
        end = time.strftime(" until %a %H:%M", time.localtime(plan.until)) if plan.until is not None else ""
        footing.append(f"{BY_ID['undo'].key_label} takes it back{end}", theme.GREEN)
    else:
        footing.append("nothing brings it back", f"bold {theme.RED}")
    return PlanDialog(
        plan.verb, plan.lines or ("nothing",), footing, do, variant,
        head=plan.head, sections=plan.sections, word="" if plan.undoable else _word(plan),
    )  # fmt: skip


def _word(plan: Plan) -> str:
    """What must be typed for what nothing brings back: a branch that goes, or else the verb."""
    return plan.branches[0] if plan.branches else plan.verb.partition(" --")[0].split()[-1]
