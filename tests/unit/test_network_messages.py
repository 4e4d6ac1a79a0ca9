"""A message whose fields were set in an encoded form is, byte for byte, what pyroute2 encodes of the same values."""

import inspect
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.network import messages
from core.network.addresses import (
    HUB_ADDRESS,
    MAX_INDEX,
    TAP,
    UPLINK,
    UPLINK_IFINDEX,
    UPLINK_MAC,
    VETH_IFINDEX_BASE,
    VETH_MAC,
    address_of,
    veth_of,
)
from core.network.forms import VARYING, Message

BUILDERS = (
    messages.link_state,
    messages.link_mac,
    messages.veth,
    messages.delete_link,
    messages.address,
    messages.neighbour,
    messages.host_route,
    messages.default_route,
    messages.last_route,
    messages.unreachable_route,
)

indexes = st.integers(1, MAX_INDEX)
descriptors = st.integers(0, (1 << 20) - 1)  # the kernel's own limit of a process (fs.nr_open)


def values_of(index: int, descriptor: int) -> dict[str, Any]:
    """A value for every parameter that any message has."""
    return {
        "ifindex": VETH_IFINDEX_BASE + index,
        "ip": address_of(index),
        "name": veth_of(index),
        "descriptor": descriptor,
        "inner": messages.End(UPLINK, UPLINK_IFINDEX, UPLINK_MAC),
        "mac": VETH_MAC,
        "source": HUB_ADDRESS,
        "prefix": 32,
        "up": index % 2 == 1,
    }


@pytest.mark.parametrize("builder", BUILDERS)
@given(index=indexes, descriptor=descriptors)
@example(index=MAX_INDEX, descriptor=0)
@example(index=0x3F3F - VETH_IFINDEX_BASE, descriptor=0x3F3F)  # as a name's stand-in
def test_filled_is_as_encoded(builder: Any, index: int, descriptor: int) -> None:
    make = inspect.unwrap(builder)
    values = {name: values_of(index, descriptor)[name] for name in inspect.signature(make).parameters}
    encoded = make(**values)
    encoded.encode()
    message: Message = builder(**values)
    assert message.data == bytes(encoded.data)
    assert len(message.data) % 4 == 0  # so that the next in a batch begins where it should


@pytest.mark.parametrize("builder", BUILDERS)
def test_each_varying_field_has_its_place(builder: Any) -> None:
    parameters = inspect.signature(inspect.unwrap(builder)).parameters
    one, other = values_of(1, 3), values_of(2, 4)
    for name in parameters.keys() & VARYING.keys():
        values = {parameter: one[parameter] for parameter in parameters}
        assert builder(**values).data != builder(**values | {name: other[name]}).data


def test_all_messages_are_looked_at() -> None:
    encoded_once = {name for name, value in vars(messages).items() if hasattr(value, "cache_info")}
    assert encoded_once == {builder.__name__ for builder in BUILDERS}


def test_the_words_name_the_thing() -> None:
    assert messages.delete_link(name=TAP).what == "removing link tap0"
    assert (
        messages.neighbour(ifindex=7, ip="10.77.0.7", mac=UPLINK_MAC).what == "entering neighbour 10.77.0.7"
    )
    assert messages.unreachable_route(ip="10.77.0.0", prefix=16).what == "refusing 10.77.0.0/16"
