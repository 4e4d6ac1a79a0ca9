"""JSON values to the structs of `core.model` and other dataclasses, and back: the same shapes on both ends of the API.
msgspec does it.

JSON text is read and written by Python's own module: unlike msgspec it passes on what a guest's names may hold, halves
of surrogate pairs.
"""

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
