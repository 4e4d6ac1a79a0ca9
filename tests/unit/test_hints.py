"""Every command that a message, a help text or the README names is one that the command line takes."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from vertui.commands.group import app

ROOT = Path(__file__).parents[2]
QUOTED = re.compile(r"`(vertui(?: [^`\n]*)?)`")
LINE = re.compile(r"^ *(vertui(?: [^\n]*)?)$", re.MULTILINE)
COLUMN = 33  # of the README's examples, where it is said what they do
UNKNOWN = "x"  # stands for what a message fills in
ENDS = ("&&", "|", "<", ">", ">>")


def texts(path: Path) -> Iterator[str]:
    """A Python file's strings, what is filled in replaced."""
    tree = ast.parse(path.read_text())
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else UNKNOWN for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def commands() -> dict[str, str]:
    """Each command line named somewhere, and where."""
    found: dict[str, str] = {}
    files = [*ROOT.glob("core/**/*.py"), *ROOT.glob("vertui/**/*.py")]
    named = [(path, text) for path in files for text in texts(path)]
    readme = ROOT / "README.md"
    named.append((readme, "\n".join(_left(line) for line in readme.read_text().splitlines())))
    for path, text in named:
        for line in (*QUOTED.findall(text), *LINE.findall(text)):
            found.setdefault(re.split(r"  +|…|; | -- ", line)[0].strip(), str(path.relative_to(ROOT)))
    return found


def _left(line: str) -> str:
    """A line of the README without the column that says what its command does."""
    cut = line.startswith("vertui ") and line[COLUMN - 1 : COLUMN] == " "
    return line[:COLUMN].rstrip() if cut else line


COMMANDS = commands()


def test_there_are_some() -> None:
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("line", sorted(COMMANDS))
def test_it_exists(line: str) -> None:
    where = f"`{line}` in {COMMANDS[line]}"
    words = shlex.split(line)[1:]
    for end in ENDS:
        words = words[: words.index(end)] if end in words else words
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "list_commands") and not words[0].startswith("-"):
        if words[0] in (UNKNOWN, "VERB"):
            return
        assert words[0] in command.list_commands(None), f"{where}: there is no verb {words[0]}"
        command = command.get_command(None, words.pop(0))
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    positional = 0
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            positional += 1
        elif word.partition("=")[0] not in (*options, "--help", "-h"):
            if command.context_settings.get("ignore_unknown_options"):  # it is for another program
                return
            pytest.fail(f"{where}: there is no option {word}")
        elif word in options and not getattr(options[word], "is_flag", False) and words:
            words.pop(0)
    most = [one.nargs for one in command.params if one.param_type_name == "argument"]
    assert -1 in most or positional <= sum(most), f"{where}: takes {sum(most)} arguments"
