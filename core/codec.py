"""JSON to the dataclasses of `core.model` and back: the same shapes on both ends of the API."""

import dataclasses
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Dataclasses to dicts, enums to their values, tuples to lists; the rest as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(cls: type[T], data: Any) -> T:
    """`data` as an instance of dataclass `cls`. Unknown keys are ignored: a newer daemon may send more."""
    return cast(T, _decode(cls, data))


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _decode(hint: Any, data: Any) -> Any:
    origin = typing.get_origin(hint)
    if data is None or hint is Any:
        return data
    if origin in (types.UnionType, typing.Union):
        return _decode(next(arg for arg in typing.get_args(hint) if arg is not type(None)), data)
    if origin is tuple:
        return tuple(_decode(typing.get_args(hint)[0], item) for item in data)
    if dataclasses.is_dataclass(hint):
        known = _hints(cast(type, hint))
        return cast(type, hint)(
            **{key: _decode(known[key], item) for key, item in data.items() if key in known}
        )
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    return data
