"""The main job, played from start to end."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError
from vertui.options import new_app
from vertui.session import connect

app = new_app()
SLOWEST = 20.0


@app.command()
def demo(
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write what happened to this file.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the winner and its parent running.")] = False,
    ui: Annotated[bool, typer.Option("--ui", help="Play it inside the UI, for an audience.")] = False,
    pace: Annotated[
        float, typer.Option("--pace", metavar="N", min=0, max=SLOWEST, help="With --ui: 2 is half as fast.")
    ] = 1.0,
) -> None:
    """Play the main job: fork a live machine four ways, try a patch in each, promote the best, prune the rest.

    Exit status 0 only if every step did what it says. Needs no terminal, but with --ui: there the keys are pressed by
    the demo, and shown with what they do. Any key of your own holds it.
    """
    if ui:
        _play_in_ui(json, pace, keep=keep)
        return
    from vertui.demo import run  # websockets and more: --help can do without

    run(connect(), json, keep)


def _play_in_ui(json: Path | None, pace: float, *, keep: bool) -> None:
    if json is not None:
        raise UsageError("--json goes with the demo in this terminal: leave --ui out")
    from vertui.app import check_terminal

    check_terminal()
    endpoint = connect().endpoint
    from vertui.stage.app import StagedApp
    from vertui.stage.scenes import play

    raise typer.Exit(StagedApp(endpoint, partial(play, keep=keep), pace).live())
