"""Shell completion: the shells' scripts, and the answers they ask for while somebody types."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer._click.shell_completion import split_arg_string
from typer._completion_classes import BashComplete

from core.errors import UsageError
from core.patience import patient
from vertui.options import new_app

if TYPE_CHECKING:
    from typer._click.shell_completion import CompletionItem

app = new_app()

SCRIPTS = {"bash": "vertui", "zsh": "_vertui", "fish": "vertui.fish"}
ASSETS = Path(__file__).resolve().parents[1] / "assets" / "completion"
LONGEST_S = patient(
    3.0
)  # a shell stands still meanwhile: a daemon that has not answered by then is not waited for


@app.command()
def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="bash|zsh|fish", help="The shell.", show_default=False, autocompletion=lambda: [*SCRIPTS]
        ),
    ],
) -> None:
    """Print the script by which a shell completes verbs, options, branches, tags, commits and images.

    \b
    Examples:
      source <(vertui completion bash)                    in ~/.bashrc
      source <(vertui completion zsh)                     in ~/.zshrc, after compinit
      vertui completion fish > ~/.config/fish/completions/vertui.fish
    """
    if shell not in SCRIPTS:
        raise UsageError(f"there is no completion for '{shell[:40]}': bash, zsh and fish have one")
    print((ASSETS / SCRIPTS[shell]).read_text(), end="")


def answer(shell: str = "", line: str = "") -> None:
    """Print what may stand at the end of a line, for a shell's script; whatever is wrong, nothing."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    with suppress(Exception):
        print("".join(f"{word}\n" for word in told(shell, line)), end="")
    signal.setitimer(signal.ITIMER_REAL, 0)


def told(shell: str, line: str) -> list[str]:
    """What may stand at the end of a line: for bash words, for fish words, each with a tab and what it means, for zsh
    words, in which colons have a backslash, each with a colon and what it means.
    """
    words = split_arg_string(line)
    begun = "" if line[-1:].isspace() else words.pop()
    option, equals, _ = begun.partition("=")
    before = f"{option}=" if equals and option.startswith("-") and shell != "bash" else ""
    return [
        _told(shell, before + item.value, " ".join((item.help or "").split()))
        for item in offered(words[1:], begun)
    ]


def _told(shell: str, word: str, meaning: str) -> str:
    if shell == "zsh":
        word = word.replace(":", "\\:")
    between = {"zsh": ":", "fish": "\t"}.get(shell)
    return f"{word}{between}{meaning}" if between and meaning else word


def offered(words: list[str], begun: str) -> "list[CompletionItem]":
    """What may stand behind some words of a command line, where one is begun; nothing where no word is known."""
    from vertui.commands.group import app as verbs

    if "--" in words:  # somebody else's command line
        return []
    found = BashComplete(typer.main.get_command(verbs), {}, "vertui", "").get_completions(words, begun)
    return [item for item in found if item.value.startswith("-") or item.value not in words]
