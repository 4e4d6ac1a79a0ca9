"""What is typed after `/`, and which nodes it shows. Pure: what is wrong with it is said, never raised.

    tests main          both words, in any order and size of letters, somewhere in what is said of a node
    !failed             the opposite of any of these
    re:^b[0-9]+         a regular expression
    state:run           running: a state, or how it begins
    score>0.5           also >= < <= =, and none where there is no score; changed>10M and memory<1G likewise
    age<10m             made in the last ten minutes: s, m, h, d, w
    changed:/etc/hosts  differs there, or below, from what it came from; whoever knows that is asked last

A term that is wrong, or not typed to its end, is left out until it is right. A regular expression is tried on the
beginning of a text, and one that could take for ever is refused.
"""

import operator
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from core.errors import UsageError
from core.model import Branch, BranchState, CommitState
from vertui.lanes import text_of
from vertui.selection import Node
from vertui.sizes import parse_size
from vertui.text import SHORT_ID, printable

SEARCHED = 200  # characters of a text that an expression is tried on
MOST_REPEATS = 3  # of an expression: each may cost as many tries again as there are characters; and groups
LONGEST = 500  # characters of a filter
PATIENCE_S = 0.04  # of the loop's processor time: a key is answered in 50 ms, whatever threads do meanwhile
AT_ONCE = 32  # nodes looked at between two looks at the clock
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
STATES = list(dict.fromkeys(str(state) for kind in (BranchState, CommitState) for state in kind))
COMPARISON = re.compile(r"(score|age|changed|memory)(>=|<=|>|<|=)(.*)", re.DOTALL)
NUMBER = re.compile(r"[+-]?(\d{1,15}\.?\d{0,15}|\.\d{1,15})", re.ASCII)
AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", re.ASCII)
HEX = re.compile(r"[0-9a-f]+")
ESCAPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)  # no repeat is in these
REPEAT = re.compile(r"[*+?]|\{")
NESTED = re.compile(r"\)[*+?{]")


class Searched(Struct, frozen=True, gc=False):
    """A node with what is said of it, in small letters."""

    node: Node
    text: str


class Wrong(Exception):
    """A term means nothing; its text is for the user."""


Fits = Callable[[Searched, float], bool | None]
"""Does a term say that a node is shown? None where that is not known yet."""
Differs = Callable[[str, Node], bool | None]
CHANGED = "changed:"


def _nobody(path: str, node: Node) -> None:
    """Whether nodes differ is not known."""


@dataclass(frozen=True)
class Filter:
    """What a filter's text means. `error` says in one line what of it means nothing."""

    text: str = ""
    terms: tuple[Fits, ...] = ()
    error: str = ""


@dataclass
class Texts:
    """What is said of nodes, made once for each that does not change."""

    _known: dict[str, Searched] = field(default_factory=dict)

    def of(self, nodes: Sequence[Node]) -> list[Searched]:
        """Each with its text; what was said of others is forgotten."""
        found = []
        for node in nodes:
            told = self._known.get(node.id)
            found.append(told if told is not None and told.node is node else told_of(node))
        self._known = {told.node.id: told for told in found}
        return found


def parse(text: str, differs: Differs = _nobody) -> Filter:
    """What a text means; `differs` knows which nodes differ at a path. It is asked of those that all else shows."""
    if len(text) > LONGEST:
        return Filter(text, error=f"a filter has {LONGEST} characters at most")
    terms, errors = [], []
    for word in sorted(text.split(), key=lambda word: word.lstrip("!").startswith(CHANGED)):
        try:
            terms.append(_term(word, differs))
        except Wrong as wrong:
            errors.append(str(wrong))
    return Filter(text, tuple(terms), errors[0] if errors else "")


def select(typed: Filter, told: Sequence[Searched], now: float) -> tuple[list[Node], str]:
    """The nodes it shows at a time, and what is wrong with it."""
    found, until = [], time.thread_time() + PATIENCE_S
    for place, one in enumerate(told):
        if all(term(one, now) for term in typed.terms):
            found.append(one.node)
        if place % AT_ONCE == 0 and time.thread_time() > until:
            return found, f"takes too long: {place + 1} of {len(told)} were looked at"
    return found, typed.error


