"""Rules of egress: what people may write, what it means, and what names and addresses it covers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.groups import servers_in
from core.errors import UsageError
from core.network.rules import tied
from core.network.ties import LEAST_S, MOST_ADDRESSES, MOST_NAMES, MOST_S, Tie, Ties, admits, never
from core.reach import Destination, ReachMode, destination, in_words, may_ask, of_mode, spelled


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("example.org", Destination("example.org")),
        ("Example.ORG.:443", Destination("example.org", 443, "tcp")),
        ("ntp.example.org:123/udp", Destination("ntp.example.org", 123, "udp")),
        ("*.example.org:80/tcp", Destination("*.example.org", 80, "tcp")),
        ("localhost", Destination("localhost")),
        ("_srv.a-b.org", Destination("_srv.a-b.org")),
        ("10.0.0.0/8", Destination("10.0.0.0/8")),
        ("10.0.0.0/8:53/udp", Destination("10.0.0.0/8", 53, "udp")),
        ("192.0.2.7/32:22", Destination("192.0.2.7", 22, "tcp")),
        ("0.0.0.0/0", Destination("0.0.0.0/0")),
    ],
)
def test_a_rule_means_what_it_says(text: str, meant: Destination) -> None:
    assert destination(text) == meant
    assert destination(spelled(meant)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "*.", "a*.org", "*.*.org", "-a.org", "a-.org", "a..org", ".org", "a b.org", "a.org:", "a.org:0",
        "a.org:65536", "a.org:80/icmp", "a.org/udp", ":80", "10.0.0.1/8", "10.0.0.256", "1.2.3", "10.0.0.0/33",
        "::1", "[::1]:80", "2001:db8::/32", "http://a.org", "é.org", "a.org:８０", "a" * 64 + ".org",
        "a." * 127 + "org", "@trunk", '";flush', "a.org;",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        destination(text)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=80))
def test_whatever_is_typed_is_a_rule_or_is_refused(text: str) -> None:
    try:
        found = destination(text)
    except UsageError:
        return
    assert destination(spelled(found)) == found
    assert not set(found.host) & set("\"'; {}\n\\")  # it becomes part of a rule


def test_a_mode_takes_the_rules_that_it_needs() -> None:
    assert of_mode("allow", ("a.org", "a.org", "b.org:1")).to == (
        Destination("a.org"),
        Destination("b.org", 1, "tcp"),
    )
    assert in_words(of_mode("allow", ("a.org:80", "*.b.org"))) == "allow a.org:80 *.b.org"
    assert in_words(of_mode("off", ())) == "off"
    for mode, rules in (("allow", ()), ("open", ("a.org",)), ("off", ("a.org",))):
        with pytest.raises(UsageError):
            of_mode(mode, rules)


def test_servers_are_found_in_what_a_guest_is_configured_for() -> None:
    text = """
# deb http://old.example.org/debian stable main
deb [arch=amd64] http://deb.example.org:8080/debian stable main
URIs: https://user:secret@mirror.example.org/debian http://10.0.0.1/x
registry=https://npm.example.org/
index-url = http://[::1]/simple http://bad_/ http://-x:99999/
Acquire::http::Proxy "http://proxy.example.org:3128";
"""
    assert list(servers_in(text)) == [
        "deb.example.org:8080", "mirror.example.org:443", "10.0.0.1:80", "npm.example.org:443", "bad_:80",
        "proxy.example.org:3128",
    ]  # fmt: skip


def test_names_are_covered_label_by_label() -> None:
    reach = of_mode("allow", ("a.org", "*.b.org:443", "10.0.0.0/8"))
    for name, asked in {
        "a.org": True, "x.a.org": False, "b.org": False, "x.b.org": True, "y.x.b.org": True, "xb.org": False,
        "10.0.0.1": False, 'x"};flush.b.org': False, "\ufffd.b.org": False, "*.b.org": False, ".b.org": False,
    }.items():  # fmt: skip
        assert may_ask(reach, name) is asked, name
    assert may_ask(of_mode("open", ()), "any.thing") and not may_ask(of_mode("off", ()), "a.org")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_name_stands_for_its_addresses_for_some_time() -> None:
    clock = Clock()
    ties, reach = Ties(clock), of_mode("allow", ("a.org:443", "*.org", "b.net"))
    assert ties.add("a.org", ["192.0.2.1", "169.254.169.254", "127.0.0.1"], 1) == ["192.0.2.1"]
    ties.add("c.com", ["192.0.2.9"], 1)
    assert ties.let_through(reach) == [
        Tie("192.0.2.1", 443, "tcp", "a.org", LEAST_S),
        Tie("192.0.2.1", 0, "", "a.org", LEAST_S),
    ]
    assert ties.name_of("192.0.2.1") == "a.org" and ties.name_of("192.0.2.2") is None
    ties.add("b.net", ["192.0.2.3"], MOST_S * 2)
    clock.now += LEAST_S + 1
    assert ties.let_through(reach) == [Tie("192.0.2.3", 0, "", "b.net", MOST_S - LEAST_S - 1)]


@given(st.text(max_size=60))
def test_a_name_that_a_guest_made_up_says_nothing_in_a_rule(made_up: str) -> None:
    ties = Ties()
    ties.add(f"{made_up}.a.org".lower(), ["192.0.2.1"], 60)
    for line in tied(1, ties.let_through(of_mode("allow", ("*.a.org",)))):
        assert not set(line.partition("comment")[2].strip(' "}')) - set(
            "abcdefghijklmnopqrstuvwxyz0123456789-_."
        )


def test_a_guest_that_asks_for_everything_fills_nothing() -> None:
    ties = Ties()
    for number in range(MOST_NAMES + 50):
        ties.add(f"n{number}.org", ["192.0.2.1"], 60)
    ties.add("many.org", [f"10.{n >> 8}.{n & 255}.1" for n in range(1000)], 60)
    assert len(ties.let_through(of_mode("allow", ("*.org",)))) == MOST_NAMES - 1 + MOST_ADDRESSES
    for number in range(100):
        ties.add("turns.org", [f"11.0.0.{number}"], 60)
    assert len(ties.let_through(of_mode("allow", ("turns.org",)))) == MOST_ADDRESSES


def test_an_open_connection_is_judged_as_its_first_packet_was() -> None:
    ties = [Tie("192.0.2.1", 443, "tcp", "a.org", 60), Tie("192.0.2.2", 0, "", "b.org", 60)]
    admitted = admits(of_mode("allow", ("a.org:443", "b.org", "10.0.0.0/8:53/udp", "11.0.0.0/8")), ties)
    for flow, passes in {
        ("192.0.2.1", 443, "tcp"): True, ("192.0.2.1", 80, "tcp"): False, ("192.0.2.1", 443, "udp"): False,
        ("192.0.2.2", 9, "udp"): True, ("10.1.2.3", 53, "udp"): True, ("10.1.2.3", 53, "tcp"): False,
        ("11.0.0.1", 0, ""): True, ("12.0.0.1", 443, "tcp"): False,
    }.items():  # fmt: skip
        assert admitted(*flow) is passes, flow
    opened = admits(of_mode("open", ()), ())
    assert opened("192.0.2.1", 1, "tcp") and not opened("169.254.169.254", 80, "tcp")
    assert not admits(of_mode("off", ()), ())("192.0.2.1", 1, "tcp")
    assert never("10.77.0.1") and not never("10.78.0.1") and of_mode("off", ()).mode is ReachMode.OFF
