"""Texts that somebody else chose, for places that only show them, and values full of them."""

import random
from collections.abc import Iterator
from typing import TypeVar, cast

from msgspec import Struct, structs

T = TypeVar("T")
TEXTS = (
    "[a=/b",
    "[@click=app.quit]x",
    "/srv/[id]/p.tsx",
    "[/",
    "[/]x[b]",
    "[link=x]y",
    "\\[red]z",
    "$[x] {y}",
    "a\x1b[31mb",
    "\x1b]0;t\x07",
    "c\rd",
    "e\nf",
    "g\th",
    "i\x0cj\x0bk",
    "l\x85m\u2028n",
    "\u202egpj.exe",
    "o\u200bp\u2060",
    "q\udcff\ud800",
    "\u0301r\u0301",
    "s\ufe0f\u3164t",
    "漢字[b]",
    "\U000e0041u",
    "v\x00w\x7f\x9b",
    " ",
    "-n --x",
)
KEPT = (
    "id",
    "head",
    "parent",
    "parents",
    "state_id",
    "golden",
    "image",
    "kind",
    "request_id",
    "commits",
    "trunk",
)


def texts(rng: random.Random) -> Iterator[str]:
    """All of them again and again, each time in another order."""
    while True:
        yield from rng.sample(TEXTS, len(TEXTS))


def soiled(value: T, source: Iterator[str]) -> T:
    """The same value with a hostile text in every place for one; what names another value stays."""
    if isinstance(value, Struct):
        fields = {
            name: soiled(getattr(value, name), source)
            for name in value.__struct_fields__
            if name not in KEPT or not isinstance(getattr(value, name), str | tuple)
        }
        return structs.replace(value, **fields)
    if type(value) is str:
        return cast(T, next(source))
    if isinstance(value, tuple | list):
        return cast(T, type(value)(soiled(item, source) for item in value))
    return value
