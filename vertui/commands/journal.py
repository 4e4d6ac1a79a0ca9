"""What was said and done in branches, read."""

import json as json_
import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from core.codec import encode
from core.errors import DaemonUnavailable, Damaged
from core.journal.entry import JournalCheck, JournalEntry
from vertui.entries import line_of
from vertui.options import BranchName, Json, new_app
from vertui.output import clip, line_width, say_json
from vertui.session import connect
from vertui.text import printable

app = new_app()
journal = new_app()
app.add_typer(journal, name="journal")

TAIL = 10  # entries
PAUSE_S = 0.2  # before another connection

From = Annotated[
    int | None, typer.Option("--from", metavar="SEQ", min=1, help="From this entry on.", show_default=False)
]
Last = Annotated[
    int | None, typer.Option("-n", metavar="N", min=1, help="The newest N alone.", show_default=False)
]
Whole = Annotated[bool, typer.Option("--whole", help="Long bodies whole, and what commands printed.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until ^C.")]
EntryJson = Annotated[bool, typer.Option("--json", help="A line of JSON an entry.")]


@journal.callback()
def _journal() -> None:
    """Read and write what was said and done in branches."""


@journal.command("show")
def show(
    branch: BranchName, first: From = None, count: Last = None, whole: Whole = False, json: EntryJson = False
) -> None:
    """Show a branch's journal, with what its parents' had when it was forked.

    An entry a line: number, time, kind, author (- for none), body (⏎ between its lines). A ~ marks what was tried: the
    branch's machine was taken back to before that, by `restore`. A command that ran when a branch was forked runs on in
    the children: its end there is an entry named inherited. What a program inside said by `vertui-note` has an author
    "(guest)". What a newer vertui wrote is shown as it is.
    """
    _say(connect().journal(branch, first=first or 0, count=count or 0, whole=whole), json=json, whole=whole)


@journal.command("tail")
def tail(branch: BranchName, follow: Follow = False, count: Last = None, json: EntryJson = False) -> None:
    """Show the newest entries, ten unless told, and with -f those that come."""
    newest = TAIL if count is None else count
    _say(_followed(branch, newest) if follow else connect().journal(branch, count=newest), json=json)


def _followed(branch: str, count: int) -> Iterator[JournalEntry]:
    """The newest entries and those that come, over as many connections as that takes. DaemonStopped once somebody
    ended the daemon; one that died is waited for.
    """
    from core.daemon.start import rejoin

    client, asked = connect(), {"count": count}
    while True:
        try:
            for entry in client.journal(branch, follow=True, **asked):
                asked = {"first": entry.seq + 1}
                yield entry
        except DaemonUnavailable:
            time.sleep(PAUSE_S)
            rejoin(client.endpoint)


@journal.command("grep")
def grep(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What a body, an author or a command holds, as it is.")
    ],
    branch: BranchName,
    json: EntryJson = False,
) -> None:
    """Show the entries that hold a text, each as it is found; exit status 1 when none does."""
    if not _say(connect().journal_grep(branch, text), json=json):
        raise typer.Exit(1)


@journal.command("export")
def export(
    branch: BranchName,
    otel: Annotated[
        bool, typer.Option("--otel", help="As spans of OpenTelemetry's, for generative AI.")
    ] = False,
) -> None:
    """Print all of a branch's journal as JSONL, bodies whole.

    Each `hash` is BLAKE3 of the entry's line as it is kept, and each `parent_hash` the hash of the entry before.
    With --otel each line is OTLP's JSON with one span, as a collector's otlpjsonfile receiver reads it.
    """
    entries = connect().journal(branch, whole=True)
    if not otel:
        _say(entries, json=True)
        return
    from vertui.spans import lines_of

    for line in lines_of(branch, entries):
        print(line)


@journal.command("verify")
def verify(
    branch: Annotated[
        str, typer.Argument(metavar="[BRANCH]", help="All, without one.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Hold journals against their hashes, and name the first entry of each that is not what was written.

    Exit status 8 when there is one.
    """
    found = connect().journal_verify(branch)
    if json:
        say_json(found)
    for one in found:
        if not json and not one.problem:
            print(f"{one.branch}  {one.entries} {'entry' if one.entries == 1 else 'entries'}  whole")
    if wrong := [one for one in found if one.problem]:
        raise Damaged("; ".join(map(_wrong, wrong)))


def _wrong(one: JournalCheck) -> str:
    return f"journal of {one.branch}: entry {one.seq}: {one.problem}"


def _say(entries: Iterable[JournalEntry], *, json: bool, whole: bool = False) -> int:
    """Print each as it comes, commands with their output if that is to be `whole`; how many came."""
    count, width = 0, line_width()
    for entry in entries:
        below = _below(entry) if whole and not json else []
        line = json_.dumps(encode(entry)) if json else line_of(entry, lines=not below)
        print(line if json or width is None else clip(line, width), flush=True)
        for one in below:
            print(f"        | {printable(one)}")
        count += 1
    return count


def _below(entry: JournalEntry) -> list[str]:
    """What stands below the line of an entry that is shown whole: all that a command printed, or the lines of a text
    of several.
    """
    lines = entry.body.removesuffix("\n").split("\n") if entry.body else []
    return lines if entry.exec or len(lines) > 1 else []
