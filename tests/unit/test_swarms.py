"""A swarm tries, ranks and forks again; killed after every step it goes on to the same end, and does nothing twice."""

import asyncio
import io
import json
import math
from contextlib import nullcontext
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from core.checkpoints import Trigger
from core.engine.checkpoints import Occasion, checkpoint, policy_of
from core.errors import Conflict, Damaged, NoRoom, NotFound, VertuiError
from core.guest.client import AgentClient
from core.home import Home
from tests.conftest import full
from tests.unit.reached import reached
from tests.unit.swarming import Killed, swarming
from tests.unit.test_journals import asked
from vertui.cli import main
from vertui.swarm import record as records
from vertui.swarm.board import table_of
from vertui.swarm.costs import CostMeter
from vertui.swarm.glance import glance_or_trouble
from vertui.swarm.hands import Hands
from vertui.swarm.playing import finish, play
from vertui.swarm.results import SwarmOutcome, SwarmResult
from vertui.swarm.spec import SwarmSpec, make_spec
from vertui.swarm.steps import ForkedInto, SilentBoard, Swarm
from vertui.swarm.tries import shared

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
        assert await asyncio.to_thread(here.run, "beam", BEAM) == outcome, (
            "what has ended is not played again"
        )
        few = SwarmSpec(base="main", command="work {i}", n=6, at_once=2, score="printed", losers="prune")
        here.commands.most = 0
        outcome = await asyncio.to_thread(here.run, "few", few)
        assert outcome.winner == "few-3" and here.commands.most <= 2
        assert here.names() == {"main", "beam-3a2", "few-3"}
        with pytest.raises(NoRoom, match=r"memory of 1 MiB is for 0 branches.*losers pruned"):
            await asyncio.to_thread(here.run, "none", replace(few, memory=1))
        with pytest.raises(NotFound, match="no secret 'MISSING'"):
            await asyncio.to_thread(here.run, "none", replace(few, secrets=("MISSING=TOKEN",)))
        assert records.swarms(here.home) == ["beam", "few"], (
            "what was refused at its first step leaves nothing"
        )


async def test_nothing_is_asked_of_a_try_but_to_start_and_of_the_winner_alone_what_it_changed() -> None:
    async with swarming(in_rounds) as here:
        hands, spec = here.hands(), SwarmSpec(base="main", command="work {i}", n=8)
        with records.begin(here.home, "few", spec) as record:
            outcome = await asyncio.to_thread(play, record, hands, SilentBoard())
        hands.close()
        assert hands.asked == {"Fork": 1, "start": 8, "tree": 1, "changed": 1}, (
            "the tree was told, but for the origin"
        )
        assert {(one.exit_code, one.lasted_ms) for one in outcome.results} == {(0, 5.0)}
        assert [one.branch for one in outcome.results if one.changed] == [outcome.winner]
        hands = here.hands()
        with records.begin(here.home, "all", replace(spec, diffs=True)) as record:
            outcome = await asyncio.to_thread(play, record, hands, SilentBoard())
        hands.close()
        assert hands.asked["changed"] == 8 and all(one.changed for one in outcome.results)


async def test_a_swarm_killed_after_every_step_comes_to_the_same_end_and_does_nothing_twice() -> None:
    rounds = 3 if full() else 2
    async with swarming(in_rounds) as here:
        outcome, deaths = await here.killed("beam", replace(BEAM, rounds=rounds))
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


async def test_nothing_that_failed_wins_where_scores_tell_no_more_than_that() -> None:
    async with swarming(lambda branch, _: float(branch == "two-2")) as here:
        spec = SwarmSpec(base="main", command="work", n=2, losers="prune")
        outcome = await asyncio.to_thread(here.run, "one", spec)
        assert (outcome.winner, outcome.why) == ("", "no try succeeded")
        assert here.names() == {"main", "one-1"}, "the best of them stays"
        outcome = await asyncio.to_thread(here.run, "two", replace(spec, losers="suspend"))
        assert outcome.winner == "two-2" and here.twins.engine.branch("two-1").state == "suspended"
        called = SwarmSpec(base="main", n=2, called="work")
        outcome = await asyncio.to_thread(here.run, "three", called, None, lambda *_: -1.0)
        assert outcome.winner == "three-1", "what a function answers is more"


