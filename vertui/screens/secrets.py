"""Secrets by their names: which sites they are for, setting one, forgetting one. No value is ever shown."""

import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from core.model import Operation
from core.sites import Secret, spelled
from core.verbs.base import command_line
from core.verbs.secret.rm import Rm
from core.verbs.secret.set import Set
from core.verbs.shown import Shown
from vertui import theme
from vertui.plain import UnseenInput
from vertui.screens.base import bound, changing
from vertui.screens.dialogs import Answers, Field, FormDialog, needed
from vertui.screens.kept import KeptScreen, none_yet
from vertui.text import age, printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import columns

URL, BODY = "url", "body"


class SecretsScreen(KeptScreen[Secret]):
    """Sets and forgets."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bound("secrets", "app.pop_screen"),
        bound("up", "set"),
        bound("prune", "remove"),
    ]

    def __init__(self) -> None:
        super().__init__("secrets", _draw, lambda one: one.name, none_yet("there are no secrets", "sets one"))

    def compose(self) -> ComposeResult:
        """The list and its keys."""
        yield self.rows
        yield KeyHints(("{up}", "set one"), ("⏎", "a new value"), ("{prune}", "forget"), ("esc", "back"))

    def look(self) -> Sequence[Secret]:
        """Names alone."""
        return self.vertui.client.secrets()

    def on_row_list_chosen(self) -> None:
        """Enter: another value for the one under the cursor."""
        if (secret := self.rows.current) is not None:
            self._ask(secret.name)

    def action_set(self) -> None:
        """Ask for one."""
        self._ask("")

    @changing
    def _ask(self, name: str) -> None:
        form = FormDialog(
            f"a new value of {name}" if name else "set a secret",
            (
                Field("name", "name", name, "as a variable's: TOKEN", needed),
                Field("value", "value", "", "it is not shown", needed, UnseenInput),
                Field("sites", "for sites", "", "HOST, *.HOST or http://HOST: branches never have the value"),
                Field("also", "also in", "", "url, body: beside headers of what goes there", _wrong_place),
            ),
            "Set",
            lambda answers: _verb(answers).refuse(Shown(self.vertui.selection.newest)),
            command=lambda answers: command_line(_verb(answers)),
            do=lambda answers: self._do(form, answers),
        )
        self.app.push_screen(form)

    def _do(self, form: FormDialog, answers: Answers) -> None:
        verb = _verb(answers)
        form.begin(Text(f"◌ setting {printable(verb.name)}…", style=theme.TEAL))

        def done(_: Operation) -> None:
            form.end()
            self.reread()

        form.ask(partial(self.vertui.client.do, verb), done, lambda error: form.resume(str(error)))

    def action_remove(self) -> None:
        """Forget the one under the cursor."""
        if (secret := self.rows.current) is not None:
            lines = (f"secret {secret.name} is forgotten", "commands that were given it keep it")
            self.take_away(Rm(secret.name), secret.name, lines, "Forget", "forgetting")


def _verb(answers: Answers) -> Set:
    also = answers["also"].replace(",", " ").split()
    sites = tuple(answers["sites"].replace(",", " ").split())
    return Set(answers["name"], answers["value"], sites, URL in also, BODY in also)


def _wrong_place(text: str) -> str | None:
    return None if {*text.replace(",", " ").split()} <= {URL, BODY} else f"{URL}, {BODY}, both or nothing"


def _draw(secret: Secret, width: int) -> Text:
    left = Text.assemble((f"{printable(secret.name):<20} ", f"bold {theme.BRIGHT}"))
    if secret.sites:
        left.append("for ", theme.MUTED).append(printable(" ".join(map(spelled, secret.sites))), theme.TEAL)
        places = [place for place, is_there in ((URL, secret.in_url), (BODY, secret.in_body)) if is_there]
        left.append(f" also in {' and '.join(places)}" if places else "", theme.MUTED)
    else:
        left.append("for any command that is given it", theme.MUTED)
    return columns(left, Text(f"set {age(time.time() - secret.changed)} ago", style=theme.FAINT), width)
