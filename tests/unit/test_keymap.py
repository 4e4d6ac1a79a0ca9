"""A user's own keys: what is good of a file is used, what is not costs one line, and nobody is locked out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vertui.actions import ACTIONS, BY_ID
from vertui.keymap import ALWAYS, ELSEWHERE, LEAVING, Keymap, key_files, read_keymap


def told(directory: Path, text: str) -> Keymap:
    file = directory / "keys.toml"
    file.write_text(text)
    return read_keymap([file])


def test_keys_are_given_by_sign_or_name(tmp_path: Path) -> None:
    given = (
        'fork = "f5"\nwatch = ["w", "ctrl+w"]\n"copy as command" = "f7"\nswarms = "f9"\ntrash = "#"\nhelp = "f6"\n'
        'commit = "f"\n'
    )
    keymap = told(tmp_path, given)
    assert keymap.problems == ()
    assert keymap.keys == {
        "fork": "f5", "watch": "w,ctrl+w", "copy": "f7", "help": "f6,question_mark", "commit": "f",
        "swarms": "f9", "trash": "number_sign",
    }  # fmt: skip


def test_the_homes_file_wins_and_none_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    home = tmp_path / "home"
    assert read_keymap(key_files(home)) == Keymap({})
    for directory, key in ((tmp_path / "config" / "vertui", "f5"), (home, "f6")):
        directory.mkdir(parents=True)
        (directory / "keys.toml").write_text(f'fork = "{key}"\ndiff = "{key.lower()}{key.lower()}"\n')
    keymap = read_keymap(key_files(home))
    assert keymap.keys == {"fork": "f6"}
    assert [problem.partition(" (")[0] for problem in keymap.problems] == [
        f"diff: there is no key '{key}': give it as F, ?, f5 or ctrl+w" for key in ("f5f5", "f6f6")
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('frok = "f5"', "frok: there is no such action, did you mean fork?"),
        ("fork = 7", 'fork: give a key as "F", or several as ["F", "ctrl+f"]'),
        ('fork = ["f5", ""]', "fork: give a key as"),
        (
            'fork = "c"',
            "fork = c, which is the key of commit: give commit another one first: f stays its key",
        ),
        ('fork = "f5"\nwatch = "f5"', "watch = f5, which fork has been given: w stays its key"),
        (
            'fork = "c"\ncommit = "?"',
            "fork = c, which is the key of commit: give commit another one first: f stays",
        ),
        ('fork = "n"', "fork = n, which means: to the next that was found: f stays its key"),
        ('fork = "enter"', "fork = ⏎, which no action can have: f stays its key"),
        ('fork = "q"', "fork = q, which is the key of quit"),
        ('fork = "f12', "none of the keys in"),
        ('"\x1b[31m" = "F"', "none of the keys in"),
    ],
)
def test_what_is_wrong_is_one_line_and_the_old_key_stays(tmp_path: Path, text: str, problem: str) -> None:
    keymap = told(tmp_path, f"{text}\n")
    assert any(problem in line for line in keymap.problems), keymap.problems
    assert not any("\n" in line or "\x1b" in line for line in keymap.problems)
    assert keymap.keys.get("fork") in (None, "f5")


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").mkdir()
    [problem] = read_keymap([tmp_path / "keys.toml"]).problems
    assert "none of the keys in" in problem
    file = tmp_path / "bytes"
    file.write_bytes(b"\xff\xfe")
    assert "no text in UTF-8" in read_keymap([file]).problems[0]


SIGNS = some.sampled_from(
    ["f", "c", "F", "Y", "q", "?", ":", "j", "f5", "escape", "ctrl+t", "#", "w", "s", "d"]
)


@given(
    some.dictionaries(some.sampled_from(sorted(BY_ID)), some.lists(SIGNS, min_size=1, max_size=2), max_size=8)
)
def test_no_file_locks_anybody_out(wanted: dict[str, list[str]]) -> None:
    import json
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        keymap = told(Path(directory), "".join(f"{id} = {json.dumps(keys)}\n" for id, keys in wanted.items()))
    held: dict[str, str] = {}
    for action in ACTIONS:
        keys = keymap.keys.get(action.id, action.key).split(",")
        assert keys and (action.id not in ALWAYS or action.key in keys)
        for key in {*keys}:
            assert held.setdefault(key, action.id) == action.id, keymap
            assert key == action.key or (key not in ELSEWHERE and key not in LEAVING)
