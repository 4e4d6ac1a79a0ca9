"""A swarm tries, ranks and forks again; killed after every step it goes on to the same end, and does nothing twice."""

import asyncio
import io
import json
import subprocess
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from core.checkpoints import Trigger
from core.engine.checkpoints import Occasion, checkpoint, policy_of
from core.errors import Conflict, Damaged, NoRoom, UsageError, VertuiError
from core.guest.scripts import guest_script
from core.home import Home
from tests.conftest import full
from tests.unit.swarming import Killed, Quiet, swarming
from vertui.cli import main
from vertui.swarm import record as records
from vertui.swarm.board import table_of
from vertui.swarm.playing import finish
from vertui.swarm.results import SwarmOutcome, SwarmResult
from vertui.swarm.spec import SwarmSpec, make_spec, read_spec, rule_of

ASSETS = Path(__file__).parents[2] / "assets" / "swarms"
BEAM = SwarmSpec(base="main", command="work {i}", n=4, score="printed", rounds=3, beam=2, losers="prune")


def in_rounds(branch: str, command: str) -> float:
    """Later rounds are better, and in each the third child of the first parent."""
    name = branch.rpartition("-")[2]
    round_ = int(name[0]) if name[1:2].isalpha() else 1
    return round_ + (0.5 if name.endswith("a2") or name == "3" else int(command.split()[-1]) / 100)


def in_short(outcome: SwarmOutcome) -> list[tuple[str, int, float | None]]:
    return [(one.branch, one.round, one.score) for one in outcome.results]


def expected(rounds: int) -> list[tuple[str, int, float]]:
    """All results of it, best first."""
    first = [(f"beam-{i}", 1) for i in range(1, 5)]
    later = [
        (f"beam-{round_}{which}{at}", round_)
        for round_ in range(2, rounds + 1)
        for at in (1, 2)
        for which in "ab"
    ]
    told = [
        (name, round_, in_rounds(name, f"work {at % 4 + 1}"))
        for at, (name, round_) in enumerate(first + later)
    ]
    return sorted(told, key=lambda one: one[2], reverse=True)


async def test_rounds_fork_the_best_again_of_what_was_made_ready_and_losers_are_pruned() -> None:
    async with swarming(lambda *told: in_rounds(*told) if "work" in told[1] else 0.0) as here:
        outcome = await asyncio.to_thread(here.run, "beam", replace(BEAM, prepare="make ready"))
        assert in_short(outcome) == expected(3) and outcome.winner == "beam-3a2"
        assert here.names() == {"main", "beam-3a2"}, "what was made ready goes, too"
        assert set(here.commands.begun.values()) == {1} and here.commands.begun["beam-base"] == 1
        assert here.twins.engine.branch("main").head == outcome.origin != outcome.forked
        assert await asyncio.to_thread(here.resume, "beam") == outcome, "what has ended is not played again"
        few = SwarmSpec(base="main", command="work {i}", n=6, at_once=2, score="printed", losers="prune")
        here.commands.most = 0
        outcome = await asyncio.to_thread(here.run, "few", few)
        assert outcome.winner == "few-3" and here.commands.most <= 2
        assert here.names() == {"main", "beam-3a2", "few-3"}
        with pytest.raises(NoRoom, match=r"memory of 1 MiB is for 0 branches.*losers pruned"):
            await asyncio.to_thread(here.run, "none", replace(few, memory=1))
        assert records.swarms(here.home) == ["beam", "few"], (
            "what was refused at its first step leaves nothing"
        )


async def test_a_swarm_killed_after_every_step_comes_to_the_same_end_and_does_nothing_twice() -> None:
    rounds = 3 if full() else 2
    async with swarming(in_rounds) as here:
        deaths, outcome = 0, None
        while outcome is None:
            try:
                play = here.resume if deaths else partial(here.run, spec=replace(BEAM, rounds=rounds))
                outcome = await asyncio.to_thread(partial(play, "beam", lives=1))
            except Killed:
                deaths += 1
        assert deaths > 5 * rounds - 5
        assert in_short(outcome) == expected(rounds) and here.forks() == 2 * rounds - 1
        assert here.names() == {"main", f"beam-{rounds}a2"} and set(here.commands.begun.values()) == {1}


async def test_the_first_success_ends_it_and_so_does_time() -> None:
    def judge(branch: str, command: str) -> float | None:
        return None if command == "hang" else 1.0

    async with swarming(judge) as here:
        spec = SwarmSpec(base="main", variants=("hang", "good", "hang"), stop="first", losers="pause")
        guest = here.twins.machine("main").guest
        guest.stubborn = True  # for a moment, as one that is too busy to be frozen
        asyncio.get_running_loop().call_later(0.2, setattr, guest, "stubborn", False)
        outcome = await asyncio.to_thread(here.run, "one", spec)
        assert (outcome.winner, outcome.why) == ("one-2", "one-2 succeeded")
        assert [one.note for one in outcome.results] == ["", *["not scored: the swarm was over first"] * 2]
        states = {row.name: row.state for row in here.twins.engine.catalog.branches()}
        assert states == {"main": "running", "one-1": "paused", "one-2": "running", "one-3": "paused"}
        late = SwarmSpec(base="main", variants=("hang", "hang"), within=0.3)
        outcome = await asyncio.to_thread(here.run, "two", late)
        assert (outcome.winner, outcome.why, here.names() > {"two-1", "two-2"}) == (
            "",
            "0.3 s were over",
            True,
        )


