"""What is left out by rules is what git leaves out by them."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from core.guest.scripts import guest_script
from core.guest.scripts.ignored import Rules, parse
from tests.conftest import full

NAMES = ("a", "b", "ab", "a.b", "a b", "-", "[", "!a", "#a", "a\\", "*", "é", "A1", "x\n", " ")
PIECES = (
    "a", "b", "ab", ".", " ", "-", "!", "#", "*", "**", "***", "?", "/", "/", "/", "\\", "\\*", "[ab]", "[!a]",
    "[^a-b]", "[]a]", "[a", "[[:alpha:]]", "[[:wrong:]]", "[[:]", "[a-]", "[b-a]", "[\\]a]", "é", "[é]",
    "\t", "\r", "\\ ",
)  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty one, with a tree of directories and files three deep."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name in ("a", "b", "a.b", "é"):
        for inner in NAMES:
            (tmp_path / name / inner / "deep").mkdir(parents=True)
            for file in NAMES:
                (tmp_path / name / inner / "deep" / file).touch()
    return tmp_path


def listed_by_git(top: Path) -> set[bytes]:
    told = subprocess.run(
        ["git", "-C", top, "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"],
        capture_output=True,
        check=True,
    )
    return {name for name in told.stdout.split(b"\0") if name}


def listed_by_rules(top: Path, rules: Rules) -> set[bytes]:
    """Files that are not left out."""
    walked = rules.within(os.fsencode(top)).walk()
    found = {path for path, entry, ignored in walked if not ignored and not entry.is_dir()}
    return {path for path in found if not path.startswith(b".git/")}


@pytest.mark.parametrize("number", range(300 if full() else 12))
def test_rules_at_random_leave_out_what_git_leaves_out(repository: Path, number: int) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for directory in ("", "a", "a/ab", "é/b"):
        lines = ["".join(chance.choices(PIECES, k=chance.randint(1, 5))) for _ in range(chance.randint(1, 5))]
        (repository / directory / ".gitignore").write_text("\n".join(lines), newline="")
    assert listed_by_rules(repository, Rules(b".gitignore")) == listed_by_git(repository)


@pytest.mark.parametrize(
    "text",
    [
        "*\n!*/\n!*.b\n",
        "a/\n!a/a\n",
        "/a/*\n!/a/b\n",
        "**/deep/a\n",
        "a/**\n",
        "a/**/a\n",
        "a**/ab\n",
        "a/a***/deep\n",
        "[a]**/ab\n",
        "deep\n!/a/a/deep\n",
        "\ufeffa.b\n",
        "a.b/\r\nb\r\n",
        "a\\ b\n\\#a\n\\!a\n",
        "a b  \n",
    ],
)
def test_rules_that_people_write(repository: Path, text: str) -> None:
    (repository / ".gitignore").write_bytes(text.encode())
    assert listed_by_rules(repository, Rules(b".gitignore")) == listed_by_git(repository)


def test_a_directory_of_a_repository_goes_by_the_rules_above_it(repository: Path) -> None:
    (repository / ".gitignore").write_text("/a/b/deep/a\n")
    (repository / "a" / ".gitignore").write_text("*.b\n")
    rules = Rules.of(os.fsencode(repository / "a" / "b"), b".gitignore")
    judge = Rules.told(rules.tell()).within(os.fsencode(repository / "a" / "b"))
    assert set(judge.left_out()) == {b"deep/a", b"deep/a.b"}


def test_as_a_program_it_tells_the_topmost_names(repository: Path) -> None:
    (repository / ".gitignore").write_text("deep\n!/b/*/deep\n")
    command = guest_script("ignored", str(repository), Rules(b".gitignore").tell())
    told = subprocess.run(command, capture_output=True, check=True).stdout.split(b"\0")
    assert len(told) == 3 * len(NAMES) + 1
    assert b"a/ab/deep" in told


def test_lines_that_fit_nothing_are_no_patterns() -> None:
    assert not list(parse(b"\n# a\n!\n/\n[a\na\\\n   \n[[:wrong:]]\n"))
