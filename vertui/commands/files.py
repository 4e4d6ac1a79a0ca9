"""Files: copy them in and out, and keep them alike."""

from typing import Annotated, Any

import typer

from vertui.completion import offer_places
from vertui.options import Json, new_app
from vertui.output import LEFT_OUT, say_json, warn_left_out
from vertui.progress import Meter
from vertui.session import connect
from vertui.text import counted, size
from vertui.transfer import Copied, Copier, parse

app = new_app()


def _place(metavar: str) -> Any:
    return typer.Argument(
        metavar=metavar, help="PATH or BRANCH:PATH.", show_default=False, autocompletion=offer_places
    )


@app.command()
def cp(
    source: Annotated[str, _place("SRC")],
    target: Annotated[str, _place("DST")],
    json: Json = False,
) -> None:
    """Copy a file or a tree into a branch, out of it, or from one branch to another.

    Into a directory that exists, else to the name given; SRC/. copies what is in a directory. A relative path in a
    branch starts at root's home; `\\xNN` in it is a byte. Holes stay holes. Devices, and links that would lead out of a
    copy to this machine, are left out and named, and the exit status is 3 then.

    \b
    Examples:
      vertui cp project main:/root
      vertui cp b2:/root/project/report.txt .
      vertui cp b1:/srv/data b2:/srv
    """
    meter = Meter()
    try:
        copied, final = Copier(connect(), meter).copy(parse(source), parse(target))
    finally:
        meter.clear()
    if json:
        say_json(Copied.of(copied, str(final)))
    elif copied is None:
        print(f"copied to {final}")
    else:
        print(f"copied {counted(copied.files, 'file')}, {size(copied.size_bytes)}, to {final}")
        warn_left_out(copied.skipped)
    if copied and copied.skipped:
        raise typer.Exit(LEFT_OUT)


@app.command()
def sync(
    places: Annotated[list[str], _place("SRC DST...")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: what is edited here is in the branches within a second.")
    ] = False,
    ignore_from: Annotated[
        str | None,
        typer.Option(
            "--ignore-from",
            metavar="NAME",
            help="Leave out what files of that name say, as git does.",
            show_default=False,
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is only at DST.")] = False,
    json: Json = False,
) -> None:
    """Bring what is in a directory into one of a branch, or back: only what differs travels (rsync).

    What is in SRC comes to be in DST, which is made where it is missing. Links, modes and times are kept; owners are
    not, and devices are left out. Into this machine nothing comes but below DST, no link that would lead out, and no
    bit that lets a program run as its owner. What is left out is named, and the exit status is 1 then.

    --watch goes on until Ctrl-C, for several branches too: each follows by itself, and one that is paused catches up.
    What was removed here while it watched is removed there. With --json it prints a line for each run.

    --ignore-from .gitignore goes by the rules of files of that name, also in what --delete leaves alone; what git
    tracks in spite of them is left out as well, and `.git` itself is not. With a slash in it, it names one file of
    rules for all.

    \b
    Examples:
      vertui sync . main:/root/project --ignore-from .gitignore
      vertui sync . b1:/srv b2:/srv --watch
      vertui sync b2:/srv/results results
    """
    from vertui.sync.command import run  # cp needs nothing of it

    meter = Meter()
    try:
        left_out = run(places, meter, watch=watch, ignore_from=ignore_from, delete=delete, json=json)
    finally:
        meter.clear()
    if left_out:
        raise typer.Exit(1)
