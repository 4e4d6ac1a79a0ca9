"""Placeholders to values in what a guest sends, and values to placeholders in what it is answered.

In headers, Basic credentials included, always; in the URL and the body where the secret says so. In an answer whatever
reads as a value is looked for, in the spellings in which it was or could have been sent.
"""

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote, quote_plus

from core.swap.wire import Swap

Headers = list[tuple[bytes, bytes]]
BASIC = b"basic "
LARGEST_BODY = 1 << 20
"""Bytes of a body whose length is told before it: so much is held back to be swapped as a whole."""


class Replacer:
    """Some texts put in the places of others, in pieces of data as they come. `found` hears of each that was."""

    def __init__(
        self, pairs: Mapping[bytes, bytes], found: Callable[[bytes], object] = lambda _: None
    ) -> None:
        self._pairs = {key: value for key, value in pairs.items() if key != value}
        longest_first = sorted(self._pairs, key=len, reverse=True)
        self._sought = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None
        self._found = found
        self._rest = b""

    def whole(self, data: bytes) -> bytes:
        """All of it at once."""
        return self.piece(data) + self.rest()

    def piece(self, data: bytes) -> bytes:
        """What can be said now: the end may be the beginning of one of the texts."""
        if self._sought is None:
            return data
        data, said, at = self._rest + data, bytearray(), 0
        for match in self._sought.finditer(data):
            self._found(match[0])
            said += data[at : match.start()] + self._pairs[match[0]]
            at = match.end()
        begins = min(_begins(data, key, at) for key in self._pairs)
        self._rest = data[begins:]
        return bytes(said + data[at:begins])

    def rest(self) -> bytes:
        """What was still held back."""
        rest, self._rest = self._rest, b""
        return rest


class RequestSwaps:
    """The swaps of one request, to a site that all of them are for."""

    def __init__(self, swaps: Sequence[Swap]) -> None:
        self._swaps = swaps
        self._basic: dict[bytes, bytes] = {}
        self.used: dict[str, None] = {}
        """The names of the secrets that were sent, until somebody takes them."""

    def url(self, target: bytes) -> bytes:
        """The request's target, with values in it."""
        for swap in self._swaps:
            if swap.in_url:
                target = self._put(swap, target, quote(swap.value, safe=""))
        return target

    def headers(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The request's headers, with values in them."""
        return [(name, self._header(name, value)) for name, value in headers]

    def body(self, headers: Headers) -> Replacer | None:
        """What swaps in a body with these headers; None when nothing is to be swapped there, or nothing can be read."""
        told = {name.lower(): value.lower() for name, value in headers}
        wanted = [swap for swap in self._swaps if swap.in_body]
        if not wanted or told.get(b"content-encoding", b"identity") != b"identity":
            return None
        kind = told.get(b"content-type", b"")
        names = {swap.placeholder.encode(): swap.name for swap in wanted}
        values = {swap.placeholder.encode(): _as(kind, swap.value) for swap in wanted}
        return Replacer(values, lambda placeholder: self.used.setdefault(names[placeholder], None))

    def answer(self) -> Replacer:
        """What takes values out of the answer."""
        pairs: dict[bytes, bytes] = {}
        for swap in self._swaps:
            for way in (quote_plus(swap.value), quote(swap.value, safe=""), _in_json(swap.value), swap.value):
                pairs[way.encode()] = swap.placeholder.encode()
        return Replacer(pairs | self._basic)

    def _header(self, name: bytes, value: bytes) -> bytes:
        if name.lower() == b"authorization" and value[: len(BASIC)].lower() == BASIC:
            return self._credentials(value)
        for swap in self._swaps:
            value = self._put(swap, value, swap.value)
        return value

    def _credentials(self, value: bytes) -> bytes:
        """Basic ones (RFC 7617), whose name and password lie in one base64 text."""
        scheme, told = value[: len(BASIC)], value[len(BASIC) :].strip()
        try:
            plain = before = b64decode(told, validate=True)
        except binascii.Error:
            return value
        for swap in self._swaps:
            plain = self._put(swap, plain, swap.value)
        if plain == before:
            return value
        sent = b64encode(plain)
        self._basic[sent] = told
        return scheme + sent

    def _put(self, swap: Swap, data: bytes, value: str) -> bytes:
        placeholder = swap.placeholder.encode()
        if placeholder not in data:
            return data
        self.used[swap.name] = None
        return data.replace(placeholder, value.encode())


def _as(kind: bytes, value: str) -> bytes:
    """A value as it stands in a body of this kind."""
    if b"json" in kind:
        return _in_json(value).encode()
    if kind.startswith(b"application/x-www-form-urlencoded"):
        return quote_plus(value).encode()
    return value.encode()


def _in_json(value: str) -> str:
    """Within a string."""
    return json.dumps(value)[1:-1]


def _begins(data: bytes, key: bytes, after: int) -> int:
    """Where at the end of data, behind `after`, the beginning of a text stands; its length when nowhere."""
    at = max(after, len(data) - len(key) + 1)
    while (at := data.find(key[:1], at)) >= 0:
        if key.startswith(data[at:]):
            return at
        at += 1
    return len(data)
