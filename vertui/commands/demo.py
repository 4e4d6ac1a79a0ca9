"""The main job, played from start to end."""

from pathlib import Path
from typing import Annotated

import typer

from vertui.options import new_app
from vertui.session import connect

app = new_app()


@app.command()
def demo(
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write what happened to this file.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the winner and its parent running.")] = False,
) -> None:
    """Play the main job: fork a live machine four ways, try a patch in each, promote the best, prune the rest.

    Exit status 0 only if every step did what it says. Needs no terminal.
    """
    from vertui.demo import run  # websockets and more: --help can do without

    run(connect(), json, keep)