async def test_who_cannot_be_asked_is_told_how_it_is_promoted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with asked() as (twins, _):
        home, catalog = twins.engine.home, twins.engine.catalog
        monkeypatch.setenv("VERTUI_HOME", str(home.root))
        monkeypatch.setattr("sys.stdin", io.StringIO())

        async def run(*argv: str) -> tuple[int, str]:
            status = await asyncio.to_thread(main, ["swarm", *argv])
            printed.append((said := capsys.readouterr()).out)
            return status, said.err

        printed: list[str] = []
        said = "vertui: --json asks nothing: add --yes, by which the winner is promoted\n"
        assert await run("run", "--command", "a", "--promote", "--json") == (2, said)
        status, error = await run("run", "--command", "a", "--memory", "1M")
        assert status == NoRoom.exit_status and "memory of 1 MiB is for 0 branches" in error
        assert "'much' is no size" in (await run("run", "--command", "a", "--memory", "much"))[1]
        assert records.swarms(home) == [], "before it begins"
        await twins.do("fork", "main", 1, "b")
        spec = SwarmSpec(base="main", command="a", promote=True)
        with records.begin(home, "won", spec) as record:
            record.end(SwarmOutcome(winner="b"))
        assert await run("resume", "won", "--json") == (2, said)
        status, error = await run("resume", "won")
        assert status == Conflict.exit_status and "`vertui swarm resume won --yes` promotes" in error
        assert (await run("resume", "won", "--json", "--yes"))[0] == 0
        assert catalog.branch(catalog.setting("trunk") or "").name == "b"
        assert (await run("resume", "won", "--json"))[0] == 0, "nothing is left to be asked"
        with records.begin(home, "lost", spec) as record:
            record.end(SwarmOutcome(why="no try succeeded"))
        status, error = await run("resume", "lost", "--json", "--yes")
        assert status == Conflict.exit_status and "nothing of lost can be promoted: no try succeeded" in error
        assert json.loads(printed[-1])["why"] == "no try succeeded", "a program is told nevertheless"


async def test_what_was_scored_while_nobody_played_counts_also_when_time_is_up() -> None:
    async with swarming(in_rounds) as here:
        spec = replace(BEAM, rounds=2, within=600, losers="keep")
        with pytest.raises(Killed):
            await asyncio.to_thread(here.run, "late", spec, lives=8)
        path = records.path_of(here.home, "late")
        first, rest = path.read_bytes().split(b"\n", 1)
        begun = json.loads(first)
        path.write_bytes(json.dumps(begun | {"time": begun["time"] - 1000}).encode() + b"\n" + rest)
        outcome = await asyncio.to_thread(here.run, "late", spec)
        assert outcome.why == "600 s were over" and outcome.results[0].round == 2
        assert here.forks() == 3, "nothing of another round is begun"


async def test_a_winner_is_promoted_unless_the_trunk_went_on() -> None:
    async with swarming(lambda branch, _: float(branch[-1])) as here:
        spec = SwarmSpec(base="main", command="work", n=2, score="printed", promote=True)

        def promoted(
            name: str, paths: int = 0, *, rebase: bool = False, lives: int | None = None
        ) -> SwarmOutcome | None:
            hands = here.hands(lives)
            hands.paths = paths
            with records.go_on(here.home, name) as record:
                return finish(record, hands, SilentBoard(), lambda plan: None, rebase=rebase)

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
        assert await checkpoint(engine, engine.machines.live[main.id], by_itself), "which nobody asked for"
        done = await asyncio.to_thread(promoted, "three")
        assert done is not None and done.promoted and here.trunk() == "three-2"
        assert await asyncio.to_thread(promoted, "three") is None, "once"
        with pytest.raises(Conflict, match="the trunk is three-2 now"):
            await asyncio.to_thread(promoted, "two")
        here.commands.clashes.add("two-2")
        with pytest.raises(
            Conflict, match="two-2 won, is stale and cannot be brought to three-2: 1 changed in"
        ):
            await asyncio.to_thread(promoted, "two", rebase=True)
        assert here.trunk() == "three-2" and "two-on-trunk1" not in here.names()
        for lives in (0, 0, 0, None):  # killed behind the fork, what is applied to it, and the plan
            with nullcontext() if lives is None else pytest.raises(Killed):
                done = await asyncio.to_thread(promoted, "one", rebase=True, lives=lives)
        assert done is not None and (done.winner, done.rebased) == ("one-2", "one-on-trunk1")
        assert here.trunk() == "one-on-trunk1" and "one-2 to one-on-trunk1" in here.commands.applied.values()
        assert here.twins.engine.branch("one-on-trunk1").parent == here.twins.engine.branch("three-2").head


