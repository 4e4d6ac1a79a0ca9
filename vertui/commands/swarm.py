"""N ways tried at once in forks of one state, the best of them kept."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct
from msgspec.structs import replace

from core.errors import Conflict, Damaged, UsageError, VertuiError
from core.home import Home
from core.model import Plan
from core.verbs.base import Kind
from vertui.completion import offer_names
from vertui.options import Json, Yes, new_app
from vertui.output import Cell, Row, say_json, say_table, warn
from vertui.session import agree, connect, own_home, show_plan
from vertui.sizes import parse_size
from vertui.swarm import record as records
from vertui.swarm.results import SwarmOutcome, SwarmResult
from vertui.swarm.spec import SwarmSpec, make_spec, read_spec
from vertui.text import age, counted, millis, number, printable, short

if TYPE_CHECKING:
    from vertui.swarm.record import SwarmRecord

app = new_app()
swarm = new_app()
app.add_typer(swarm, name="swarm")

HEADER = ("", "BRANCH", "SCORE", "ROUND", "EXIT", "TIME", "COST", "FILES", "LINES", "NOTE")
COMMIT = re.compile(r"[0-9a-f]{40}")
LETTERS = re.compile(r"[^a-z0-9-]+")


class ListedSwarm(Struct, frozen=True):
    """A swarm in short: how many of its tries have come to a result, when it was `begun`, its winner or answer."""

    name: str
    state: str
    base: str
    results: int
    begun: float
    winner: str = ""
    answer: str = ""


def _names(incomplete: str) -> list[str]:
    try:
        return [name for name in records.swarms(own_home()) if name.startswith(incomplete)]
    except VertuiError:
        return []


Name = Annotated[str, typer.Argument(metavar="SWARM", help="A swarm's name.", autocompletion=_names)]
NewName = Annotated[
    str | None,
    typer.Option(
        "--name", metavar="NAME", help="Its name, and the beginning of its branches'.", show_default=False
    ),
]


Rebase = Annotated[
    bool,
    typer.Option("--rebase", help="Promote a winner that is stale, too: on top of what the trunk did since."),
]


def _option(flag: str, metavar: str, help: str, **more: Any) -> Any:
    return typer.Option(flag, metavar=metavar, help=help, show_default=False, **more)


@swarm.callback()
def _swarm() -> None:
    """Try N ways at once in forks of one state, and keep the best."""


@swarm.command("run")
def run(
    spec: Annotated[
        Path | None,
        typer.Argument(metavar="[SPEC]", help="A spec (TOML), or a driver (Python).", show_default=False),
    ] = None,
    base: Annotated[
        str | None,
        _option("--base", "REF", "What is forked; @trunk without it.", autocompletion=offer_names(Kind.REF)),
    ] = None,
    n: Annotated[int | None, _option("-n", "N", "How many tries a round has.", min=1)] = None,
    command: Annotated[
        str | None, _option("--command", "CMD", "Run in each; {i}, {name} are its own.")
    ] = None,
    variants: Annotated[
        list[str] | None,
        _option("--variant", "CMD|@FILE", "A command a try, in place of one for all; repeat."),
    ] = None,
    files: Annotated[
        list[str] | None, _option("--file", "HERE=THERE", "Put this in first; may be repeated.")
    ] = None,
    prepare: Annotated[
        str | None, _option("--prepare", "CMD", "Run this first, once, before the fork.")
    ] = None,
    egress: Annotated[
        list[str] | None,
        _option("--egress", "off|open|RULE", "What tries may reach outside; what the base may, without it."),
    ] = None,
    secrets: Annotated[
        list[str] | None,
        _option("--secret", "NAME[=VARIABLE]", "Give each command a secret; may be repeated."),
    ] = None,
    timeout: Annotated[
        float | None, _option("--timeout", "SECONDS", "End a try's command after so long.")
    ] = None,
    within: Annotated[
        float | None, _option("--within", "SECONDS", "End the swarm after so long, with its best.")
    ] = None,
    memory: Annotated[
        str | None, _option("--memory", "SIZE", "What its branches may take at once: 4G, or a number of MiB.")
    ] = None,
    at_once: Annotated[
        int | None, _option("--at-once", "N", "How many tries may be at work at once.")
    ] = None,
    score: Annotated[
        str | None,
        _option("--score", "RULE", "exit (without it), printed, pytest[:FILE], regex:PATTERN, or a command."),
    ] = None,
    lowest: Annotated[bool, typer.Option("--lowest", help="The lowest score is the best.")] = False,
    target: Annotated[
        float | None, _option("--target", "SCORE", "A success is as good as this; 1 without it.")
    ] = None,
    stop: Annotated[
        str | None, _option("--stop", "best|first", "Wait for all tries, or for the first success.")
    ] = None,
    rounds: Annotated[int | None, _option("--rounds", "N", "Fork the best again, so often in all.")] = None,
    beam: Annotated[
        int | None, _option("--beam", "K", "How many of the best the next round is forked from.")
    ] = None,
    bandit: Annotated[
        bool, typer.Option("--bandit", help="Fork those more often from which good scores came.")
    ] = False,
    crossed: Annotated[
        int | None, _option("--crossed", "N", "Apply another one's files to so many of a later round.")
    ] = None,
    cost: Annotated[
        str | None, _option("--cost", "PATTERN", "Finds in a line of output what was spent until then.")
    ] = None,
    cost_limit: Annotated[
        float | None, _option("--cost-limit", "COST", "End the swarm once its tries have cost more.")
    ] = None,
    cost_limit_each: Annotated[
        float | None, _option("--cost-limit-each", "COST", "Kill a try's command once it has cost more.")
    ] = None,
    diffs: Annotated[
        bool, typer.Option("--diffs", help="Count what each try changed, not the winner alone.")
    ] = False,
    losers: Annotated[
        str | None,
        _option("--losers", "keep|pause|suspend|prune", "What is done with those that do not win."),
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make the winner the trunk; shows the plan, and asks.")
    ] = False,
    rebase: Rebase = False,
    name: NewName = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Fork a state into N tries, run a command in each, score them, and rank them.

    What a spec's file says, an option says otherwise. Its fields are called as the options are, with _ for - (at_once),
    and variants, files, secrets; its paths are from where it lies. A score is the exit status (1 for success, and
    without one nothing wins), the last number that is printed, the share of tests that pass, the last match of a
    pattern (or its first group), or what a command prints in the branch afterwards. Of pytest a report in JUnit's XML
    may be named, as in pytest:report.xml.

    In later rounds all of the best are forked as often; with --bandit those more often from which good scores came,
    their own and their children's (UCB1). To --crossed tries, forked from one of the best, the files of another one are
    applied first, three-way; where both changed the same the try fails, and its note says what. A command that spends
    something may print how much until now, in lines that --cost finds a number in, such as 'cost=([0-9.]+)'; it is
    killed once that is more than --cost-limit-each, and the swarm ends once all tries together have cost more than
    --cost-limit.

    Losers that are kept run on. A swarm that was killed goes on with `swarm resume`; its commands have run on
    meanwhile. With --promote the winner becomes the trunk, unless the trunk did anything since the swarm began. With
    --rebase a fork of the trunk becomes it then, to which the winner's files were applied.

    \b
    Examples:
      vertui swarm run -n 8 --command './train --seed {i}' --score printed
      vertui swarm run --variant @tries.txt --stop first --within 600 --losers prune
      vertui swarm run assets/swarms/repair.toml --promote
      vertui swarm run assets/swarms/search.toml --rounds 6
    """
    options = {
        "base": base, "n": n, "command": command, "variants": variants, "files": _pairs(files), "prepare": prepare,
        "egress": egress, "secrets": secrets, "timeout": timeout, "within": within, "memory": _mib(memory),
        "at_once": at_once, "score": score, "lowest": lowest or None, "target": target, "stop": stop, "rounds": rounds,
        "beam": beam, "bandit": bandit or None, "crossed": crossed, "cost": cost, "cost_limit": cost_limit,
        "cost_limit_each": cost_limit_each, "diffs": diffs or None, "losers": losers, "promote": promote or None,
        "rebase": rebase or None,
    }  # fmt: skip
    given = {field: value for field, value in options.items() if value not in (None, [], {})}
    wanted = read_spec(spec, given) if spec else make_spec(given, "swarm", Path())
    _begin(wanted, name or _free(spec.stem if spec else "swarm"), yes=yes, json=json)


