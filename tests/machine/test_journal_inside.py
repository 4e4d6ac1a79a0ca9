"""What a real guest has for its journal: notes of its programs, and how commands ended that nobody followed."""

from functools import partial

from core.daemon.client import Client
from core.journal.entry import JournalEntry
from core.verbs.fork import Fork
from tests.guests import Guest, eventually


def test_programs_inside_write_into_the_journal_and_a_forks_commands_tell_how_they_ended(
    main: Guest, client: Client
) -> None:
    said = main.text("vertui-note --kind message --author planner 'try it twice'; echo more | vertui-note")
    first, second = list(client.journal("main"))[-3:-1]
    assert said.split() == ["entry", str(first.seq), "entry", str(second.seq)]
    assert [(one.kind, one.author, one.body, one.guest) for one in (first, second)] == [
        ("message", "planner", "try it twice", True), ("note", "root", "more\n", True),
    ]  # fmt: skip
    who = "setpriv --reuid=65534 --clear-groups"
    assert main.text(f"{who} vertui-note --waiting; vertui-note --kind exec x 2>&1 | tail -n 1").startswith(
        "entry "
    )
    command = "vertui-note 'here is {name}'; echo out; exit 3"
    forked = client.do(Fork("main", n=2, prefix="c", command=command))
    for child in forked.children:
        assert eventually(partial(_has_ended, client, child.name))
        entries = list(client.journal(child.name))
        assert f"here is {child.name}" in [entry.body for entry in entries if entry.guest]
        end = next(entry for entry in entries if _is_end(entry))
        assert end.exec and (end.exec.exit, end.exec.stdout_bytes) == (3, len(end.body))
        assert end.body.endswith("out\n")
    assert not client.journal_verify("")[0].problem


def _has_ended(client: Client, branch: str) -> bool:
    return any(map(_is_end, client.journal(branch)))


def _is_end(entry: JournalEntry) -> bool:
    return entry.exec is not None and entry.exec.exit == 3
