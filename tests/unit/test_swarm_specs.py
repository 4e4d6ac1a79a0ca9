"""What a swarm is to try is read from files and options, and told where it makes no sense; its rules of scores find a
number.
"""

import subprocess
from pathlib import Path

import pytest

from core.errors import UsageError
from core.guest.scripts import guest_script
from vertui.swarm.spec import make_spec, read_spec, rule_of

ASSETS = Path(__file__).parents[2] / "assets" / "swarms"


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({}, "swarm: give a command, or variants"),
        ({"command": "a", "variants": ["b"]}, "not both"),
        ({"command": "a", "n": -1}, "n: give a whole number >= 0"),
        ({"command": "a", "timeout": 0}, "timeout: give a number > 0"),
        ({"command": "a", "within": "long"}, "within: give a number, got a text"),
        ({"command": "a", "files": {"nowhere": "/root"}}, "files: there is no .*/nowhere"),
        ({"command": "a", "speed": 1}, "there is no 'speed': give base, command, variants, n, "),
        ({"variant": ["a"]}, r"there is no 'variant': did you mean variants\?"),
        ({"command": "a", "losers": "eat"}, "losers: give keep or pause or suspend or prune"),
        ({"command": "a", "beam": 2}, "beam is 2, and 1 are tried in a round"),
        ({"command": "a", "egress": ["???"]}, r"\?\?\?"),
        ({"command": "a", "score": "regex:("}, "is no pattern"),
        ({"command": "a", "cost": "("}, r"cost: '\(' is no pattern"),
        ({"command": "a", "cost_limit": 3}, "a limit of costs needs cost"),
        ({"command": "a", "n": 4, "bandit": True}, "give a beam of 2 or more"),
        ({"command": "a", "n": 2, "beam": 2, "rounds": 2, "crossed": 3}, "3 tries are to be crossed"),
        ({"command": "a", "rebase": True}, "give promote as well"),
        ({"called": "f", "timeout": 1}, "timeout is of a command"),
        ({"variants": ["@nowhere"]}, "cannot be read"),
        ({"driver": "nowhere.py"}, "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(told: dict[str, object], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        make_spec(told, "swarm", Path())


def test_what_an_option_says_takes_the_place_of_what_a_spec_does_and_its_paths_are_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    for directory, lines in ((there, "theirs\n"), (here, "ours\nmore\n")):
        directory.mkdir()
        (directory / "tries.txt").write_text(lines)
        (directory / "data").touch()
    (there / "a.toml").write_text('files = {"data" = "/root/data"}\nvariants = ["@tries.txt"]\nn = 1\n')
    monkeypatch.chdir(here)
    path = Path("..", "there", "a.toml")
    spec = read_spec(path, {})
    assert (spec.variants, spec.files) == (("theirs",), {str(there / "data"): "/root/data"})
    spec = read_spec(path, {"files": {"data": "/root/data"}, "variants": ["@tries.txt"]})
    assert (spec.variants, spec.files, spec.n) == (("ours", "more"), {str(here / "data"): "/root/data"}, 0)
    assert read_spec(path, {"command": "a", "n": 2}).variants == ()
    with pytest.raises(UsageError, match="nobody-here/tries leads nowhere"):
        read_spec(path, {"variants": ["@~nobody-here/tries"]})


def test_the_specs_that_come_along_are_read() -> None:
    found = {path.stem: read_spec(path, {}) for path in ASSETS.glob("*.toml")}
    assert set(found) == {"maze", "repair", "search"}
    assert found["maze"].driver.startswith('"""The shortest way out') and found["search"].beam == 2
    assert all(Path(here).exists() for spec in found.values() for here in spec.files)


@pytest.mark.parametrize(
    ("score", "printed", "told"),
    [
        ("regex:loss=([0-9.]+)", "loss=3\nloss=0.25 at 7\n", "0.25"),
        ("regex:[0-9]+ ok", "1 ok\n22 ok\n", "22 ok"),
        ("regex:x", "y", ""),
        (
            "pytest",
            "1 passed in 9s, they say\n==== \033[31m1 failed\033[0m, 3 passed, 2 skipped in 0.12s ====\n",
            "0.75",
        ),
        ("pytest", "no tests ran in 0.01s", ""),
    ],
)
def test_rules_of_scores_find_a_number(score: str, printed: str, told: str) -> None:
    rule = ["sh", "-c", rule_of(score)]
    done = subprocess.run(rule, input=printed, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told


def test_a_report_of_pytest_s_is_a_score(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite errors="1" failures="1" skipped="1" tests="9"/></testsuites>')
    done = subprocess.run(
        [*guest_script("scored", "pytest", str(report))], input=b"", capture_output=True, check=True
    )
    assert float(done.stdout) == 0.75