@swarm.command("ls")
def ls(json: Json = False) -> None:
    """List swarms: how far each is, and its best."""
    home = own_home()
    looked = (_looked(home, name) for name in records.swarms(home))
    found = [_listed(home, one) for one in looked if one is not None]
    if json:
        say_json(found)
        return
    if not found:
        print("there are no swarms: `vertui swarm run` begins one")
        return
    rows = [
        (
            one.name,
            one.state,
            short(one.base) if COMMIT.fullmatch(one.base) else one.base,
            str(one.results or ""),
            one.winner or one.answer,
            age(time.time() - one.begun),
        )
        for one in found
    ]
    say_table(("SWARM", "STATE", "BASE", "RESULTS", "WINNER", "AGE"), rows)


@swarm.command("show")
def show(
    name: Name,
    diffs: Annotated[
        bool, typer.Option("--diffs", help="Count what each try that is there has changed until now.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a swarm was asked for, and what came of it so far."""
    found = records.look(own_home(), name)
    outcome = found.ended.outcome if found.ended else SwarmOutcome(tuple(_results(found)))
    if diffs:
        outcome = _counted(outcome)
    if json:
        ended = replace(found.ended, outcome=outcome) if found.ended else None
        say_json({"begun": found.begun, "steps": list(found.steps.values()), "ended": ended})
        return
    lines = [*_said(found.spec), ("state", _state(own_home(), found))]
    width = max(len(field) for field, _ in lines)
    for field, value in lines:
        print(f"{field:<{width}}  {value}")
    _say_outcome(outcome)


@swarm.command("resume")
def resume(name: Name, rebase: Rebase = False, yes: Yes = False, json: Json = False) -> None:
    """Go on with a swarm that was killed or interrupted, from where it was; nothing is done twice.

    With --rebase its winner is promoted once it has ended, also if the trunk has gone on.
    """
    with records.go_on(own_home(), name) as found:
        _play(found, rebase=rebase, yes=yes, json=json)


@swarm.command("stop")
def stop(name: Name, json: Json = False) -> None:
    """End the process that plays a swarm; its branches stay, and `swarm resume` goes on with it.

    Commands in the branches run on."""
    from vertui.swarm import stopping

    stopping.stop(own_home(), name)
    if json:
        say_json({"name": name})
    else:
        print(f"{name} is played no more: `vertui swarm resume {name}` goes on")


@swarm.command("rerun")
def rerun(name: Name, new: NewName = None, yes: Yes = False, json: Json = False) -> None:
    """Run a swarm's spec once more, from the commit it began with."""
    found = records.look(own_home(), name)
    from vertui.swarm.beginning import SwarmOrigin

    origin = found.answer("origin", SwarmOrigin)
    spec = replace(found.spec, base=origin.commit) if origin else found.spec
    _begin(spec, new or _free(name.rstrip("0123456789") or "swarm"), yes=yes, json=json)


# -- playing -------------------------------------------------------------------------------------------------


def _begin(spec: SwarmSpec, name: str, *, yes: bool, json: bool) -> None:
    connect()  # makes the home, where there is none yet
    with records.begin(own_home(), name, spec) as record:
        _play(record, yes=yes, json=json)


def _play(record: "SwarmRecord", *, rebase: bool = False, yes: bool, json: bool) -> None:
    """To the end. What interrupts it says how it goes on."""
    from core.daemon.client import Client
    from vertui.swarm.hands import Hands
    from vertui.swarm.playing import finish, play

    promoted = record.ended is not None and record.ended.outcome.promoted
    if json and not yes and not promoted and (rebase or record.spec.promote):
        raise UsageError("--json asks nothing: add --yes, by which the winner is promoted")

    def ask(plan: Plan) -> None:
        if not json:
            show_plan(plan)
        if yes:
            return
        if not sys.stdin.isatty():
            again = f"vertui swarm resume {record.name}{' --rebase' * rebase} --yes"
            raise Conflict(
                f"promote asks first and there is no terminal to ask at: `{again}` promotes the winner"
            )
        agree(plan)

    hands = Hands(Client(connect().endpoint, starts=False))
    try:
        with _looking_on(quiet=json) as board, _resumable(record):
            outcome = play(record, hands, board)
        if not json:
            _say_outcome(outcome)
        done: SwarmOutcome | None = None
        try:
            done = finish(record, hands, board, ask, rebase=rebase)
        finally:  # what came of it is told, also where nothing is promoted
            if json:
                say_json(done or outcome)
        if done and not json:
            print(f"{done.rebased or done.winner} is the trunk")
    finally:
        hands.close()
    if outcome.results and not outcome.winner:
        raise VertuiError(f"swarm {record.name}: {outcome.why}")


@contextmanager
def _looking_on(*, quiet: bool) -> Iterator[Any]:
    """Whom it tells how far it is: a table on a terminal, lines elsewhere, nobody where JSON is wanted."""
    from vertui.swarm.board import LiveBoard, PrintedBoard
    from vertui.swarm.steps import SilentBoard

    board = SilentBoard() if quiet else LiveBoard() if sys.stdout.isatty() else PrintedBoard()
    try:
        yield board
    finally:
        board.close()


@contextmanager
def _resumable(record: "SwarmRecord") -> Iterator[None]:
    note = f"`vertui swarm resume {record.name}` goes on from here"
    try:
        yield
    except KeyboardInterrupt as stopped:
        stopped.add_note(note)
        raise
    except VertuiError:
        if record.steps:
            warn(note)
        raise


# -- what is said --------------------------------------------------------------------------------------------


def _say_outcome(outcome: SwarmOutcome) -> None:
    if outcome.results:
        say_table(
            HEADER,
            [_ranked(one, outcome.winner) for one in outcome.results],
            expendable=("COST", "LINES", "ROUND"),
        )
    if outcome.answer:
        print(printable(outcome.answer))
    if outcome.why:
        print(printable(outcome.why))
    if outcome.winner:
        began = short(outcome.forked or outcome.origin)
        print(
            f"winner: {outcome.winner}  (`vertui diff {began} {outcome.winner}`,"
            f" `vertui journal show {outcome.winner}`)"
        )


def _counted(outcome: SwarmOutcome) -> SwarmOutcome:
    """With what each try that is there has changed; what is known of the others stays."""
    from core.daemon.client import Client
    from vertui.swarm.hands import Hands

    if not outcome.forked:
        raise Conflict("what its tries changed can be counted once the swarm has ended")
    hands = Hands(Client(connect().endpoint, starts=False))
    there = {branch.name for branch in hands.tree().branches}

    def counted_of(one: SwarmResult) -> SwarmResult:
        if one.branch not in there:
            return one
        return replace(one, changed=hands.changed(outcome.forked, one.branch) or one.changed)

    return replace(outcome, results=tuple(map(counted_of, outcome.results)))


def _ranked(one: SwarmResult, winner: str) -> Row:
    lines = one.changed.lines if one.changed else None
    return (
        "★" if one.branch == winner else "",
        Cell(one.branch, "bold" if one.branch == winner else ""),
        number(one.score),
        str(one.round),
        "" if one.exit_code is None else str(one.exit_code),
        millis(one.lasted_ms) if one.lasted_ms is not None else "",
        number(one.cost),
        str(one.changed.paths) if one.changed else "",
        f"+{lines[0]} -{lines[1]}" if lines else "",
        one.note or one.command,
    )


def _listed(home: Home, found: "SwarmRecord") -> ListedSwarm:
    outcome = found.ended.outcome if found.ended else SwarmOutcome()
    begun, results = found.begun, len(_results(found))
    state = _state(home, found)
    return ListedSwarm(
        found.name, state, found.spec.base, results, begun.time, outcome.winner, outcome.answer
    )


def _state(home: Home, found: "SwarmRecord") -> str:
    if found.ended:
        return "promoted" if found.ended.outcome.promoted else "ended"
    return "at work" if records.is_at_work(home, found.name) else "interrupted"


def _results(found: "SwarmRecord") -> list[SwarmResult]:
    """What is known of its tries, best first."""
    from vertui.swarm.results import ranked

    known = (found.answer(step, SwarmResult) for step in found.steps if step.startswith("result "))
    return ranked(found.spec, [one for one in known if one is not None])


def _said(spec: SwarmSpec) -> Iterator[tuple[str, str]]:
    """The fields that say something, as text."""
    plain = SwarmSpec()
    for field in spec.__struct_fields__:
        value = getattr(spec, field)
        if field == "base" or value != getattr(plain, field):
            lines = str(value).count("\n")
            yield field, counted(lines, "line") if field == "driver" else printable(str(value))


def _looked(home: Home, name: str) -> "SwarmRecord | None":
    try:
        return records.look(home, name)
    except Damaged as error:
        warn(str(error))
        return None


def _pairs(files: list[str] | None) -> dict[str, str]:
    pairs = [one.partition("=") for one in files or ()]
    if wrong := next((here for here, _, there in pairs if not (here and there)), None):
        raise UsageError(f"--file {wrong}: give HERE=THERE, a path here and one in the guest")
    return {here: there for here, _, there in pairs}


def _mib(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text) if text.isdecimal() else max(1, parse_size(text) >> 20)


def _free(stem: str) -> str:
    """A name like this one that neither a swarm has, nor a branch begins with."""
    like = LETTERS.sub("-", stem.lower()).strip("-0123456789")[: records.LONGEST_NAME - 3] or "swarm"
    taken = set(records.swarms(own_home()))
    branches = [branch.name for branch in connect().tree().branches]
    for at in range(1, 1000):
        name = like if at == 1 else f"{like}{at}"
        if name not in taken and not any(one == name or one.startswith(f"{name}-") for one in branches):
            return name
    raise Conflict(f"there are a thousand swarms called {like}: give another --name")