async def test_a_winner_of_what_the_trunk_was_once_is_stale_by_what_it_did_since() -> None:
    async with swarming(lambda *_: 1.0) as here:
        spec = SwarmSpec(base="main", command="work", promote=True)

        def played(name: str, spec: SwarmSpec) -> SwarmOutcome | None:
            here.run(name, spec)
            with records.go_on(here.home, name) as record:
                return finish(record, here.hands(), SilentBoard(), lambda plan: None)

        began = (await asyncio.to_thread(here.run, "one", spec)).origin
        here.twins.machine("main").guest.ticks += 1
        await here.twins.do("commit", "main", "later")
        for base in (began, f"{began[:8]}", "main~1"):
            with pytest.raises(Conflict, match=r"stale: main has commits since .*; nothing was promoted"):
                await asyncio.to_thread(played, f"again{len(base)}", replace(spec, base=base))
        head = here.twins.engine.branch("main").head
        assert (await asyncio.to_thread(played, "newest", replace(spec, base=head))) is not None
        assert here.trunk() == "newest-1"


def unnamed(outcome: SwarmOutcome) -> list[tuple[object, ...]]:
    """All results without the swarm's name."""
    return [
        (one.branch.partition("-")[2], one.parent.partition("-")[2], one.crossed.partition("-")[2], one.score, one.note,
         one.cost)
        for one in outcome.results
    ]  # fmt: skip


async def test_a_bandit_crosses_within_its_means_and_comes_to_the_same_however_it_is_killed() -> None:
    spec = SwarmSpec(
        base="main", command="work {i}", n=4, score="printed", rounds=2, beam=2, bandit=True, crossed=1,
        cost="cost=([0-9.]+)", cost_limit_each=4,
    )  # fmt: skip
    async with swarming(in_rounds) as here:
        here.commands.prints = lambda branch: (
            b"cost=1\ncost=9" if branch.endswith("2a1") else b"cost=2 cost=x\n"
        )
        calm = await asyncio.to_thread(here.run, "calm", spec)
        told = {one.branch: one for one in calm.results}
        assert (calm.winner, len(told), told["calm-2a2"].cost) == ("calm-2a2", 8, 2)
        assert (told["calm-2a1"].score, told["calm-2a1"].note) == (None, "it cost 9, more than 4")
        crossed = {one.branch: (one.parent, one.crossed) for one in calm.results if one.crossed}
        assert crossed == {"calm-2a4": ("calm-3", "calm-4")}
        outcome, deaths = await here.killed("killed", spec)
        assert deaths > 4 and unnamed(outcome) == unnamed(calm)
        here.commands.clashes |= {"clash-4", "clash-5"}
        clash = await asyncio.to_thread(
            here.run, "clash", replace(spec, rounds=2, cost="", cost_limit_each=None)
        )
        [lost] = [one for one in clash.results if one.crossed]
        assert (lost.score, lost.note) == (
            None,
            f"not crossed with {lost.crossed}: 1 changed in both: /root/answer",
        )


def test_a_bandit_goes_more_often_where_good_scores_came_from_and_forgets_nobody() -> None:
    spec = SwarmSpec(command="a", n=8, beam=2, rounds=2, bandit=True)
    known = {"s-1": SwarmResult("s-1", 1, "a", 4.0), "s-2": SwarmResult("s-2", 1, "a", 1.0)}
    assert shared(spec, ["s-1", "s-2"], known, 8).count(0) == 7
    children = {f"s-2a{at}": SwarmResult(f"s-2a{at}", 2, "a", None, parent="s-1") for at in range(8)}
    assert shared(spec, ["s-1", "s-2"], known | children, 8).count(0) == 1
    assert shared(replace(spec, lowest=True), ["s-1", "s-2"], known, 8).count(0) == 1


