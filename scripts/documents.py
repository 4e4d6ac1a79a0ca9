"""Writes what is derived from the verbs: the man page, and the README's table of them. `--check` only looks."""

import datetime
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.pop("VERTUI_VERBS", None)  # nobody's own

import typer  # noqa: E402
from typer._click.core import Command, Context  # noqa: E402
from typer.core import TyperGroup  # noqa: E402

from core import VERSION, errors  # noqa: E402
from vertui.commands.group import app  # noqa: E402

PAGE, README = ROOT / "assets" / "man" / "vertui.1", ROOT / "README.md"
TABLE = re.compile(r"(?<=<!-- verbs -->\n).*?(?=<!-- /verbs -->\n)", re.DOTALL)
DATE = re.compile(r'^\.TH VERTUI 1 "([^"]*)"', re.MULTILINE)
WIDTH = 78  # of a line of the page's source: mandoc warns of more than 80 bytes, and a first dot takes two
ENVIRONMENT = {
    "VERTUI_HOME": "Where state lives; $XDG_DATA_HOME/vertui, or ~/.local/share/vertui, without it.",
    "VERTUI_URL": "A daemon's port, as http://127.0.0.1:7080, to which all verbs go in place of the home's socket.",
    "VERTUI_TOKEN": "The token that lets them in there.",
    "VERTUI_TOKEN_FILE": "A file that has it.",
    "VERTUI_ACCEL": "kvm or tcg: the accelerator that images are built for, instead of the first that boots.",
    "VERTUI_SLOW": "A factor from 1 to 1000 that makes every deadline as many times as long, for slow hosts.",
    "VERTUI_AUTHOR": "Who says and does what is written into branches' journals.",
    "VERTUI_MCP_TOKEN": "The token that lets agents in by `vertui mcp --http`; a new one without it.",
    "VERTUI_DEBUG": "With 1, a bug is told with its traceback.",
    "VERTUI_VERBS": "Directories, separated by colons, with modules of further verbs.",
    "NO_COLOR": "When set, nothing is coloured.",
}
STATUSES = {
    1: "Any other failure, or no was the answer.",
    3: "Some of what was asked for is not in what came, and was named: what a patch or copy cannot carry, or what"
    " only a running branch can tell. Or the path is on another filesystem of the guest than its root disk.",
    70: "A bug.",
    124: "exec --timeout ended the command.",
    126: "exec found the program in the guest and cannot run it.",
    127: "exec found no such program in the guest.",
    130: "Interrupted by Ctrl-C. A command of exec was left running by the second; another verb goes on in the daemon,"
    " and `vertui log` tells how it ended. Any other signal ends with 128 and its number.",
    141: "Whoever read the output went away.",
}
"""What is said of exit statuses that no error has, or that mean more than their error."""


def verbs() -> Iterator[tuple[str, Command, Context]]:
    """Every verb that is no group, in the order of `vertui --help`."""
    group = typer.main.get_group(app)
    with group.make_context("vertui", [], resilient_parsing=True) as context:
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            inner = found.commands.items() if isinstance(found, TyperGroup) else ((None, found),)
            for word, command in inner:
                whole = f"{name} {word}" if word else name
                with command.make_context(whole, [], context, resilient_parsing=True) as made:
                    yield whole, command, made


def usage(name: str, command: Command, context: Context) -> str:
    """A verb with its arguments."""
    pieces = [piece.strip("{}") for piece in command.collect_usage_pieces(context)]
    return " ".join([name, *(piece for piece in pieces if piece != "[OPTIONS]")])


# -- the README ----------------------------------------------------------------------------------------------


def readme() -> str:
    """The README with its table of verbs as they are."""
    rows = [f"| `{_cell(usage(*verb))}` | {_cell(_first_sentence(verb[1]))} |\n" for verb in verbs()]
    table = "| | |\n|---|---|\n" + "".join(rows)
    found, count = TABLE.subn(lambda _: table, README.read_text())
    assert count == 1, "the README has no place for the table of verbs"
    return found


