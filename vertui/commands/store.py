"""The store: what it holds, and whether it is whole."""

import sys
from typing import Annotated

import typer

from core.errors import Damaged
from vertui.options import Json, new_app
from vertui.output import say_json, say_table
from vertui.session import connect
from vertui.text import printable, short, size

app = new_app()
store = new_app()
app.add_typer(store, name="store")

HEADER = ("COMMIT", "LOGICAL", "STORED", "SHARED", "UNIQUE")


@store.callback()
def _store() -> None:
    """See what commits take, check them, and free what nothing needs."""


@store.command()
def du(json: Json = False) -> None:
    """Show what each commit and branch takes: its pages, what they take stored, what others share, what pruning frees.

    A branch's line is of all the commits its head comes from. The last line is of what is no commit.
    """
    space = connect().store_space()
    if json:
        say_json(space)
        return
    head = ("BRANCH", "COMMITS", *HEADER[1:])
    taken = [
        (
            b.branch,
            str(b.commits),
            *map(size, (b.logical_bytes, b.stored_bytes, b.shared_bytes, b.unique_bytes)),
        )
        for b in space.branches
    ]
    rows = [
        (short(c.commit), *map(size, (c.logical_bytes, c.stored_bytes, c.shared_bytes, c.unique_bytes)))
        for c in space.commits
    ]
    say_table(HEADER, rows)
    if taken:
        print()
        say_table(head, taken)
        print()
    parts = (space.packs_bytes, space.index_bytes, space.records_bytes)
    print(f"packs {size(parts[0])}, index {size(parts[1])}, records {size(parts[2])};", end=" ")
    print(f"{space.dedup:.1f}x by deduplication, {space.compression:.1f}x by compression")
    left = f" ({size(space.crash_bytes)} of crash disks)" if space.crash_bytes else ""
    print(
        f"beside them: images {size(space.images_bytes)}, disk layers of machines {size(space.layers_bytes)}"
        f"{left}, cache {size(space.cache_bytes)}, journals {size(space.journals_bytes)},"
        f" logs {size(space.logs_bytes)}, reserve {size(space.reserve_bytes)}"
    )


@store.command()
def check(
    read_data: Annotated[
        float,
        typer.Option(
            "--read-data", metavar="PERCENT", help="Also decompress and verify this share of pages."
        ),
    ] = 0.0,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="First make the index, and missing rows of the catalog, again."),
    ] = False,
    json: Json = False,
) -> None:
    """Check that everything is as it was written. Exit status 8 when something is not."""
    from vertui.progress import tallied

    client, lines = connect(), list[str]()
    if rebuild:
        with tallied(client) as key:
            lines = client.rebuild(key)
    for line in lines:
        print(printable(line), file=sys.stderr if json else sys.stdout)
    with tallied(client) as key:
        problems = client.check_store(read_data, key)
    if json:
        say_json(problems)
    else:
        for problem in problems:
            where = [
                short(problem.commit),
                problem.medium,
                "" if problem.page is None else f"page {problem.page}",
            ]
            print(" ".join(word for word in where if word) + f": {printable(problem.what)}")
    if problems:
        raise Damaged(f"{len(problems)} things in the store are not as they were written")
    if not json:
        print("everything is as it was written")
