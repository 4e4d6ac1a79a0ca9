"""Commits: take one, name one."""

from typing import Annotated

import typer

from vertui.commands.options import BranchName, new_app
from vertui.session import connect
from vertui.text import millis, printable, short

app = new_app()


@app.command()
def commit(
    branch: BranchName,
    message: Annotated[str, typer.Option("--message", "-m", help="What this state is.")] = "",
) -> None:
    """Commit a running or paused branch: memory, disk and devices as they are at one instant.

    \b
    Example:
      vertui commit main -m 'server warmed up'
    """
    done = connect().commit(branch, message)
    taken = done.commit
    loose = "" if taken.quiesced else "  unquiesced: restorable, not forkable"
    text = f"  {printable(taken.message)}" if taken.message else ""
    print(f"{short(taken.id)}{text}{loose}")
    print(
        f"{taken.changed_pages} pages changed, paused {millis(taken.pause_ms)}"
        f" (felt {millis(taken.felt_pause_ms)}), hot in {millis(done.to_hot_ms)},"
        f" sealed in {millis(done.to_sealed_ms)}"
    )


@app.command()
def tag(
    ref: Annotated[
        str, typer.Argument(metavar="COMMIT", help="A commit id, or any REF.", show_default=False)
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tag.", show_default=False)],
) -> None:
    """Name a commit; the name is a REF from then on.

    \b
    Example:
      vertui tag main~1 known-good
    """
    print(connect().tag(ref, name).summary)
