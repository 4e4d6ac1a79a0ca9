"""The list of what is noise in a comparison: how many files each rule folds, and which rules are on."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from vertui import theme
from vertui.compare.noise import RULES, Rule
from vertui.plain import entitle
from vertui.screens.base import Dialog, bound
from vertui.text import counted
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList, columns


class NoiseDialog(Dialog[tuple[Rule, ...]]):
    """Space switches a rule, `!` all of them; enter answers those that are on, escape changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bound("mark", "switch"),
        Binding("exclamation_mark", "switch_all", show=False),
    ]

    def __init__(self, rules: tuple[Rule, ...], counts: dict[str, int]) -> None:
        super().__init__()
        self._on, self._counts = set(rules), counts

    def compose(self) -> ComposeResult:
        """The rules and the keys."""
        with Vertical(classes="box tall") as box:
            entitle(box, "noise: files that change by themselves")
            yield RowList[Rule](self._draw, lambda rule: rule.glob)
            yield KeyHints(
                ("{mark}", "fold it or not"), ("!", "all or none"), ("⏎", "do so"), ("esc", "leave")
            )

    def on_mount(self) -> None:
        """Show them."""
        self._list.show(RULES)
        self._list.focus()

    def on_row_list_chosen(self) -> None:
        """Enter."""
        self.dismiss(tuple(rule for rule in RULES if rule in self._on))

    def action_switch(self) -> None:
        """Fold what the rule matches, or no longer."""
        if (rule := self._list.current) is not None:
            self._on ^= {rule}
            self._list.draw_anew()

    def action_switch_all(self) -> None:
        """All are on, or none."""
        self._on = set() if self._on else set(RULES)
        self._list.draw_anew()

    def _draw(self, rule: Rule, width: int) -> Text:
        sign, colour = ("●", theme.GREEN) if rule in self._on else ("○", theme.FAINT)
        left = Text.assemble(
            (f" {sign} ", colour), (f"{rule.glob:<22}", theme.BRIGHT), (rule.why, theme.MUTED)
        )
        number = self._counts.get(rule.glob, 0)
        return columns(left, Text(counted(number, "file") if number else "", style=theme.TEXT), width)

    @property
    def _list(self) -> RowList[Rule]:
        return self.query_one(RowList)
