"""DNS from guests and servers: plain questions are read and answered, and whatever else comes does no harm."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.network import dns
from core.network.dns import CNAME, HEADER, IN, LARGEST, OPT, RESPONSE, SMALLEST, A, Code, Malformed

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)


def spelled(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def query(name: str, kind: int = A, takes: int | None = None) -> bytes:
    opt = b"" if takes is None else b"\0" + struct.pack("!HHIH", OPT, takes, 0, 0)
    count = 0 if takes is None else 1
    return HEADER.pack(77, 0x0100, 1, 0, 0, count) + spelled(name) + struct.pack("!HH", kind, IN) + opt


def record(owner: bytes, kind: int, body: bytes, ttl: int = 60) -> bytes:
    return owner + struct.pack("!HHIH", kind, IN, ttl, len(body)) + body


def answer(name: str, *records: bytes, id: int = 7) -> bytes:
    head = HEADER.pack(id, RESPONSE | 0x180, 1, len(records), 0, 0)
    return head + spelled(name) + struct.pack("!HH", A, IN) + b"".join(records)


@given(st.lists(LABEL, min_size=1, max_size=8).map(".".join), st.integers(1, 255))
def test_a_question_is_read_as_it_was_asked(name: str, kind: int) -> None:
    asked = dns.question(query(name.upper(), kind))
    assert (asked.id, asked.name, asked.kind, asked.takes) == (77, name, kind, SMALLEST)
    assert dns.ask(asked, 9, large=False) == query(name.upper(), kind).replace(
        HEADER.pack(77, 256, 1, 0, 0, 0), HEADER.pack(9, 256, 1, 0, 0, 0)
    )
    assert dns.question(dns.ask(asked, 9, large=True)).takes == LARGEST
    told = dns.told(asked, Code.REFUSED)
    assert told[:2] == b"\0\x4d" and told[3] & 15 == 5 and told[2] & 0x80 and told[12:] == asked.section


def test_answers_of_ours_are_read_as_any_servers() -> None:
    asked = dns.question(query("b1.vertui"))
    told = dns.told_address(asked, "10.77.0.1", 1)
    assert dns.addresses(told, asked) == dns.Resolved(("10.77.0.1",), 1)
    assert dns.answers(told, asked.id, asked) and told[2] & 4  # authoritative
    reverse = dns.question(query("1.0.77.10.in-addr.arpa", dns.PTR))
    assert dns.told_name(reverse, "b1.vertui", 1).endswith(spelled("b1.vertui"))


@pytest.mark.parametrize(("given", "takes"), [(0, 512), (511, 512), (1232, 1232), (65535, 4096)])
def test_what_a_client_takes_is_bounded(given: int, takes: int) -> None:
    assert dns.question(query("a.org", takes=given)).takes == takes


def test_addresses_are_those_that_the_name_leads_to() -> None:
    asked = dns.question(query("a.org"))
    told = answer(
        "a.org",
        record(b"\xc0\x0c", CNAME, spelled("b.net"), ttl=9),
        record(spelled("B.net"), A, bytes([192, 0, 2, 1])),
        record(spelled("b.net"), A, bytes([192, 0, 2, 1]), ttl=5),
        record(spelled("other.net"), A, bytes([192, 0, 2, 2])),
        record(spelled("b.net"), A, bytes(5)),
        record(spelled("b.net"), 28, bytes(16)),
    )
    assert dns.addresses(told, asked) == dns.Resolved(("192.0.2.1",), 5)


def test_only_the_answer_to_a_question_is_one() -> None:
    asked = dns.question(query("a.org"))
    assert dns.answers(answer("A.org", id=7), 7, asked)
    assert not dns.answers(answer("a.org", id=8), 7, asked) and not dns.answers(answer("b.org"), 7, asked)
    assert not dns.answers(query("a.org"), 77, asked) and not dns.answers(b"\0\7", 7, asked)


def test_an_answer_goes_on_under_the_clients_id_and_no_larger_than_it_takes() -> None:
    asked = dns.question(query("a.org"))
    told = answer("a.org", *[record(b"\xc0\x0c", A, bytes(4))] * 40)
    whole = dns.passed_on(told, asked, largest=len(told))
    assert whole[:2] == b"\0\x4d" and whole[2:] == told[2:]
    short = dns.passed_on(told, asked, largest=512)
    assert len(short) == HEADER.size + len(asked.section) and short[2] & 2 and short[6:8] == b"\0\0"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        answer("a.org"),
        HEADER.pack(1, 0, 2, 0, 0, 0) + spelled("a.org") * 2,
        HEADER.pack(1, 0x2800, 1, 0, 0, 0) + spelled("a.org") + bytes(4),
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\xc0\x0c" + bytes(4),  # leads to itself
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\xc0\x0e\xc0\x0c" + bytes(4),
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\x3f" + b"a" * 62,
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\x3fa" * 1,
        HEADER.pack(1, 0, 1, 0, 0, 0) + (b"\x3f" + b"a" * 63) * 5 + b"\0" + bytes(4),
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\x40a\0" + bytes(4),
        HEADER.pack(1, 0, 1, 0, 0, 0) + spelled("a.org") + b"\0\1\0",
    ],
)
def test_what_is_no_question_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        dns.question(data)


def test_a_dot_within_a_label_is_no_dot() -> None:
    """Else a guest could ask for `evil.org` under an allowed name's rule, or the other way round."""
    data = HEADER.pack(1, 0, 1, 0, 0, 0) + b"\x06a.good\x03org\0" + struct.pack("!HH", A, IN)
    assert not dns.question(data).name.endswith(".good.org")


@given(st.binary(max_size=300), st.binary(max_size=300))
@example(HEADER.pack(7, RESPONSE, 1, 65535, 0, 0) + b"\0" + bytes(4), b"\0" + bytes(10))
@example(
    HEADER.pack(7, RESPONSE, 1, 1, 0, 0) + spelled("a.org") + bytes(4),
    b"\xc0\x0c" + struct.pack("!HHIH", A, IN, 1, 9999),
)
def test_whatever_comes_is_read_or_malformed(head: bytes, tail: bytes) -> None:
    asked = dns.question(query("a.org"))
    for data in (head, tail, head + tail, answer("a.org", head, tail), query("a.org")[:20] + tail):
        dns.answers(data, 7, asked)
        for read in (
            lambda data=data: dns.question(data),
            lambda data=data: dns.addresses(data, asked),
            lambda data=data: dns.passed_on(data, asked, largest=100),
        ):
            try:
                read()
            except Malformed:
                continue


def test_a_question_of_our_own_is_one() -> None:
    asked = dns.question(dns.ask(dns.addresses_of("a.server.test"), 7, large=True))
    assert (asked.id, asked.name, asked.kind, asked.klass) == (7, "a.server.test", dns.A, dns.IN)