def told_of(node: Node) -> Searched:
    """A node with what is said of it."""
    return Searched(node, _text(node))


def _text(node: Node) -> str:
    note = f"  {printable(node.note)}" if isinstance(node, Branch) and node.note else ""
    return (text_of(node) + note).lower()


def _term(word: str, differs: Differs) -> Fits:
    """What one word means; Wrong for one that means nothing."""
    if word.startswith("!"):
        if word == "!":
            raise Wrong("! stands before what must not be: !failed")
        return _opposite(_term(word[1:], differs))
    if word.startswith(CHANGED):
        return _changed(word[len(CHANGED) :], differs)
    if word.startswith("re:"):
        return _expression(word[3:])
    if word.startswith("state:"):
        return _state(word[6:].lower())
    if (found := COMPARISON.fullmatch(word)) is not None:
        return _comparison(*found.groups())
    small = word.lower()
    if len(small) > SHORT_ID and HEX.fullmatch(small):
        return lambda told, now: small in told.text or told.node.id.startswith(small)
    return lambda told, now: small in told.text


def _opposite(term: Fits) -> Fits:
    def fits(told: Searched, now: float) -> bool | None:
        found = term(told, now)
        return None if found is None else not found

    return fits


def _changed(path: str, differs: Differs) -> Fits:
    if not path.startswith("/"):
        raise Wrong("changed: takes a path: changed:/etc/hosts")
    return lambda told, now: differs(path, told.node)


def _state(begin: str) -> Fits:
    if not any(state.startswith(begin) for state in STATES):
        raise Wrong(f"state:{printable(begin[:20])} is no state: {', '.join(STATES)}")
    return lambda told, now: told.node.state.startswith(begin)


def _comparison(key: str, sign: str, text: str) -> Fits:
    compare, read = SIGNS[sign], QUANTITIES[key]
    number, value_of = read.parse(text), read.value
    if number is None:
        raise Wrong(f"{key}{sign} takes {read.example}")

    def fits(told: Searched, now: float) -> bool:
        value = value_of(told.node, now)
        return value is not None and compare(value, number)

    return fits


def _expression(pattern: str) -> Fits:
    if not pattern:
        raise Wrong("re: takes an expression: re:^b[0-9]+")
    bare = ESCAPED.sub("x", pattern).replace("(?", "(")
    if max(len(REPEAT.findall(bare)), bare.count("(")) > MOST_REPEATS or NESTED.search(bare):
        raise Wrong(f"re: takes {MOST_REPEATS} repeats and groups at most, and no group repeated")
    try:
        with warnings.catch_warnings():  # of what means something else in a later Python
            warnings.simplefilter("ignore")
            found = re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise Wrong(f"re: {printable(str(error))}") from None
    return lambda told, now: found.search(told.text[:SEARCHED]) is not None


def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) else None


def _seconds(text: str) -> float | None:
    found = AGE.fullmatch(text)
    return float(found[1]) * UNITS[found[2]] if found else None


def _bytes(text: str) -> float | None:
    try:
        return parse_size(text)
    except UsageError:
        return None


@dataclass(frozen=True)
class Quantity:
    """What can be compared with a number: how that is typed, and what a node has of it."""

    parse: Callable[[str], float | None]
    example: str
    value: Callable[[Node, float], float | None]


SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq,
}  # fmt: skip
QUANTITIES = {
    "score": Quantity(_number, "a number: score>0.5", lambda node, now: getattr(node, "score", None)),
    "age": Quantity(_seconds, "a time with s, m, h, d or w: age<10m", lambda node, now: now - node.created),
    "changed": Quantity(
        _bytes, "a size: changed>10M",
        lambda node, now: node.changed_bytes if isinstance(node, Branch) else node.stored_bytes,
    ),
    "memory": Quantity(_bytes, "a size: memory>1G", lambda node, now: getattr(node, "memory_bytes", None)),
}  # fmt: skip
