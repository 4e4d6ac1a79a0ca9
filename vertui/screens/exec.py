"""Asks for a command to be run in branches."""

from core.errors import UsageError
from core.model import ExecRequest
from vertui.screens.dialogs import Answers, Field, FormDialog, needed


def exec_form(refs: tuple[str, ...]) -> FormDialog:
    """Asks for a command, and whether it is to be typed into."""
    return FormDialog(
        f"exec in {', '.join(refs)}",
        (
            Field("command", "command", hint="run by sh in each", check=_runnable),
            Field("typed", "takes input", "n", "y: a types into it", _yes_or_no),
        ),
        "Run",
    )


def exec_of(answers: Answers) -> ExecRequest:
    """What was asked for, the branch still to be named."""
    return ExecRequest("", (answers["command"],), stdin=answers["typed"].lower() in ("y", "yes"))


def _runnable(text: str) -> str | None:
    try:
        ExecRequest("", (text,))
    except (UsageError, UnicodeError) as error:
        return str(error)
    return needed(text)


def _yes_or_no(text: str) -> str | None:
    return None if text.lower() in ("", "y", "yes", "n", "no") else "y or n"
