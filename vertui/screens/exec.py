"""Asks for a command to be run in branches."""

import shlex
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, cast

from core.errors import UsageError
from core.model import Command, ExecRequest
from core.verbs.fork import LONGEST_S
from vertui.base import BaseApp
from vertui.screens.dialogs import Answers, Field, FormDialog, needed
from vertui.widgets.command_line import CommandLine, Names, Suggestions, path_at_end, quoted

if TYPE_CHECKING:
    from core.daemon.endpoint import Endpoint

KEPT = "lines"  # by which the app keeps what was typed
MOST_LINES = 200  # kept
LOOK_S = 5.0  # for a guest to list a directory
LIST = 'd=$1; case $d in "~/"*) d=$HOME/${d#??};; esac; cd -- "$d" && ls -1Ap | head -n 1000'
List = Callable[["Endpoint", str, str], Names]


def names_in(endpoint: "Endpoint", branch: str, directory: str) -> Names:
    """The names in a directory of a guest, those of directories with a slash behind; none where there is none. In a
    thread, and neither `ps` nor a log tells of it.
    """
    from core.daemon import streams

    argv = ("sh", "-c", LIST, "sh", directory)
    printed = bytearray()
    with streams.run(endpoint, ExecRequest(branch, argv, timeout_s=LOOK_S, inner=True)) as stream:
        for message in stream:
            if isinstance(message, streams.Output) and message.stream == streams.STDOUT:
                printed += message.data
            elif isinstance(message, streams.Exit):
                break
    return printed.decode(errors="replace").split("\n")[:-1]


def exec_form(app: BaseApp, refs: tuple[str, ...], list_names: List = names_in) -> FormDialog:
    """Asks for a command, whether it is to be typed into, how long it may take, and how it scores its branch."""
    typed = cast(Names, app.kept.setdefault(KEPT, []))

    def ask(directory: str, told: Callable[[Names], object]) -> None:
        def listed() -> Names:
            return sorted(map(quoted, list_names(app.endpoint, refs[0], directory)))

        app.ask(listed, told, lambda error: told([]))

    def learn(commands: Iterable[Command]) -> None:
        newest = sorted(commands, key=lambda command: -command.id)
        suggestions.learn([*reversed(typed), *(line_of(command.argv) for command in newest)])

    suggestions = Suggestions(ask, path_at_end)
    learn(())
    if (feed := app.watcher.feed) is not None:
        app.ask(partial(feed.commands, refs[0]), learn)
    return FormDialog(
        f"exec in {', '.join(refs)}",
        (
            Field("command", "command", hint="run by sh in each", check=_runnable,
                  line=partial(CommandLine, suggestions)),
            Field("input", "takes input", "n", "y: a types into it", _yes_or_no),
            Field("timeout", "time limit", hint="in seconds: it is killed then", check=_limit),
            Field("score", "score rule", hint="exit, printed, or a command run when it has ended"),
        ),
        "Run",
        command=partial(_as_command, refs),
        hints=(("↑", "earlier ones"), ("→", "complete")),
    )  # fmt: skip


def exec_of(app: BaseApp, answers: Answers) -> ExecRequest:
    """What was asked for, the branch still to be named. It is offered the next time."""
    lines = cast(Names, app.kept.setdefault(KEPT, []))
    lines.append(answers["command"])
    del lines[:-MOST_LINES]
    return _request(answers)


def line_of(argv: tuple[str, ...]) -> str:
    """A command as it is typed."""
    if argv[:2] == ("sh", "-c") and len(argv) == 3:
        return argv[2]
    return argv[0] if len(argv) == 1 else shlex.join(argv)


def _request(answers: Answers) -> ExecRequest:
    typed = answers["input"].lower() in ("y", "yes")
    timeout_s = float(answers["timeout"]) if answers["timeout"] else None
    return ExecRequest("", (answers["command"],), stdin=typed, timeout_s=timeout_s, score=answers["score"])


def _as_command(refs: tuple[str, ...], answers: Answers) -> str:
    asked = _request(answers)
    given = ["-i"] if asked.stdin else []
    given += ["--timeout", f"{asked.timeout_s:g}"] if asked.timeout_s else []
    given += ["--score", asked.score] if asked.score else []
    return shlex.join(["vertui", "exec", *refs, *given, "--", *asked.argv])


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
