"""The group of all verbs: a table, and each verb's module loaded when it is used."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from core import VERSION
from core.errors import UsageError
from core.verbs import names
from vertui.derived import Carry, command_of, named
from vertui.options import From, lacking, new_app
from vertui.output import warn

if TYPE_CHECKING:
    from typer._click.core import Command, Context
    from typer._click.shell_completion import CompletionItem

    from core.daemon.client import Client
    from core.mirrors import HandedMirrors
    from core.model import Branch, Image, Operation
    from core.tokens import NewToken
    from core.verbs.image.build import Build
    from core.verbs.mirrors import Mirrors
    from core.verbs.token.new import New
    from core.verbs.up import Up

V = TypeVar("V", "Mirrors", "Up")
ORDER = (
    "up", "ls", "tree", "commit", "fork", "swarm",
    "exec", "ps", "shell", "console", "ssh", "ssh-config", "connect", "cp",
    "sync", "diff", "watch", "patch", "export-files", "apply", "promote", "prune", "undo", "redo", "trash", "pause",
    "suspend", "resume", "restore", "recover", "cold-boot", "policy", "hand-over", "weigh", "score", "tag", "rename",
    "ports", "publish", "unpublish", "open", "proxy", "egress", "mirrors", "link", "unlink", "secret", "token", "log",
    "journal", "image", "export", "import", "store", "config", "daemon", "doctor", "demo", "serve", "mcp", "completion",
)  # fmt: skip
"""Of the main job, in which help lists verbs; those it does not name follow."""

WRITTEN = {
    "ls": "tree",
    "tree": "tree",
    "exec": "exec",
    "ps": "exec",
    "shell": "exec",
    "ssh": "ssh",
    "ssh-config": "ssh",
    "connect": "ssh",
    "console": "console",
    "completion": "completion",
    "cp": "files",
    "sync": "files",
    "diff": "diff",
    "watch": "watch",
    "patch": "diff",
    "export-files": "diff",
    "apply": "diff",
    "trash": "trash",
    "ports": "ports",
    "open": "ports",
    "log": "tree",
    "secret": "secret",
    "journal": "journal",
    "swarm": "swarm",
    "token": "token",
    "image": "image",
    "export": "move",
    "import": "move",
    "store": "store",
    "config": "config",
    "daemon": "daemon",
    "doctor": "daemon",
    "demo": "demo",
    "serve": "serve",
    "mcp": "mcp",
}


ALIASES = {"branch": "fork"}
NUMBERS = {"is not a valid float": "is no number", "is not a valid int": "is no whole number"}


def _build(client: "Client", verb: "Build") -> "Image":
    from vertui.building import build

    return build(client, verb)


def _with_mirrors(verb: V) -> V:
    """With what this host hands in; what it leaves out is said."""
    verb = replace(verb, **verb.brought())
    for line in verb.handed.left_out if verb.handed else ():
        warn(line)
    return verb


def _mirrors(client: "Client", verb: "Mirrors") -> "HandedMirrors":
    return client.do(_with_mirrors(verb))


def _up(client: "Client", verb: "Up", source: str | None) -> "Branch":
    verb = _with_mirrors(verb)
    if source is None:
        return client.do(verb)
    from vertui.sync.command import up_from

    return up_from(client, verb, source)


def _new_token(client: "Client", verb: "New") -> "NewToken | Operation":
    """A token is made here, and the daemon told by what it is to know it."""
    from core.tokens import NewToken, digest, new_token

    if verb.sha256:
        return client.do(verb)
    token = new_token()
    client.do(replace(verb, sha256=digest(token)))
    return NewToken(verb.name, token)


CARRIED: dict[str, Carry] = {"image build": _build, "mirrors": _mirrors, "token new": _new_token, "up": _up}
"""How a verb is carried out where that takes more than asking the daemon for it."""

OWN = {"up": (named("source", From, None),)}
"""Options of such a verb that are not the daemon's: what a user names here is opened here."""


class VerbGroup(TyperGroup):
    """The group of all verbs. A verb is a value of `core.verbs`, or it is written in the module that WRITTEN names."""

    def list_commands(self, ctx: "Context") -> list[str]:
        """Every verb, in the order of the main job."""
        return sorted({*WRITTEN, *(name for name in names() if " " not in name)}, key=_place)

    def shell_complete(self, ctx: "Context", incomplete: str) -> "list[CompletionItem]":
        """Names alone: to say what each verb does, all of them would be imported."""
        from typer._click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name) for name in self.list_commands(ctx) if name.startswith(incomplete)]

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        """Import what the verb needs; an unknown one fails with the nearest known ones."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name in WRITTEN:
            module = import_module(f"vertui.commands.{WRITTEN[name]}")
            command = typer.main.get_group(module.app).commands[name]
            if isinstance(command, TyperGroup):
                inner = (verb for verb in names() if verb.startswith(f"{name} "))
                command.commands.update({verb.partition(" ")[2]: _derived(verb) for verb in inner})
            return command
        if name not in names():
            near = " or ".join(get_close_matches(name, self.list_commands(ctx), n=2))
            ctx.fail(f"there is no verb '{name}'" + (f": did you mean {near}?" if near else ""))
        return _derived(name)


def _derived(verb: str) -> "Command":
    """The command of a verb that is a value."""
    group, word = new_app(), verb.rpartition(" ")[2]
    carry = CARRIED.get(verb)
    run = command_of(verb, carry, OWN.get(verb, ())) if carry else command_of(verb)
    group.command(word, context_settings={"ignore_unknown_options": True})(run)
    group.callback()(lambda: None)
    return typer.main.get_group(group).commands[word]


def _place(verb: str) -> tuple[int, str]:
    return (ORDER.index(verb), "") if verb in ORDER else (len(ORDER), verb)


app = typer.Typer(
    cls=VerbGroup,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"vertui {VERSION}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _open(
    ctx: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--readonly", help="Open the UI to look only: no key of it changes anything.")
    ] = False,
) -> None:
    """Commit, fork, compare and restore running virtual machines.

    Without a verb the terminal UI opens. REF is a branch name, @trunk, a commit id of six digits or more, a tag,
    REF~N, or BRANCH@crash where files are read. State lives in VERTUI_HOME; the daemon starts when it is first
    needed.
    """
    if ctx.invoked_subcommand is None:
        from core.daemon.endpoint import find_endpoint
        from vertui.app import check_terminal, run

        check_terminal()
        raise typer.Exit(run(find_endpoint(), read_only=read_only))  # imports textual
    if read_only:
        if ctx.invoked_subcommand == "serve":
            raise UsageError("a page's --readonly stands behind the verb: `vertui serve --readonly`")
        raise UsageError(f"--readonly is the UI's: `vertui {ctx.invoked_subcommand}` takes it not")


def invoke(argv: Sequence[str]) -> int:
    """Run a command line; its exit status. A malformed one is a UsageError naming the help that would have told."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("vertui", list(argv)) as context:
            result: Any = command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except typer.TyperException as error:
        raise UsageError(_usage(error, argv)) from error
    return result if isinstance(result, int) else 0


def _usage(error: typer.TyperException, argv: Sequence[str]) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "vertui"
    text = error.format_message().rstrip(".")
    for theirs, ours in NUMBERS.items():
        text = text.replace(theirs, ours)
    if context and getattr(error, "param", None) is None:
        text += lacking(context.command, argv)
    return f"{text[:1].lower()}{text[1:]} (see `{path} --help`)"
