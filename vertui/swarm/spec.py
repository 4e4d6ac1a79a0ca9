"""What a swarm is to try: a value, as a TOML file or a command line's options give it."""

import re
import shlex
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

from core.codec import decode
from core.commands import EXIT
from core.errors import UsageError
from core.guest.scripts import guest_script
from core.refs import TRUNK
from core.verbs.fork import LONGEST_COMMAND, LONGEST_S, MOST_CHILDREN, Fork
from vertui.variants import text_of, values_of

Losers = Literal["keep", "pause", "suspend", "prune"]
Line = Annotated[str, Meta(max_length=LONGEST_COMMAND)]
Count = Annotated[int, Meta(ge=0, le=MOST_CHILDREN)]
Cost = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=LONGEST_S)]

MOST_ROUNDS, MOST_KEPT = 1000, 26  # parents of a round are told apart by a letter
DRIVERS = ".py"
PYTEST, REGEX = "pytest", "regex:"
WHERE = re.compile(r" - at `\$\.?(?P<field>[^`]*)`$")
TYPE = re.compile(r"`(?P<type>\w+)(?: \| null)?`")
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
}
UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`")
SUCCESS = 1.0
OF_COMMANDS = ("command", "variants", "timeout", "secrets", "score", "cost", "cost_limit", "cost_limit_each")


class SwarmSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A swarm as it was asked for.

    Of `base` N children are forked, each with the `command` ({i}, {name} are its own) or a variant. If there are
    `files` (paths here and in the guest) or something to `prepare`, that is done first, once, in a fork of the base.
    `timeout` is of a command, `within` of the whole swarm, both in seconds; `memory` is MiB that its branches may take
    at once, `at_once` how many of them may be at work. With `stop` first the swarm is over with the first success: a
    score as good as `target`.

    The `beam` best tries so far are forked for the next round, all as often, or with `bandit` more often from where
    good scores came; so many of its tries are `crossed`: the files of another of the best are applied to them first.
    `cost` is a pattern that finds in a line what the command has cost until now; what a try may cost, and all of them
    together, is limited by `cost_limit_each` and `cost_limit`. With `diffs` it is counted what each try changed, and
    not the winner alone. With `rebase` a winner is promoted also when it is stale: applied to a fork of the trunk.

    `driver` is the text of a program that plays the swarm in place of rounds (see `vertui.swarm.drivers`); a spec's
    file names its file. `called` is the name of a Python function that is called for each try in place of a command,
    by the program that has it.
    """

    base: Annotated[str, Meta(min_length=1, max_length=200)] = TRUNK
    command: Line = ""
    variants: Annotated[tuple[Line, ...], Meta(max_length=MOST_CHILDREN)] = ()
    n: Count = 0
    files: dict[str, str] = {}
    prepare: Line = ""
    egress: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    timeout: Seconds | None = None
    within: Seconds | None = None
    memory: Annotated[int, Meta(ge=0)] = 0
    at_once: Count = 0
    score: Line = EXIT
    lowest: bool = False
    target: float = SUCCESS
    stop: Literal["best", "first"] = "best"
    rounds: Annotated[int, Meta(ge=1, le=MOST_ROUNDS)] = 1
    beam: Annotated[int, Meta(ge=1, le=MOST_KEPT)] = 1
    bandit: bool = False
    crossed: Count = 0
    cost: Line = ""
    cost_limit: Cost | None = None
    cost_limit_each: Cost | None = None
    diffs: bool = False
    losers: Losers = "keep"
    promote: bool = False
    rebase: bool = False
    driver: str = ""
    called: str = ""

    @property
    def tries(self) -> int:
        """How many a round has."""
        return len(self.variants) or self.n or 1

    @property
    def given_secrets(self) -> dict[str, str]:
        """Variables, with the secret that each is given."""
        named = (one.partition("=") for one in self.secrets)
        return {variable or secret: secret for secret, _, variable in named}

    def is_better(self, score: float, other: float) -> bool:
        """Is a score the better one?"""
        return score < other if self.lowest else score > other

    def succeeds(self, score: float | None) -> bool:
        """Is it as good as is asked for?"""
        return score is not None and not self.is_better(self.target, score)


def read_spec(path: Path, options: Mapping[str, Any]) -> SwarmSpec:
    """The spec of a file, with options in place of what it says: their paths are from here, its own from where it is.
    A file of Python is a driver. UsageError says what is wrong with it.
    """
    text, given = text_of(path), _from_here(options)
    if path.suffix == DRIVERS:
        return make_spec({"driver": text, **given}, str(path), path.parent)
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    others = {"command": ("variants",), "variants": ("command", "n")}
    left_out = {other for field in given.keys() & others for other in others[field]}
    kept = {field: value for field, value in told.items() if field not in left_out}
    return make_spec({**kept, **given}, str(path), path.parent)


def make_spec(told: Mapping[str, Any], where: str, directory: Path) -> SwarmSpec:
    """A spec of these fields, with what they name brought along: lines of @FILE, and paths from a directory."""
    try:
        spec = decode(SwarmSpec, dict(told))
    except ValueError as error:
        raise UsageError(f"{where}: {_plainly(str(error))}") from error
    found = dict(told)
    found["variants"] = values_of(_placed(one, directory) for one in spec.variants)
    if spec.driver.endswith(DRIVERS):
        found["driver"] = text_of(directory / spec.driver)
    found["files"] = {str(_from(directory, here).resolve()): there for here, there in spec.files.items()}
    spec = decode(SwarmSpec, found)
    missing = (f"files: there is no {here}" for here in spec.files if not Path(here).exists())
    if wrong := next(missing, "") or _wrong(spec):
        raise UsageError(f"{where}: {wrong}")
    return spec


def rule_of(score: str) -> str:
    """How a swarm's tries are scored, as the engine is told it (see `core.commands.Scoring`)."""
    kind, _, rest = score.partition(":")
    if score.startswith(REGEX):
        return shlex.join(guest_script("scored", "regex", rest))
    if kind == PYTEST:
        return shlex.join(guest_script("scored", "pytest", *filter(None, [rest])))
    return score


def _wrong(spec: SwarmSpec) -> str:
    """What makes no sense together; nothing where all does."""
    if spec.driver:
        return "a driver starts its own commands: leave them out" if spec.command or spec.variants else ""
    return _wrong_work(spec) or _wrong_rounds(spec) or _wrong_value(spec)


def _wrong_work(spec: SwarmSpec) -> str:
    """Of what each try does."""
    if spec.called:
        told = [name for name in OF_COMMANDS if getattr(spec, name) != getattr(SwarmSpec(), name)]
        return f"{told[0]} is of a command, and a function is called here: leave it out" if told else ""
    if not spec.command and not spec.variants:
        return "give a command, or variants"
    if spec.command and spec.variants:
        return "give one command for all, or variants: not both"
    if spec.variants and spec.n not in (0, len(spec.variants)):
        return f"n is {spec.n} and there are {len(spec.variants)} variants: leave n out"
    if (spec.cost_limit, spec.cost_limit_each) != (None, None) and not spec.cost:
        return (
            "a limit of costs needs cost, a pattern that finds in a line of output what was spent until then"
        )
    return ""


def _wrong_rounds(spec: SwarmSpec) -> str:
    """Of how they follow each other."""
    if spec.beam > spec.tries:
        return (
            f"beam is {spec.beam}, and {spec.tries} are tried in a round: give a smaller beam, or more tries"
        )
    if (spec.bandit or spec.crossed) and (spec.beam < 2 or spec.rounds < 2):
        what = "a bandit shares a round's tries among" if spec.bandit else "a crossed try is of two of"
        return f"{what} the best of earlier ones: give a beam of 2 or more, and 2 rounds or more"
    if spec.rebase and not spec.promote:
        return "only a winner that is promoted is rebased: give promote as well"
    if spec.crossed > spec.tries:
        return f"{spec.crossed} tries are to be crossed, and a round has {spec.tries}"
    return ""


def _wrong_value(spec: SwarmSpec) -> str:
    """What a value says that cannot be."""
    try:
        _ = Fork(spec.base, egress=spec.egress).reach
    except UsageError as error:
        return str(error)
    patterns = {
        "cost": spec.cost,
        "score": spec.score.removeprefix(REGEX) if spec.score.startswith(REGEX) else "",
    }
    for field, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as error:
            return f"{field}: '{pattern}' is no pattern: {error}"
    if not spec.score:
        return "score is empty: leave it out, or give printed, exit, pytest, regex:PATTERN or a command"
    return ""


def _from_here(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options whose paths are whole."""
    given, here = dict(options), Path.cwd()
    if "files" in given:
        given["files"] = {str(_from(here, path)): there for path, there in given["files"].items()}
    if "variants" in given:
        given["variants"] = [_placed(one, here) for one in given["variants"]]
    return given


def _placed(variant: str, directory: Path) -> str:
    """With the file that it names found from a directory."""
    names_file = variant.startswith("@") and not variant.startswith("@@")
    return f"@{_from(directory, variant[1:])}" if names_file else variant


def _from(directory: Path, path: str) -> Path:
    try:
        return directory / Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path} leads nowhere: there is no such user") from error


def _plainly(error: str) -> str:
    """A failure of msgspec's, its field in front."""
    found = WHERE.search(error)
    told, field = WHERE.sub("", error), found["field"] if found else ""
    if (unknown := UNKNOWN.fullmatch(told)) and not field:
        known = SwarmSpec.__struct_fields__
        near = get_close_matches(unknown["field"], known, n=1)
        return f"there is no '{unknown['field']}': " + (
            f"did you mean {near[0]}?" if near else f"give {', '.join(known)}"
        )
    hint = get_type_hints(SwarmSpec).get(field)
    if get_origin(hint) is Literal:
        return f"{field}: give {' or '.join(get_args(hint))}"
    told = TYPE.sub(lambda found: TYPES.get(found["type"], found[0]), told).replace("Expected", "give")
    return f"{field}: {told}" if field else told
