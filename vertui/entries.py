"""Entries of a journal, and commands in it, as people read them."""

import shlex

from core.journal.entry import JournalEntry, JournalExec
from vertui.text import millis, printable

TRIED = "~"  # stands at an entry whose work the branch's machine does not have


def author_of(entry: JournalEntry) -> str:
    """Who says or did it; `planner (guest)` of what was said inside, where anybody can call himself so."""
    author = printable(entry.author) or "-"
    return f"{author} (guest)" if entry.guest else author


def words_of(ran: JournalExec) -> str:
    """A command as it would be typed; one word is a line for the shell already."""
    return printable(ran.argv[0] if len(ran.argv) == 1 else shlex.join(ran.argv))


def end_of(ran: JournalExec) -> str:
    """How it ended: `exit 1, 13 ms`."""
    if ran.exit is None:
        return "not followed to its end"
    return f"{'timed out' if ran.timed_out else f'exit {ran.exit}'}, {millis(ran.duration_ms)}"
