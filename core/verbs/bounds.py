"""What a field may be, in words, and what is wrong with a value: for the API, the command line and forms alike."""

from typing import Any, Literal, get_args, get_origin

from msgspec import ValidationError, convert

from core.errors import UsageError
from core.model import check_name, check_variable
from core.verbs.base import Asked, Kind, Verb, fields_of

SIZES = ((40, "T"), (30, "G"), (20, "M"), (10, "K"))


def wrong(verb: type[Verb[Any]], told: Any) -> str:
    """The first field of a request that is missing or is not what it may be, in one line; empty when all are good."""
    if not isinstance(told, dict):
        return "the request is no object"
    for field in fields_of(verb):
        if field.name not in told:
            if field.is_needed:
                return f"{field.name}: it is needed, {may_be(field)}"
        elif reason := wrong_with(field, told[field.name]):
            return reason
    return ""


def wrong_with(field: Asked, value: Any) -> str:
    """What is wrong with a field's value; empty when it is good."""
    try:
        convert(value, field.hint)
        if field.given.kind is Kind.NAME and value is not None:
            check_name(value)
        elif field.given.kind is Kind.SECRET:
            check_variable(value)
    except ValidationError:
        return f"{field.name}: give {may_be(field)}"
    except UsageError as error:
        return f"{field.name}: {error}"
    return ""


def may_be(field: Asked) -> str:
    """What a field's value may be."""
    bounds, types = field.bounds, field.types
    if field.given.kind is Kind.SIZE:
        return f"a size from {typed_size(bounds.ge)} to {typed_size(bounds.le)}"
    if field.takes_many:
        return f"at most {field.most} of them"
    if choices := [get_args(one) for one in types if get_origin(one) is Literal]:
        return " or ".join(map(str, choices[0]))
    if bool in types:
        return "true or false"
    if int in types and bounds.ge is not None:
        return f"a whole number from {bounds.ge} to {bounds.le}"
    if float in types and bounds.ge is not None:
        return f"a number from {bounds.ge} to {bounds.le}"
    if float in types and bounds.gt is not None:
        return f"a number of more than {bounds.gt} and at most {bounds.le}"
    if int in types or float in types:
        return "a number"
    return f"a text of at most {bounds.max_length} characters" if bounds.max_length else "a text"


def typed_size(number: Any) -> str:
    """A size as people type it: `512M` of 2**29."""
    for bits, letter in SIZES:
        if number and number % (1 << bits) == 0:
            return f"{number >> bits}{letter}"
    return f"{number}"
