"""Arguments and options that several verbs share."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from core.verbs.base import Kind
from vertui.completion import offer_names

if TYPE_CHECKING:
    from typer._click.core import Context


def argument(metavar: str, help: str, kind: Kind) -> Any:
    """An argument that names something: a shell offers what there is of it."""
    return typer.Argument(metavar=metavar, help=help, show_default=False, autocompletion=offer_names(kind))


BranchName = Annotated[str, argument("BRANCH", "A branch name or @trunk.", Kind.BRANCH)]
AnyRef = Annotated[str, argument("BRANCH", "Any REF.", Kind.REF)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
All = Annotated[bool, typer.Option("--all", help="Every one that it can be done to.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Carry the plan out without asking.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="DIR[:PATH]", help="Bring a directory along: to its name in root's home, or to PATH.",
        show_default=False,
    ),
]  # fmt: skip
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]


def new_app() -> typer.Typer:
    """A module's group of verbs, plain text throughout."""
    return typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


class AfterDashes(TyperCommand):
    """A verb whose last part, behind `--`, is somebody else's command line: left alone, in `ctx.obj`."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Take the command behind `--` off before options are looked for."""
        split = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[split + 1 :])
        return super().parse_args(ctx, args[:split])

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:
        """With the part behind the dashes."""
        return [*super().collect_usage_pieces(ctx), "-- CMD"]


def lacking(command: Any, argv: Sequence[str]) -> str:
    """What a command line may lack that has words which are not ours, and another command in it: the dashes before that
    one, or quotes around it. "" for nothing.
    """
    ours = argv[: argv.index("--")] if "--" in argv else argv
    if isinstance(command, AfterDashes) and ours == argv:
        return "; options of the command to run stand behind --"
    for option in command.params:
        words = (option.metavar or "").split("|")
        given = (word for name, word in pairwise(ours) if name in option.opts)
        if "CMD" in words and any(word not in words and " " not in word for word in given):
            return f"; a command of several words stands in quotes behind {option.opts[0]}"
    return ""
