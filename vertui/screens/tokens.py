"""Who is let in by the daemon's port: tokens by name, making one, revoking one. A token is shown once."""

import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from core.model import Operation
from core.tokens import Token, digest, new_token
from core.verbs.base import command_line
from core.verbs.token.new import New
from core.verbs.token.revoke import Revoke
from vertui import theme
from vertui.base import TOAST_S
from vertui.plain import toast
from vertui.screens.base import bound, changing
from vertui.screens.dialogs import Answers, Field, FormDialog, needed
from vertui.screens.kept import KeptScreen, none_yet
from vertui.screens.reading import ReadDialog
from vertui.text import age, counted, printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import columns

ON_A_PAGE = "a page makes no tokens, which let in whoever has them: make one where it is served, by `vertui token new`"


class TokensScreen(KeptScreen[Token]):
    """Makes and revokes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bound("tokens", "app.pop_screen"),
        bound("up", "make"),
        bound("prune", "revoke"),
    ]

    def __init__(self) -> None:
        super().__init__("tokens", _draw, lambda one: one.name, none_yet("there are no tokens", "makes one"))

    def compose(self) -> ComposeResult:
        """The list and its keys."""
        yield self.rows
        yield KeyHints(("{up}", "make one"), ("{prune}", "revoke"), ("esc", "back"))

    def look(self) -> Sequence[Token]:
        """Names alone."""
        return self.vertui.client.tokens()

    @changing
    def action_make(self) -> None:
        """Ask whom it is for."""
        if self.vertui.page is not None:
            self.vertui.fail(ON_A_PAGE)
            return
        form = FormDialog(
            "make a token",
            (Field("name", "name", "", "as after who gets it: laptop", needed),),
            "Make",
            command=lambda answers: command_line(New(answers["name"])),
            do=lambda answers: self._do(form, answers),
        )
        self.app.push_screen(form)

    def _do(self, form: FormDialog, answers: Answers) -> None:
        name, token = answers["name"], new_token()
        form.begin(Text("◌ making it…", style=theme.TEAL))

        def done(_: Operation) -> None:
            form.end()
            self.reread()
            self.app.push_screen(TokenDialog(name, token))

        made = New(name, digest(token))
        form.ask(partial(self.vertui.client.do, made), done, lambda error: form.resume(str(error)))

    def action_revoke(self) -> None:
        """Let nobody in by the one under the cursor."""
        if (token := self.rows.current) is not None:
            inside = f"who is in by it is hung up on: {counted(token.connections, 'connection')}"
            lines = (f"token {token.name} lets nobody in any more", inside)
            self.take_away(Revoke(token.name), token.name, lines, "Revoke", "revoking")


class TokenDialog(ReadDialog):
    """A token, this once."""

    BINDINGS: ClassVar[list[BindingType]] = [bound("copy", "copy")]

    def __init__(self, name: str, token: str) -> None:
        said = "It is shown this once and kept nowhere: whoever has it is let in."
        lines = [Text(token, style=f"bold {theme.BRIGHT}"), Text(), Text(said, style=theme.MUTED)]
        super().__init__(f"token {name}", lines, (("{copy}", "copy it"),))
        self._token = token

    def action_copy(self) -> None:
        """To the clipboard."""
        self.app.copy_to_clipboard(self._token)
        toast(self.app, "the token is copied", TOAST_S, error=False)


def _draw(token: Token, width: int) -> Text:
    left = Text(f"{printable(token.name):<20} ", style=f"bold {theme.BRIGHT}")
    left.append(counted(token.connections, "connection"), theme.GREEN if token.connections else theme.MUTED)
    return columns(left, Text(f"made {age(time.time() - token.created)} ago", style=theme.FAINT), width)
