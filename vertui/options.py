"""Arguments and options that several verbs share."""

from typing import Annotated, Any

import typer

from core.verbs.base import Kind
from vertui.completion import offer_names


def argument(metavar: str, help: str, kind: Kind) -> Any:
    """An argument that names something: a shell offers what there is of it."""
    return typer.Argument(metavar=metavar, help=help, show_default=False, autocompletion=offer_names(kind))


BranchName = Annotated[str, argument("BRANCH", "A branch name or @trunk.", Kind.BRANCH)]
AnyRef = Annotated[str, argument("BRANCH", "Any REF.", Kind.REF)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
All = Annotated[bool, typer.Option("--all", help="Every one that it can be done to.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Carry the plan out without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]


def new_app() -> typer.Typer:
    """A module's group of verbs, plain text throughout."""
    return typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
