"""Asks for a command to be run in branches."""

from core.errors import UsageError
from core.model import ExecRequest
from core.verbs.fork import LONGEST_S
from vertui.screens.dialogs import Answers, Field, FormDialog, needed


def exec_form(refs: tuple[str, ...]) -> FormDialog:
    """Asks for a command, whether it is to be typed into, how long it may take, and how it scores its branch."""
    return FormDialog(
        f"exec in {', '.join(refs)}",
        (
            Field("command", "command", hint="run by sh in each", check=_runnable),
            Field("typed", "takes input", "n", "y: a types into it", _yes_or_no),
            Field("timeout", "time limit", hint="in seconds: it is killed then", check=_limit),
            Field("score", "score rule", hint="printed, or a command to run when it has ended"),
        ),
        "Run",
    )


def exec_of(answers: Answers) -> ExecRequest:
    """What was asked for, the branch still to be named."""
    typed = answers["typed"].lower() in ("y", "yes")
    timeout_s = float(answers["timeout"]) if answers["timeout"] else None
    return ExecRequest("", (answers["command"],), stdin=typed, timeout_s=timeout_s, score=answers["score"])


def _runnable(text: str) -> str | None:
    try:
        ExecRequest("", (text,))
    except (UsageError, UnicodeError) as error:
        return str(error)
    return needed(text)


def _yes_or_no(text: str) -> str | None:
    return None if text.lower() in ("", "y", "yes", "n", "no") else "y or n"


def _limit(text: str) -> str | None:
    try:
        good = not text or 0 < float(text) <= LONGEST_S
    except ValueError:
        good = False
    return None if good else f"a number of seconds, at most {LONGEST_S}"
