"""Placeholders and values in requests and answers, as texts; and the sites that secrets are for."""

import random
from base64 import b64encode

import pytest

from core.errors import UsageError
from core.sites import Site, covers, site, spelled
from core.swap.swapping import Replacer, RequestSwaps
from core.swap.wire import Swap

PLACEHOLDER, VALUE = "vertui-TOKEN-0123456789abcdef", 's3cr3t/+"v\u00e4lue'
AT = (Site("api.test", 443),)
HEADERS_ALONE = Swap("TOKEN", PLACEHOLDER, VALUE, AT)
EVERYWHERE = Swap("TOKEN", PLACEHOLDER, VALUE, AT, in_url=True, in_body=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("api.test", Site("api.test", 443)),
        ("API.Test.:8443", Site("api.test", 8443)),
        ("https://api.test/", Site("api.test", 443)),
        ("http://api.test", Site("api.test", 80, tls=False)),
        ("http://*.test:8080", Site("*.test", 8080, tls=False)),
        ("10.1.2.3", Site("10.1.2.3", 443)),
    ],
)
def test_a_site_is_by_tls_unless_told(text: str, found: Site) -> None:
    assert site(text) == found and site(spelled(found)) == found


@pytest.mark.parametrize(
    "text",
    ["", "http://", "api.test/path", "u@api.test", "10.0.0.0/8", "api.test:53/udp", "a b", "@pip", "*"],
)
def test_what_is_no_site_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="give HOST"):
        site(text)


def test_a_site_is_one_port_of_one_host_and_one_way_to_speak_with_it() -> None:
    below = site("*.api.test")
    assert covers(below, Site("a.api.test", 443)) and not covers(below, Site("api.test", 443))
    assert not covers(below, Site("a.api.test", 8443)) and not covers(
        below, Site("a.api.test", 443, tls=False)
    )
    assert not covers(below, Site("aapi.test", 443))


def test_headers_have_values_and_basic_credentials_too() -> None:
    swaps = RequestSwaps([HEADERS_ALONE])
    sent = swaps.headers(
        [
            (b"authorization", f"Bearer {PLACEHOLDER}".encode()),
            (b"x-key", PLACEHOLDER.encode()),
            (b"cookie", b"a=b"),
        ]
    )
    assert sent == [
        (b"authorization", f"Bearer {VALUE}".encode()),
        (b"x-key", VALUE.encode()),
        (b"cookie", b"a=b"),
    ]
    basic = b64encode(f"me:{PLACEHOLDER}".encode())
    [(_, value)] = swaps.headers([(b"authorization", b"Basic " + basic)])
    assert value == b"Basic " + b64encode(f"me:{VALUE}".encode())
    assert swaps.answer().whole(b"you said " + value) == b"you said Basic " + basic
    assert [*swaps.used] == ["TOKEN"]


def test_other_credentials_stay_as_they_are() -> None:
    swaps = RequestSwaps([HEADERS_ALONE])
    for value in (b"Basic !!!", b"Basic " + b64encode(b"me:other"), b"Basic", b"Digest x"):
        assert swaps.headers([(b"authorization", value)]) == [(b"authorization", value)]
    assert not swaps.used


def test_address_and_body_have_values_only_where_the_secret_says_so() -> None:
    target = f"/x?key={PLACEHOLDER}".encode()
    alone = RequestSwaps([HEADERS_ALONE])
    assert alone.url(target) == target and alone.body([]) is None and not alone.used
    everywhere = RequestSwaps([EVERYWHERE])
    assert everywhere.url(target) == b"/x?key=s3cr3t%2F%2B%22v%C3%A4lue"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (b"application/json", b's3cr3t/+\\"v\\u00e4lue'),
        (b"application/x-www-form-urlencoded", b"s3cr3t%2F%2B%22v%C3%A4lue"),
        (b"text/plain", VALUE.encode()),
    ],
)
def test_a_body_has_the_value_as_its_kind_spells_it(kind: bytes, said: bytes) -> None:
    swaps = RequestSwaps([EVERYWHERE])
    replacer = swaps.body([(b"content-type", kind)])
    assert replacer is not None and replacer.whole(f"<{PLACEHOLDER}>".encode()) == b"<" + said + b">"
    assert [*swaps.used] == ["TOKEN"]
    assert swaps.answer().whole(b"<" + said + b">") == f"<{PLACEHOLDER}>".encode()


def test_a_body_that_is_compressed_is_left_alone() -> None:
    assert RequestSwaps([EVERYWHERE]).body([(b"Content-Encoding", b"gzip")]) is None


def test_in_pieces_as_in_one_and_nothing_is_held_back_that_is_not_the_beginning_of_a_text() -> None:
    pairs = {b"abcabd": b"<1>", b"bd": b"<2>", b"aaab": b"<3>"}
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(2000):
        data = bytes(chance.choice(b"abcd") for _ in range(chance.randrange(40)))
        replacer, said, rest = Replacer(pairs), b"", data
        while rest:
            size = chance.randrange(1, 8)
            said, rest = said + replacer.piece(rest[:size]), rest[size:]
        assert said + replacer.rest() == Replacer(pairs).whole(data), data
    assert Replacer(pairs).piece(b"data: x\n\n") == b"data: x\n\n"
    assert Replacer(pairs).piece(b"data: abc") == b"data: "
