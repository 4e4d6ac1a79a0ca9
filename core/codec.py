"""JSON values to the structs of `core.model` and other dataclasses, and back: the same shapes on both ends of the API.
msgspec does it.

JSON text is read and written by Python's own module: unlike msgspec it passes on what a guest's names may hold, halves
of surrogate pairs.
"""

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Structs and dataclasses to dicts, enums to their values; the rest as it is. What comes out can be JSON."""
    return msgspec.to_builtins(value)


def decode(cls: type[T], data: Any) -> T:
    """`data` as an instance of `cls`, every field of the type it is declared as; ValueError says which one is not.

    Unknown keys are ignored: a newer daemon may send more.
    """
    return msgspec.convert(data, type=cls)


def decode_long(cls: type[T], data: bytes, many: str, item: type) -> T:
    """JSON text as an instance of `cls`, whose field `many` is a tuple of `item` and may be very long.

    Its items are made one by one, so that other threads run meanwhile: the interpreter's lock is held as long as a call
    of a decoder lasts, and a user's keys wait for it.
    """
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(item)
    items = []
    try:
        parts = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        for raw in msgspec.json.decode(parts.pop(many), type=list[msgspec.Raw]):
            items.append(decoder.decode(raw))
    except (msgspec.DecodeError, KeyError):  # half a surrogate pair stands in it, perhaps
        return decode(cls, json.loads(data))
    rest = {key: json.loads(bytes(value)) for key, value in parts.items()}
    made = decode(cls, {**rest, many: ()})
    return msgspec.structs.replace(made, **{many: tuple(items)})  # type: ignore[type-var]
