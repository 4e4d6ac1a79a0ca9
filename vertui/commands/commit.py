"""Commits: take one, name one."""

from typing import Annotated

import typer

from vertui.commands.options import BranchName, new_app
from vertui.session import connect
from vertui.text import millis, printable, short, size

app = new_app()


@app.command()
def commit(
    branch: BranchName,
    message: Annotated[str, typer.Option("--message", "-m", help="What this state is.")] = "",
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Answer when it is hot; it is sealed behind that.")
    ] = False,
) -> None:
    """Commit a running or paused branch: memory, disk and devices as they are at one instant.

    Answers once it is sealed, that is durable. A hot commit can be forked already; it is lost only if the host dies.

    \b
    Examples:
      vertui commit main -m 'server warmed up'
      vertui commit main --no-wait
    """
    done = connect().commit(branch, message, not no_wait)
    taken = done.commit
    loose = "" if taken.quiesced else "  unquiesced: restorable, not forkable"
    text = f"  {printable(taken.message)}" if taken.message else ""
    print(f"{short(taken.id)}{text}{loose}")
    sealed = "not yet sealed"
    if done.to_sealed_ms is not None:
        sealed = f"sealed in {millis(done.to_sealed_ms)}, {size(taken.stored_bytes)} added"
    print(
        f"{taken.changed_pages} pages changed, paused {millis(taken.pause_ms)}"
        f" (felt {millis(taken.felt_pause_ms)}), hot in {millis(done.to_hot_ms)}, {sealed}"
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
