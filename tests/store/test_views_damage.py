"""Records of damage: each once, the newest of a commit is found, and what was cut short is passed over."""

from pathlib import Path

from core.store.views.damage import Damage, Damages

FIRST, SECOND = "ab" * 20, "cd" * 20


def test_the_newest_of_a_commit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "damage"
    written = Damages(path)
    assert written.newest(FIRST) is None
    found = [Damage(FIRST, "memory", 7, 'said "no"\nand that'), Damage(SECOND, "disk", None, "no table")]
    for damage in (*found, found[0], Damage(FIRST, "disk", 9, "later")):
        written.note(damage)
    with path.open("ab") as file:
        file.write(b'{"commit": "cut sh')
    read = Damages(path)
    assert read.newest(FIRST) == Damage(FIRST, "disk", 9, "later")
    assert read.newest(SECOND) == found[1] and str(found[1]) == f"commit {SECOND} disk: no table"
    assert path.read_bytes().count(b"\n") == 3


def test_what_cannot_be_written_keeps_no_reader_waiting(tmp_path: Path) -> None:
    Damages(tmp_path / "nowhere" / "damage").note(Damage(FIRST, "memory", 1, "bad"))
    Damages(tmp_path / "nowhere" / "damage").shorten()