async def test_a_winner_is_promoted_unless_the_trunk_went_on() -> None:
    async with swarming(lambda branch, _: float(branch[-1])) as here:
        spec = SwarmSpec(base="main", command="work", n=2, score="printed", promote=True)

        def promoted(name: str, paths: int = 0) -> SwarmOutcome | None:
            hands = here.hands()
            hands.paths = paths
            with records.go_on(here.home, name) as record:
                return finish(record, hands, Quiet(), lambda plan: None)

        for name in ("one", "two", "three"):
            await asyncio.to_thread(here.run, name, spec)
        with pytest.raises(
            Conflict, match=r"one-2 won and is stale: main has commits since .*; nothing was promoted"
        ):
            await asyncio.to_thread(promoted, "one")
        with pytest.raises(Conflict, match="main changed 3 files since the swarm began"):
            await asyncio.to_thread(promoted, "three", 3)
        assert here.trunk() == "main"
        engine, main = here.twins.engine, here.twins.engine.branch("main")
        here.twins.machine("main").guest.ticks += 1
        by_itself = Occasion(Trigger.TIME, main, policy_of(engine, main), 0)
        assert await checkpoint(engine, engine.live[main.id], by_itself), "which nobody asked for"
        done = await asyncio.to_thread(promoted, "three")
        assert done is not None and done.promoted and here.trunk() == "three-2"
        assert await asyncio.to_thread(promoted, "three") is None, "once"
        with pytest.raises(Conflict, match="the trunk is three-2 now"):
            await asyncio.to_thread(promoted, "two")


async def test_a_driver_is_played_again_from_its_beginning_and_says_where_it_failed() -> None:
    text = """
def drive(swarm, base):
    kids = swarm.fork(base, 2, "x").names
    said = swarm.each(lambda kid: swarm.run(kid, "walk"), kids)
    swarm.prune([base, kids[0]], now=True)
    return "".join(one.text for one in said)
"""
    async with swarming(lambda *_: 1.0) as here:
        outcome, deaths = None, 0
        while outcome is None:
            try:
                play = (
                    here.resume
                    if deaths
                    else partial(here.run, spec=make_spec({"driver": text}, "t", Path()))
                )
                outcome = await asyncio.to_thread(partial(play, "maze", lives=1))
            except Killed:
                deaths += 1
        assert deaths >= 4 and outcome.answer.split()[::2] == ["x1", "x2"]
        assert here.names() == {"main", "x2"} and set(here.commands.begun.values()) == {1}
        wrong = make_spec({"driver": "def drive(swarm, base):\n    return 1 / 0\n"}, "t", Path())
        with pytest.raises(VertuiError, match=r"the driver failed, drive in line 2: ZeroDivisionError"):
            await asyncio.to_thread(here.run, "wrong", wrong)


def test_a_record_is_one_process_s_and_a_torn_line_was_never_written(home: Home) -> None:
    with records.begin(home, "s", BEAM) as record:
        record.add("fork s-", {"commit": "c"})
        with pytest.raises(Conflict, match="another process"), records.go_on(home, "s"):
            pass
        assert records.is_at_work(home, "s")
    path = records.path_of(home, "s")
    path.write_bytes(path.read_bytes() + b'{"kind": "st')
    with records.go_on(home, "s") as record:
        assert list(record.steps) == ["fork s-"] and record.spec == BEAM
        key = record.key("fork t-")
        record.refuse("fork t-", "not now")
        assert record.key("fork t-") != key, "what was refused is another request when it is tried again"
        key = record.key("fork t-")
        record.add("two", 2)
    assert (records.look(home, "s").answer("two", int), records.look(home, "s").key("fork t-")) == (2, key)
    with pytest.raises(Conflict, match="there is a swarm s already"), records.begin(home, "s", BEAM):
        pass
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(Damaged, match="line 5"):
        records.look(home, "s")


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({}, "swarm: give a command, or variants"),
        ({"command": "a", "variants": ["b"]}, "not both"),
        ({"command": "a", "n": -1}, "n: Expected"),
        ({"command": "a", "speed": 1}, "unknown field `speed`"),
        ({"command": "a", "beam": 2}, "beam is 2, and a round has 1 tries"),
        ({"command": "a", "egress": ["???"]}, r"\?\?\?"),
        ({"command": "a", "score": "regex:("}, "is no pattern"),
        ({"variants": ["@nowhere"]}, "cannot be read"),
        ({"driver": "nowhere.py"}, "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(told: dict[str, object], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        make_spec(told, "swarm", Path())


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


def test_the_table_shows_what_guests_say_as_text() -> None:
    result = SwarmResult("b-1", 1, "work", note="not scored: \x1b[31m[red]x[/red]")
    said = io.StringIO()
    console = Console(width=80, file=said)
    console.print(table_of(2, ["b-2"], [result, *[SwarmResult("b-3", 1, "work", 0.5)] * 30]))
    told = said.getvalue()
    assert "round 2" in told and "\\x1b[31m[red]x[/red]" in told and "\x1b" not in told
    assert "and 11 more" in told and "at work" in told and told.count("\n") < 30


def test_swarms_are_listed_and_shown(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERTUI_HOME", str(home.root))
    with records.begin(home, "beam", BEAM) as record:
        result = {"branch": "beam-1", "round": 1, "command": "work 1", "score": 2.5}
        record.add("result beam-1", result)
    assert main(["swarm", "ls"]) == 0
    assert "beam   interrupted  main  1  " in capsys.readouterr().out
    assert main(["swarm", "show", "beam"]) == 0
    said = capsys.readouterr().out
    assert "command   work {i}" in said and "beam-1  2.5" in said
    assert main(["swarm", "show", "beam", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["begun"]["spec"]["losers"] == "prune"
    assert main(["swarm", "show", "none"]) == 4
    assert capsys.readouterr().err == "vertui: there is no swarm none: `vertui swarm ls` lists them\n"
    assert main(["swarm", "run", "--command", "a", "--losers", "eat"]) == 2
    assert "losers: Invalid enum value 'eat'" in capsys.readouterr().err