async def test_what_all_tries_cost_ends_them() -> None:
    async with swarming(lambda branch, _: 1.0 if branch.endswith("1") else None) as here:
        here.commands.prints = lambda branch: b"cost=3\n"
        spec = SwarmSpec(base="main", command="a", n=3, cost="cost=([0-9]+)", cost_limit=8)
        outcome = await asyncio.to_thread(here.run, "dear", spec)
        assert (outcome.winner, outcome.why) == ("dear-1", "tries cost 9, more than 8")
        assert sum(one.cost or 0 for one in outcome.results) == 9
        async with asyncio.timeout(10):
            while here.commands.running:
                await asyncio.sleep(0.01)


async def test_costs_are_heard_while_a_command_runs_and_one_that_costs_too_much_is_killed(
    client: AgentClient,
) -> None:
    async with reached(client) as (twins, v):
        spec = SwarmSpec(command="work", cost="cost=(.*)", cost_limit_each=5)
        with records.begin(twins.engine.home, "dear", spec) as record:
            swarm = Swarm(record, Hands(v.blocking.client), SilentBoard())
            meter = CostMeter(swarm)
            number = await asyncio.to_thread(
                swarm.start, "main", "echo cost=1; echo cost=nan; echo cost=9; sleep 60"
            )
            meter.follow("main", number)
            charged = await asyncio.to_thread(meter.charged, SwarmResult("main", 1, "work", 1.0))
            assert (charged.cost, charged.score, charged.note) == (9, None, "it cost 9, more than 5")
            ended = await asyncio.to_thread(swarm.hands.command, "main", number)
            assert ended is not None and ended.exit_code == 137
            swarm.hands.close()


async def test_a_function_is_called_with_each_branch_and_once_where_its_answer_is_known() -> None:
    calls: list[str] = []

    def work(branch: str, number: int) -> float | None:
        calls.append(branch)
        if number == 3:
            raise ValueError("no way")
        return {4: None, 5: math.nan, 6: math.inf}.get(number, number)

    async with swarming(lambda *_: 1.0) as here:
        spec = SwarmSpec(base="main", n=6, called="work", losers="prune")
        outcome, deaths = await here.killed("calls", spec, work)
        assert deaths >= 2 and outcome.winner == "calls-2" and here.names() == {"main", "calls-2"}
        notes = {one.branch: one.note for one in outcome.results if one.score is None}
        assert notes == {
            "calls-3": "not scored: ValueError: no way",
            "calls-4": "not scored: the function answered nothing",
            "calls-5": "not scored: the function answered nan",
            "calls-6": "not scored: the function answered inf",
        }
        assert here.twins.engine.branch("calls-2").score == 2 and set(calls) == set(notes) | {
            "calls-1",
            "calls-2",
        }
        with pytest.raises(Conflict, match="are calls of work: the program that has it goes on"):
            await asyncio.to_thread(here.run, "nobody", spec)


async def test_a_driver_is_played_again_from_its_beginning_and_says_where_it_failed() -> None:
    text = """
def drive(swarm, base):
    kids = swarm.fork(base, 2, "x").names
    said = swarm.each(lambda kid: swarm.run(kid, "walk"), kids)
    swarm.prune([base, kids[0]], now=True)
    return "".join(one.text for one in said)
"""
    async with swarming(lambda *_: 1.0) as here:
        outcome, deaths = await here.killed("maze", make_spec({"driver": text}, "t", Path()))
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
    said = "step 'fork s-' is not what was written, or by a newer vertui: "
    with pytest.raises(Damaged, match=said):
        records.look(home, "s").answer("fork s-", ForkedInto)
    assert said in glance_or_trouble(home, "s").trouble, "who looks at all swarms sees the others"
    with pytest.raises(Conflict, match="there is a swarm s already"), records.begin(home, "s", BEAM):
        pass
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(Damaged, match="line 5"):
        records.look(home, "s")


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
    assert "command  work {i}" in said and "beam-1  2.5" in said
    assert main(["swarm", "show", "beam", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["begun"]["spec"]["losers"] == "prune"
    assert main(["swarm", "show", "none"]) == 4
    assert capsys.readouterr().err == "vertui: there is no swarm none: `vertui swarm ls` lists them\n"
    assert main(["swarm", "run", "--command", "a", "--losers", "eat"]) == 2
    assert "losers: give keep or pause" in capsys.readouterr().err
