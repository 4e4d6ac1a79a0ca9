"""Arguments and options that several verbs share."""

from typing import Annotated

import typer

BranchName = Annotated[
    str, typer.Argument(metavar="BRANCH", help="A branch name or @trunk.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Carry the plan out without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]


def new_app() -> typer.Typer:
    """A module's group of verbs, plain text throughout."""
    return typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