def _first_sentence(command: Command) -> str:
    text = " ".join((command.help or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", text)[0]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# -- the man page --------------------------------------------------------------------------------------------


def page() -> str:
    """The man page, with the date it has unless it says something else by now."""
    former = PAGE.read_text() if PAGE.exists() else ""
    same = _page(found[1]) if (found := DATE.search(former)) else ""
    return former if former and same == former else _page(datetime.date.today().isoformat())


def _page(date: str) -> str:
    parts = [
        f'.TH VERTUI 1 "{date}" "vertui {VERSION}" "User Commands"\n',
        f".SH NAME\nvertui \\- {_text('branch running virtual machines')}\n",
        ".SH SYNOPSIS\n.B vertui\n.br\n.B vertui\n.I VERB\n[\\fIARGUMENT\\fR|\\fIOPTION\\fR]...\n",
        f".SH DESCRIPTION\n{_paragraphs(typer.main.get_group(app).help)}",
        f".SH VERBS\n{''.join(_verb(*verb) for verb in verbs())}",
        f".SH EXIT STATUS\n{''.join(_items(_statuses()))}",
        f".SH ENVIRONMENT\n{''.join(_items(ENVIRONMENT.items()))}",
        ".SH SEE ALSO\n.BR git (1),\n.BR qemu\\-system\\-x86_64 (1)\n",
    ]
    return "".join(parts)


def _verb(name: str, command: Command, context: Context) -> str:
    records = [record for one in command.get_params(context) if (record := one.get_help_record(context))]
    options = [(flags, help) for flags, help in records if not flags.startswith("-h")]
    return (
        f'.SS "{_text(usage(name, command, context))}"\n'
        + _paragraphs(command.help, command.epilog)
        + "".join(_items(options))
    )


def _statuses() -> Iterator[tuple[str, str]]:
    """What each exit status means: the first error that has it says so."""
    yield "0", "Done. Of exec, shell, ssh and the like the command's own status, whatever that is."
    told, seen = dict(STATUSES), set()
    for error in vars(errors).values():
        status = getattr(error, "exit_status", None)
        if status is not None and status not in seen:
            seen.add(status)
            yield str(status), told.pop(status, "") or error.__doc__.partition("\n")[0]
    yield from ((str(status), meaning) for status, meaning in told.items())


def _items(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in pairs:
        yield f'.TP\n.B "{_text(term)}"\n{_lines(meaning)}'


def _paragraphs(*texts: str | None) -> str:
    """Paragraphs as typer has them: one behind a backspace keeps its lines."""
    blocks = [block for text in texts for block in (text or "").split("\n\n") if block]
    return ".PP\n".join(
        ".nf\n" + "".join(f"{_text(line)}\n" for line in block.split("\n")[1:]) + ".fi\n"
        if block.startswith("\b\n")
        else _lines(block)
        for block in blocks
    )


def _lines(text: str) -> str:
    lines = wrap(_text(text), WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"\\&{line}\n" if line.startswith(".") else f"{line}\n" for line in lines)


def _text(text: str) -> str:
    """Text that roff takes as it is, in ASCII."""
    named = {
        "\\": "\\e", "-": "\\-", '"': "\\(dq", "`": "\\(ga", "'": "\\(aq", "~": "\\(ti", "^": "\\(ha",
    }  # fmt: skip
    safe = "".join(named.get(char) or (char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text)
    return f"\\&{safe}" if safe.startswith(".") else safe


def main(arguments: list[str]) -> int:
    """Write both, or say which is not current."""
    stale = 0
    made: dict[Path, Callable[[], str]] = {PAGE: page, README: readme}
    for path, make in made.items():
        text = make()
        if path.exists() and path.read_text() == text:
            continue
        if arguments == ["--check"]:
            print(
                f"{path.relative_to(ROOT)} is not what the verbs say: run scripts/document", file=sys.stderr
            )
            stale = 1
        else:
            path.write_text(text)
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
