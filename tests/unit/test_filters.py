"""A filter shows what it says, says what it does not understand, and never raises."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.trees import DEMO, NOON, branch, commit
from vertui.filters import LONGEST, PATIENCE_S, Filter, Texts, parse, select
from vertui.selection import Node, ref_of
from vertui.since import Differing
from vertui.strands import Strands

NODES = Strands(DEMO).all_nodes()
NOW = NOON + 1000
TERMS = st.sampled_from(
    ["b", "B2", "test", "running", "!failed", "!!b1", "re:^b[0-9]", "re:.*a", "!re:b", "state:run", "state:",
     "score>0.5", "score<=.95", "!score>0", "age<10m", "age>=1s", "changed>1M", "memory<1G", "score>", "state:x",
     "re:(", "!", "age<5"]
)  # fmt: skip


def shown(text: str, nodes: list[Node] = NODES) -> list[str]:
    return [ref_of(node) for node in select(parse(text), Texts().of(nodes), NOW)[0]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("green", ["b2"]),
        ("hangs TOTALS", ["b1"]),
        ("running !trunk", ["b2", "b1"]),
        ("re:^b[34]", ["b3", "b4"]),
        ("state:pau", ["b3"]),
        ("score>0.25", ["b2"]),
        ("score>=0.25", ["b2", "b1"]),
        ("score=0.95", ["b2"]),
        ("!score>0 state:running", ["main"]),
        ("age<7m", ["5ab3c05a"]),
        ("age>15m state:hot", ["9c01be9c"]),
        ("changed>4M changed<5M re:^77", ["77d05a77"]),
        ("memory>=45M green", ["b2"]),
        ("9c01be9c01be9c", ["9c01be9c"]),
    ],
)
def test_each_term(text: str, found: list[str]) -> None:
    assert shown(text) == found and not parse(text).error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("!", "! stands before what must not be: !failed"),
        ("score>", "score> takes a number: score>0.5"),
        ("score>1e5", "score> takes a number"),
        ("age<5", "age< takes a time with s, m, h, d or w: age<10m"),
        ("changed=x", "changed= takes a size"),
        ("state:dead", "state:dead is no state: starting, running"),
        ("re:", "re: takes an expression"),
        ("re:(", "re: missing ), unterminated subpattern at position 0"),
        ("re:(a+)+$", "no group repeated"),
        ("re:(a|aa)(a|aa)(a|aa)(a|aa)b", "3 repeats and groups at most"),
        ("re:a{99999999999999}", "re: "),
        ("x" * (LONGEST + 1), "500 characters at most"),
    ],
)
def test_what_means_nothing_is_said_and_hides_nothing(text: str, told: str) -> None:
    assert told in parse(text).error and "\n" not in parse(text).error
    assert len(shown(text)) == len(NODES)


@given(st.text() | st.lists(TERMS | st.text(max_size=8)).map(" ".join))
def test_nothing_that_is_typed_raises(text: str) -> None:
    found, wrong = select(parse(text), Texts().of(NODES), NOW)
    assert wrong.isprintable() and len(found) <= len(NODES)


@given(st.lists(TERMS), TERMS)
def test_each_more_term_shows_less_and_the_order_does_not_matter(terms: list[str], more: str) -> None:
    fewer = shown(" ".join([*terms, more]))
    assert set(fewer) <= set(shown(" ".join(terms)))
    assert fewer == shown(" ".join([more, *reversed(terms)]))


@given(TERMS.filter(lambda term: not parse(term).error))
def test_not_is_the_rest(term: str) -> None:
    assert sorted(shown(term) + shown(f"!{term}")) == sorted(shown(""))


def test_who_knows_what_changed_is_asked_of_what_all_else_shows() -> None:
    asked = []

    def differs(path: str, node: Node) -> bool | None:
        asked.append(ref_of(node))
        return {"b1": True, "b2": None}.get(ref_of(node), False)

    for text, found in (("changed:/etc/x re:^b[12]", ["b1"]), ("!changed:/etc/x state:run", ["main"])):
        typed = parse(text, differs)
        assert [ref_of(node) for node in select(typed, Texts().of(NODES), NOW)[0]] == found
        assert not typed.error and set(asked) <= {"b1", "b2", "main"}
    assert "changed: takes a path: changed:/etc/hosts" in parse("changed:x", differs).error


def test_of_a_branch_of_the_past_its_head_of_then_is_asked_about() -> None:
    differing, node = Differing(), branch("b1", "77d05a")
    for past, asked in ((False, "b1"), (True, node.head)):
        differing.past = past
        assert differing.of("/etc", node) is None, "what is known of now is not known of then"
        [question] = differing.questions()
        assert question.after == asked
        differing.learn({question: past})
        differing.wanted.clear()
        assert differing.of("/etc", node) is past


def test_an_expression_that_takes_too_long_is_cut_short() -> None:
    nodes: list[Node] = [commit(f"{number:06x}", None, "a" * 300) for number in range(2000)]
    started = time.process_time()
    _, wrong = select(parse("re:.*.*.*b"), told := Texts().of(nodes), NOW)
    assert wrong.startswith("takes too long: ") and wrong.endswith("of 2000 were looked at")
    assert time.process_time() - started < 20 * PATIENCE_S and len(told) == 2000


def test_texts_are_made_once() -> None:
    texts, node = Texts(), branch("b1", "77d05a")
    (first,) = texts.of([node])
    assert texts.of([node])[0] is first
    assert texts.of([branch("b1", "77d05a", score=1.0)])[0].text.endswith("score 1")
    assert parse("") == Filter()
