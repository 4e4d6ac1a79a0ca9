"""Entries of a journal, and commands in it, as people read them."""

import shlex
import time
from collections.abc import Sequence

from core.journal.entry import JournalEntry, JournalExec
from vertui.text import counted, millis, printable

TRIED = "~"  # stands at an entry whose work the branch's machine does not have


def author_of(entry: JournalEntry) -> str:
    """Who says or did it; `planner (guest)` of what was said inside, where anybody can call himself so."""
    author = printable(entry.author) or "-"
    return f"{author} (guest)" if entry.guest else author


def words_of(ran: JournalExec) -> str:
    """A command as it would be typed."""
    return command_words(ran.argv)


def command_words(argv: Sequence[str]) -> str:
    """The same of its words; a single one is a line for the shell already."""
    return printable(argv[0] if len(argv) == 1 else shlex.join(argv))


def end_of(ran: JournalExec) -> str:
    """How it ended: `exit 1, 13 ms`."""
    if ran.exit is None:
        return "inherited, runs on by itself" if ran.inherited else "not followed to its end"
    inherited = ", inherited" if ran.inherited else ""
    return f"{'timed out' if ran.timed_out else f'exit {ran.exit}'}, {millis(ran.duration_ms)}{inherited}"


def line_of(entry: JournalEntry, *, lines: bool = True) -> str:
    """An entry on one line, with all `lines` of its body or without it."""
    sign = TRIED if entry.tried else " "
    if entry.raw:
        return f"{entry.seq:>6}{sign} {printable(entry.raw)}"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
    more = ""
    if entry.body_bytes > len(entry.body.encode(errors="surrogatepass")) and not entry.exec:
        more = f"…  ({counted(entry.body_bytes, 'byte')})"
    body = " ⏎ ".join(map(printable, entry.body.removesuffix("\n").split("\n"))) if lines else ""
    what = f"{words_of(entry.exec)}  {end_of(entry.exec)}" if entry.exec else body
    return (
        f"{entry.seq:>6}{sign} {at}  {printable(entry.kind):<11}  {author_of(entry)}  {what}{more}".rstrip()
    )
