"""Asks what a swarm is to try: a spec's file, or a command for all tries or one for each; and begins it."""

import shlex
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text

from core.errors import UsageError
from core.verbs.fork import MOST_CHILDREN
from vertui import theme
from vertui.base import BaseApp
from vertui.screens.dialogs import Answers, Field, FormDialog
from vertui.screens.swarm_process import play
from vertui.swarm.spec import SwarmSpec, make_spec, read_spec
from vertui.text import counted
from vertui.widgets.command_line import CommandLine, Names, Suggestions

MOST_NAMES = 1000  # of a directory, for completion
OPTIONS = {"base": "--base", "command": "--command", "n": "-n", "score": "--score", "losers": "--losers"}
"""Fields of a spec that the form asks for by the same names, and the options that say them."""


class SwarmForm(FormDialog):
    """Stays until the first step is taken, so that no refusal loses what was typed; then `begun` is told the name."""

    def __init__(self, app: BaseApp, begun: Callable[[str], object]) -> None:
        self._begun = begun

        def branches(_: str, told: Callable[[Names], object]) -> None:
            told(["@trunk", *(branch.name for branch in app.selection.newest.branches)])

        def files(directory: str, told: Callable[[Names], object]) -> None:
            app.ask(partial(_names_in, directory), told, lambda error: told([]))

        def line(ask: Any, place_of: Any) -> Any:
            return partial(CommandLine, Suggestions(ask, place_of))

        path = line(files, _path_at_end)
        super().__init__(
            "begin a swarm",
            (
                Field("spec", "spec", hint="a file: TOML, or a driver in Python", line=path),
                Field("base", "base", hint="what is forked: @trunk without it", line=line(branches, _whole)),
                Field("command", "command", hint="run in each try; {i}, {name} are its own"),
                Field("n", "tries", hint="how many", check=_count),
                Field("variants", "variants", hint="in place of both: a file with a command a line", line=path),
                Field("score", "score rule", hint="exit, printed, pytest, regex:PATTERN, a command"),
                Field("losers", "losers", hint="keep, pause, suspend or prune"),
                Field("name", "name", hint="its own, and the beginning of its branches'"),
            ),
            "Begin",
            _rule,
            tell=_foretold,
            command=lambda answers: shlex.join(("vertui", "swarm", *arguments_of(answers))),
            do=self._do,
            hints=(("→", "complete"), ("tab", "next")),
        )  # fmt: skip

    def _do(self, answers: Answers) -> None:
        self.begin(Text("◌ beginning…", style=theme.TEAL))
        failed = self._while_here(lambda error: self.resume(str(error)))

        def read(_: SwarmSpec) -> None:
            play(self.vertui, arguments_of(answers), self._has_begun, failed)

        self.vertui.ask(partial(spec_of, answers), read, failed)

    def _has_begun(self, name: str) -> None:
        if self.is_attached:
            self.end()
        self._begun(name)


def arguments_of(answers: Answers) -> tuple[str, ...]:
    """What `vertui swarm` is told for these answers."""
    found = ["run", *((_path(answers["spec"]),) if answers["spec"] else ())]
    for field, option in OPTIONS.items():
        found += (option, answers[field]) if answers[field] else ()
    found += ("--variant", f"@{_path(answers['variants'])}") if answers["variants"] else ()
    found += ("--name", answers["name"]) if answers["name"] else ()
    return tuple(found)


def spec_of(answers: Answers) -> SwarmSpec:
    """The spec that they make. UsageError says what is wrong with it."""
    given: dict[str, object] = {field: answers[field] for field in OPTIONS if answers[field]}
    if answers["n"]:
        given["n"] = int(answers["n"])
    if answers["variants"]:
        given["variants"] = (f"@{_path(answers['variants'])}",)
    if answers["spec"]:
        return read_spec(Path(_path(answers["spec"])), given)
    return make_spec(given, "swarm", Path())


def _rule(answers: Answers) -> str | None:
    if answers["spec"] or answers["command"] or answers["variants"]:
        return None
    return "give a spec, a command, or a file of variants"


def _foretold(answers: Answers) -> str:
    """What it will make, as far as no file says that."""
    if answers["spec"] or answers["variants"] or not answers["command"]:
        return ""
    return f"{counted(int(answers['n'] or 1), 'fork')} of {answers['base'] or '@trunk'}"


def _count(text: str) -> str | None:
    good = not text or (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_CHILDREN)
    return None if good else f"a number from 1 to {MOST_CHILDREN}"


def _path(text: str) -> str:
    """As the command line takes it: no option, and from here."""
    try:
        path = str(Path(text).expanduser())
    except RuntimeError:  # no such user
        path = text
    return f"./{path}" if path.startswith("-") else path


def _whole(line: str) -> tuple[str, str]:
    return "", line


def _path_at_end(line: str) -> tuple[str, str] | None:
    directory, slash, begun = line.rpartition("/")
    return (directory + slash, begun) if line else None


def _names_in(directory: str) -> Names:
    """The names in a directory here, those of directories with a slash behind."""
    try:
        return sorted(_named(Path(directory or ".").expanduser().iterdir()))[:MOST_NAMES]
    except (OSError, RuntimeError) as error:
        raise UsageError(str(error)) from error


def _named(paths: Iterable[Path]) -> Iterable[str]:
    return (f"{path.name}/" if path.is_dir() else path.name for path in paths)
